"""OpenSSH certificates, user and host, over token keys and ordinary ones; and what one says in
words, as `ssh-keygen -L` shows it.

Source: OpenSSH PROTOCOL.certkeys, PROTOCOL.u2f for the token key types.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final, TypeVar

from fidokit.errors import MalformedKey, SignatureInvalid
from fidokit.openssh import wire
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import (
    CERTIFICATE_SUFFIX,
    ML_DSA_ED25519_NAMES,
    TYPE_NAMES,
    PublicKey,
    UnknownKeyType,
    parse_public,
    read_public_fields,
)
from fidokit.openssh.lines.patterns import match_pattern
from fidokit.openssh.signatures import signature as signatures
from fidokit.openssh.signatures.signature import Signature, parse_signature
from fidokit.openssh.wire import Reader

FOREVER: Final = (1 << 64) - 1
"""`valid_before` of a certificate that never expires; `valid_after` 0 is the other end."""

MAX_CERTIFICATE: Final = 1 << 18
"""Longest certificate that is looked at, bytes."""

MAX_PRINCIPALS: Final = 256
"""As many principals as OpenSSH takes (SSHKEY_CERT_MAX_PRINCIPALS)."""


T = TypeVar("T")


class CertKind(IntEnum):
    """Whose certificate it is: SSH_CERT_TYPE_USER and SSH_CERT_TYPE_HOST."""

    USER = 1
    HOST = 2


@dataclass(frozen=True)
class CertOption:
    """string name, string data: a critical option or an extension.

    `data` is empty for flags such as verify-required or permit-pty, and a string inside the
    string for force-command and source-address.
    """

    name: str
    data: bytes = b""

    @classmethod
    def with_value(cls, name: str, value: str) -> CertOption:
        """An option that carries text, such as force-command."""
        return cls(name, wire.text(value))

    @property
    def value(self) -> str | None:
        """The text that the option carries; None for a flag and for data that is not text."""
        reader = Reader(self.data, "certificate option")
        try:
            value = _c_text(reader)
            reader.end()
        except MalformedKey:
            return None
        return value

    def blob(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return wire.text(self.name) + wire.string(self.data)


@dataclass(frozen=True)
class CertificateBody:
    """Everything that the authority signs: string type, string nonce, the public key's fields,
    uint64 serial, uint32 kind, string key id, string principals (strings in a string),
    uint64 valid after, uint64 valid before (seconds since 1970), string critical options,
    string extensions (`CertOption`s in a string), string reserved, string signature key.

    Source: PROTOCOL.certkeys, "New public key formats".
    """

    public: PublicKey
    nonce: bytes
    serial: int
    kind: CertKind
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: tuple[CertOption, ...]
    extensions: tuple[CertOption, ...]
    signature_key: PublicKey
    reserved: bytes

    @property
    def type_name(self) -> str:
        """The certificate's name on the wire, such as sk-ssh-ed25519-cert-v01@openssh.com."""
        return certificate_type(self.public.type_name)

    def signed(self, signature: Signature) -> Certificate:
        """The certificate: this, and the authority's signature over `encode_tbs(this)`."""
        values = {field.name: getattr(self, field.name) for field in fields(CertificateBody)}
        return Certificate(**values, signature=signature)


