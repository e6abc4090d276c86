"""What a certificate says, in words: the values that `ssh-keygen -L` shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fidokit.openssh.certificates.certificate import (
    FOREVER,
    Certificate,
    CertificateBody,
    CertOption,
)
from fidokit.openssh.keys import fingerprint


@dataclass(frozen=True, slots=True)
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
