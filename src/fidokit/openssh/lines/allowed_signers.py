"""allowed_signers files: who may sign what, when (ssh-keygen(1), "ALLOWED SIGNERS").

A line is `principals[ options] type base64[ comment]`. Where the manual page is silent, what
`ssh-keygen -Y` does: valid-before= itself is still valid, principals may stand in quotes, and
the first line that fits decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO, Final

from fidokit.errors import Malformed, MalformedFile, SignatureInvalid
from fidokit.openssh.certificates import certificate as certificates
from fidokit.openssh.certificates.certificate import Certificate, CertKind
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines import key_text
from fidokit.openssh.lines.options import Option, parse_list, parse_time, split_list
from fidokit.openssh.lines.patterns import match_pattern, match_pattern_list


@dataclass(frozen=True, slots=True)
class AllowedSigner:
    """One line: patterns of principals, the options, and whose signatures it admits."""

    principals: str
    key: PublicKey | Certificate
    is_authority: bool
    namespaces: str | None
    valid_after: int | None
    valid_before: int | None
    comment: str
    line_number: int

    def names(self, principal: str) -> bool:
        """Whether the line is about `principal`."""
        return match_pattern_list(principal, self.principals)

    def refusal(self, *, at: int, namespace: str | None = None) -> str | None:
        """Why the line's own options forbid a signature; None where they do not.

        Args:
            at: the time of the signature, seconds since 1970.
            namespace: what it is for; None asks nothing about that.
        """
        restricted = self.namespaces is not None and namespace is not None
        if restricted and not match_pattern_list(namespace or "", self.namespaces or ""):
            return f"the key is not for namespace {namespace!r}"
        if self.valid_after is not None and at < self.valid_after:
            return "the key is not valid yet"
        if self.valid_before is not None and at > self.valid_before:
            return "the key has expired"
        return None


@dataclass(frozen=True, slots=True)
class BadSigner:
    """A line that ssh-keygen complains about; `principals` is None where they are unclear too."""

    reason: str
    principals: str | None
    line_number: int


Entry = AllowedSigner | BadSigner


# --- parsing -------------------------------------------------------------------------------

_PRINCIPALS: Final = re.compile(rb'([^ \t\r\n"]*)(?:"([^"]*)")?[ \t\r\n]*')


def _split_principals(text: bytes) -> tuple[str, bytes]:
    found = _PRINCIPALS.match(text)
    if found is None or text[found.end() : found.end() + 1] == b'"':
        raise MalformedFile("a quote in the principals is never closed")
    field = found.group(1) + (found.group(2) or b"")
    try:
        return field.decode("utf-8"), text[found.end() :]
    except UnicodeDecodeError:
        raise MalformedFile("the principals are not UTF-8") from None


def _single(options: Iterable[Option], name: str) -> str | None:
    values = [option.value for option in options if option.name == name]
    if len(values) > 1:
        raise MalformedFile(f"option {name!r} is there more than once")
    if None in values:
        raise MalformedFile(f"option {name!r} needs a value")
    return values[0] if values else None


def _moment(options: Iterable[Option], name: str) -> int | None:
    text = _single(options, name)
    if text is None:
        return None
    moment = parse_time(text)
    if moment == 0:
        raise MalformedFile(f"option {name!r} cannot be the start of 1970")
    return moment


_KNOWN: Final = frozenset({"cert-authority", "namespaces", "valid-after", "valid-before"})


def _check_names(options: Iterable[Option]) -> None:
    for option in options:
        if option.name not in _KNOWN:
            raise MalformedFile(f"option {option.name!r} is unknown to ssh-keygen")
        if option.name == "cert-authority" and option.value is not None:
            raise MalformedFile("option 'cert-authority' takes no value")


def _entry(principals: str, rest: bytes, line_number: int) -> AllowedSigner:
    listed, rest = (b"", rest) if key_text.starts_with_key(rest) else split_list(rest)
    key, comment = key_text.read_key(rest)
    options = parse_list(listed)
    _check_names(options)
    after, before = _moment(options, "valid-after"), _moment(options, "valid-before")
    if after is not None and before is not None and before <= after:
        raise MalformedFile("valid-before is not later than valid-after")
    return AllowedSigner(
        principals=principals,
        key=key,
        is_authority=any(option.name == "cert-authority" for option in options),
        namespaces=_single(options, "namespaces"),
        valid_after=after,
        valid_before=before,
        comment=comment,
        line_number=line_number,
    )


def parse_line(raw: bytes, line_number: int = 1) -> Entry | None:
    """What one line says; None for a blank line or a comment."""
    text = key_text.content(raw)
    if not text or text.startswith(b"#"):
        return None
    principals = None
    try:
        principals, rest = _split_principals(text)
        return _entry(principals, rest, line_number)
    except Malformed as error:
        return BadSigner(error.message, principals, line_number)


def parse_file(file: BinaryIO) -> Iterator[Entry]:
    """Each entry of a file in turn, bad lines included; no more than one line is in memory.

    Args:
        file: open for reading bytes.
    """
    for number, raw, whole in key_text.read_lines(file):
        entry = parse_line(raw, number) if whole else BadSigner(key_text.TOO_LONG, None, number)
        if entry is not None:
            yield entry


# --- asking --------------------------------------------------------------------------------


def match_principals(entries: Iterable[Entry], principal: str) -> tuple[str, ...]:
    """The principals fields of all lines about `principal` (`ssh-keygen -Y match-principals`).

    Raises:
        MalformedFile: a line that is or may be about it cannot be read; ssh-keygen gives up
            there too.
    """
    found = []
    for entry in entries:
        if entry.principals is not None and not match_pattern_list(principal, entry.principals):
            continue
        if isinstance(entry, BadSigner):
            raise MalformedFile(
                f"allowed signers, line {entry.line_number}: {entry.reason}",
                hint="Mend the line, or put a # before it",
            )
        found.append(entry.principals)
    return tuple(found)


def find_principals(
    entries: Iterable[Entry], key: PublicKey | Certificate, *, at: int
) -> tuple[str, ...]:
    """Whom `key` may sign for (`ssh-keygen -Y find-principals`), by the first line that fits.

    For a key these are the line's patterns as they stand; for a certificate, those of its
    principals that the patterns of its authority's line allow. Empty for a stranger.

    Args:
        entries: from `parse_file`.
        key: what the signature names, a plain key or a certificate.
        at: the time of the signature, seconds since 1970.

    Raises:
        SignatureInvalid: the certificate is not signed by the authority it names.
    """
    if isinstance(key, Certificate):
        certificates.require_trustworthy(key)
    for entry in entries:
        if isinstance(entry, AllowedSigner) and entry.refusal(at=at) is None:
            principals = _principals(entry, key, at)
            if principals:
                return principals
    return ()


def _is_authority_of(entry: AllowedSigner, key: PublicKey | Certificate) -> bool:
    return entry.is_authority and isinstance(key, Certificate) and key.signature_key == entry.key


def _principals(entry: AllowedSigner, key: PublicKey | Certificate, at: int) -> tuple[str, ...]:
    patterns = entry.principals.split(",")
    if not entry.is_authority:  # ssh-keygen lists them up to the first empty one
        return tuple(takewhile(bool, patterns)) if key == entry.key else ()
    if not (isinstance(key, Certificate) and _is_authority_of(entry, key)):
        return ()
    if certificates.refusal(key, kind=CertKind.USER, at=at) is not None:
        return ()
    return tuple(
        name
        for pattern in filter(None, patterns)
        for name in key.principals
        if match_pattern(name, pattern)
    )


def check(
    entries: Iterable[Entry],
    key: PublicKey | Certificate,
    *,
    principal: str,
    namespace: str,
    at: int,
) -> AllowedSigner:
    """The line that lets `key` sign for `principal` in `namespace` (`ssh-keygen -Y verify`).

    The signature itself is another matter: `sshsig.verify`.

    Args:
        entries: from `parse_file`.
        key: what the signature names, a plain key or a certificate.
        principal: who is said to have signed.
        namespace: what the signature is for.
        at: the time of the signature, seconds since 1970.

    Raises:
        SignatureInvalid: no line does; says which came closest, and why it does not.
    """
    if isinstance(key, Certificate):
        certificates.require_trustworthy(key)
    reason = f"no line about {principal!r} holds this key"
    for entry in entries:
        if not isinstance(entry, AllowedSigner) or not entry.names(principal):
            continue
        refusal = _refusal(entry, key, principal=principal, namespace=namespace, at=at)
        if refusal is None:
            return entry
        reason = refusal or reason
    raise SignatureInvalid(
        f"the allowed signers do not let this key sign for {principal!r}: {reason}",
        hint="Add the key to the allowed signers file, if you trust it",
    )


def _refusal(
    entry: AllowedSigner,
    key: PublicKey | Certificate,
    *,
    principal: str,
    namespace: str,
    at: int,
) -> str | None:
    """None where the line admits the signature; empty where it is about another key."""
    if isinstance(key, Certificate) and _is_authority_of(entry, key):
        why = certificates.refusal(key, kind=CertKind.USER, at=at, principal=principal)
        if why is not None:
            return f"line {entry.line_number}: the certificate is refused, {why}"
    elif entry.is_authority or key != entry.key:
        return ""
    why = entry.refusal(at=at, namespace=namespace)
    return None if why is None else f"line {entry.line_number}: {why}"