@dataclass(frozen=True)
class Certificate(CertificateBody):
    """`CertificateBody`, then string signature."""

    signature: Signature

    def blob(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return encode_tbs(self) + wire.string(self.signature.blob())


def certificate_type(key_type: str) -> str:
    """The certificate's name for a key's: `@openssh.com` moves behind `-cert-v01`.

    Certificates of the post-quantum type are not OpenSSH's own any more, and not of version 1.
    """
    if key_type == ML_DSA_ED25519_NAMES[0]:
        return f"{key_type}-cert"
    return key_type.removesuffix("@openssh.com") + CERTIFICATE_SUFFIX


CERTIFICATE_TYPES: Final[Mapping[str, str]] = {
    certificate_type(key_type): key_type for key_type in sorted(TYPE_NAMES)
}
"""From each certificate type that is read to the type of the key in it."""


def encode_tbs(certificate: CertificateBody) -> bytes:
    """The bytes that the authority signs: all of the certificate before its signature."""
    public = certificate.public
    return b"".join(
        (
            wire.text(certificate.type_name),
            wire.string(certificate.nonce),
            public.blob()[len(wire.text(public.type_name)) :],
            wire.u64(certificate.serial),
            wire.u32(certificate.kind),
            wire.text(certificate.key_id),
            wire.string(b"".join(map(wire.text, certificate.principals))),
            wire.u64(certificate.valid_after),
            wire.u64(certificate.valid_before),
            wire.string(b"".join(option.blob() for option in certificate.critical_options)),
            wire.string(b"".join(option.blob() for option in certificate.extensions)),
            wire.string(certificate.reserved),
            wire.string(certificate.signature_key.blob()),
        )
    )


# --- parsing -------------------------------------------------------------------------------


def _list_of(data: bytes, what: str, read_one: Callable[[Reader], T]) -> tuple[T, ...]:
    reader = Reader(data, what)
    items = []
    while reader.remaining:
        items.append(read_one(reader))
    return tuple(items)


def _c_text(reader: Reader) -> str:
    """Text as C reads it: OpenSSH refuses a NUL inside, and so does this.

    Bytes that are not UTF-8 become lone surrogates (PEP 383): an issuer may write Latin-1.
    """
    at = reader.offset
    data = reader.string()
    if b"\0" in data:
        raise MalformedKey(f"certificate: text at offset {at} holds a NUL")
    return data.decode("utf-8", "surrogateescape")


def _option(reader: Reader) -> CertOption:
    return CertOption(_c_text(reader), reader.string())


def _kind(reader: Reader) -> CertKind:
    at = reader.offset
    kind = reader.u32()
    try:
        return CertKind(kind)
    except ValueError:
        raise MalformedKey(
            f"certificate: kind {kind} at offset {at} is neither 1 (user) nor 2 (host)"
        ) from None


def _principals(reader: Reader) -> tuple[str, ...]:
    principals = _list_of(reader.string(), "certificate's principals", _c_text)
    if len(principals) > MAX_PRINCIPALS:
        raise MalformedKey(
            f"certificate: {len(principals)} principals are more than {MAX_PRINCIPALS}"
        )
    return principals


def _key_type(reader: Reader) -> str:
    type_name = reader.text()
    key_type = CERTIFICATE_TYPES.get(type_name)
    if key_type is None:
        raise MalformedKey(f"certificate: type {type_name[:64]!r} is not known")
    return key_type


def parse_certificate(blob: bytes) -> Certificate:
    """The certificate in a wire blob, without verifying its signature.

    Args:
        blob: at most `MAX_CERTIFICATE` bytes.

    Raises:
        MalformedKey: not a known type, not its layout, a key or signature in it that cannot be
            read, a certificate as signature key, or bytes behind the last field.
    """
    if len(blob) > MAX_CERTIFICATE:
        raise MalformedKey(f"certificate: {len(blob)} bytes are more than {MAX_CERTIFICATE}")
    reader = Reader(blob, "certificate")
    key_type = _key_type(reader)
    certificate = Certificate(
        nonce=reader.string(),
        public=read_public_fields(key_type, reader),
        serial=reader.u64(),
        kind=_kind(reader),
        key_id=_c_text(reader),
        principals=_principals(reader),
        valid_after=reader.u64(),
        valid_before=reader.u64(),
        critical_options=_list_of(reader.string(), "certificate's critical options", _option),
        extensions=_list_of(reader.string(), "certificate's extensions", _option),
        reserved=reader.string(),
        signature_key=parse_public(reader.string()),
        signature=parse_signature(reader.string()),
    )
    reader.end()
    return certificate


def parse_key(blob: bytes) -> PublicKey | Certificate:
    """What a blob holds, a plain public key or a certificate.

    Raises:
        MalformedKey: neither.
    """
    type_name = Reader(blob, "public key").text()
    return parse_certificate(blob) if type_name in CERTIFICATE_TYPES else parse_public(blob)


@dataclass(frozen=True)
class UnknownKey:
    """string type, and what that type has: a key or certificate of a type that is not read here."""

    whole: bytes

    def blob(self) -> bytes:
        """The bytes on the wire."""
        return self.whole


def parse_host_key(blob: bytes) -> PublicKey | Certificate | UnknownKey:
    """What a blob holds that names a host; a type that is not known is not a reason to fail.

    Clients name every key that a host has (`ssh-add -h`), and tomorrow's hosts have new ones.

    Raises:
        MalformedKey: a known type, but not its layout; or no type at all.
    """
    type_name = Reader(blob, "host key").text()
    if type_name in TYPE_NAMES or type_name in CERTIFICATE_TYPES:
        try:
            return parse_key(blob)
        except UnknownKeyType:  # of the authority that signed it
            return UnknownKey(blob)
    if not (type_name.isascii() and type_name.isprintable() and type_name):
        raise MalformedKey("host key: it begins with no type")
    return UnknownKey(blob)


# --- trusting ------------------------------------------------------------------------------


def verify_signature(certificate: Certificate) -> None:
    """Return where the certificate is signed by the key that it names as its authority.

    Whether that authority is to be trusted, and whether the certificate is valid now, are
    other questions.

    Raises:
        SignatureInvalid: it is not.
    """
    signatures.verify(certificate.signature_key, certificate.signature, encode_tbs(certificate))


def refusal(
    certificate: Certificate, *, kind: CertKind, at: int, principal: str | None = None
) -> str | None:
    """Why OpenSSH would refuse the certificate, in its words; None if it would not.

    Args:
        certificate: its signature is not looked at.
        kind: what it is to be used as.
        at: the time, seconds since 1970.
        principal: whom it is to stand for; None if that is not known yet.

    Source: PROTOCOL.certkeys; a certificate without principals stands for nobody, which is
    how OpenSSH treats it wherever it demands a name.
    """
    if certificate.kind is not kind:
        return f"Certificate invalid: not a {kind.name.lower()} certificate"
    if at < certificate.valid_after:
        return "Certificate invalid: not yet valid"
    if at >= certificate.valid_before:
        return "Certificate invalid: expired"
    if not certificate.principals:
        return "Certificate lacks principal list"
    if principal is not None and not _stands_for(certificate, principal):
        return "Certificate invalid: name is not a listed principal"
    return None


def _stands_for(certificate: Certificate, name: str) -> bool:
    """Whether one of the principals is `name`; a host's may be patterns, from OpenSSH 10.3 on."""
    if certificate.kind is CertKind.USER:
        return name in certificate.principals
    return any(match_pattern(name, principal) for principal in certificate.principals)


def require_trustworthy(certificate: Certificate) -> None:
    """Refuse a certificate whose own signature does not hold.

    Raises:
        SignatureInvalid: with a sentence that says that it is the certificate.
    """
    try:
        verify_signature(certificate)
    except SignatureInvalid as error:
        raise SignatureInvalid(
            f"the certificate {certificate.key_id!r} was not signed by the authority it names",
            hint="Get the certificate again from whoever issued it",
        ) from error


@dataclass(frozen=True)
class CertificateFacts:
    """A certificate's values as text. Key id, principals and options are the issuer's words,
    hostile until escaped.
    """

    type_name: str
    kind: str
    key: str
    authority: str
    signature_type: str
    key_id: str
    serial: int
    valid: str
    principals: tuple[str, ...]
    critical_options: tuple[str, ...]
    extensions: tuple[str, ...]


def format_time(moment: int) -> str:
    """Seconds since 1970 as local time, `YYYY-MM-DDTHH:MM:SS`; far futures stay numbers."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return f"{moment} seconds after 1970"


def validity(certificate: CertificateBody) -> str:
    """The time in which the certificate holds, in ssh-keygen's words."""
    after, before = certificate.valid_after, certificate.valid_before
    if after == 0 and before == FOREVER:
        return "forever"
    if after == 0:
        return f"before {format_time(before)}"
    if before == FOREVER:
        return f"after {format_time(after)}"
    return f"from {format_time(after)} to {format_time(before)}"


def _flag(option: CertOption) -> str:
    return option.name


def _valued(option: CertOption) -> str:
    return _unknown(option) if option.value is None else f"{option.name} {option.value}"


def _unknown(option: CertOption) -> str:
    if not option.data:
        return f"{option.name} UNKNOWN FLAG OPTION"
    return f"{option.name} UNKNOWN OPTION: {option.data.hex()} (len {len(option.data)})"


_CRITICAL: Final[Mapping[str, Callable[[CertOption], str]]] = {
    "force-command": _valued,
    "source-address": _valued,
    "verify-required": _flag,
}
_EXTENSIONS: Final[Mapping[str, Callable[[CertOption], str]]] = {
    "no-touch-required": _flag,
    "permit-X11-forwarding": _flag,
    "permit-agent-forwarding": _flag,
    "permit-port-forwarding": _flag,
    "permit-pty": _flag,
    "permit-user-rc": _flag,
}


def describe(certificate: Certificate) -> CertificateFacts:
    """The values that `ssh-keygen -L` shows, one by one."""
    public, authority = certificate.public, certificate.signature_key
    return CertificateFacts(
        type_name=certificate.type_name,
        kind=certificate.kind.name.lower(),
        key=f"{public.short_type}-CERT {fingerprint.sha256(public.blob())}",
        authority=f"{authority.short_type} {fingerprint.sha256(authority.blob())}",
        signature_type=certificate.signature.type_name,
        key_id=certificate.key_id,
        serial=certificate.serial,
        valid=validity(certificate),
        principals=certificate.principals,
        critical_options=tuple(
            _CRITICAL.get(option.name, _unknown)(option) for option in certificate.critical_options
        ),
        extensions=tuple(
            _EXTENSIONS.get(option.name, _unknown)(option) for option in certificate.extensions
        ),
    )


def lines(facts: CertificateFacts) -> tuple[str, ...]:
    """The lines that `ssh-keygen -L` prints below the file's name."""
    return (
        f"        Type: {facts.type_name} {facts.kind} certificate",
        f"        Public key: {facts.key}",
        f"        Signing CA: {facts.authority} (using {facts.signature_type})",
        f'        Key ID: "{facts.key_id}"',
        f"        Serial: {facts.serial}",
        f"        Valid: {facts.valid}",
        *_listed("Principals", facts.principals),
        *_listed("Critical Options", facts.critical_options),
        *_listed("Extensions", facts.extensions),
    )


def _listed(title: str, items: tuple[str, ...]) -> tuple[str, ...]:
    if not items:
        return (f"        {title}: (none)",)
    return (f"        {title}: ", *(f"                {item}" for item in items))
