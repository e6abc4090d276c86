"""allowed_signers files: who may sign what, when (ssh-keygen(1), "ALLOWED SIGNERS").

A line is `principals[ options] type base64[ comment]`. Where the manual page is silent, what
`ssh-keygen -Y` does: valid-before= itself is still valid, principals may stand in quotes, and
the first line that fits decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO, Final

from fidokit.errors import Malformed, MalformedFile, MalformedKey, SignatureInvalid
from fidokit.openssh.certificates import certificate as certificates
from fidokit.openssh.certificates.certificate import Certificate, CertKind
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines import key_text
from fidokit.openssh.lines.options import parse_time, split_list
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
        """Why the line's own options forbid a signature; None if they do not.

        Args:
            at: the time of the signature, seconds since 1970.
            namespace: what it is for; None asks nothing about that.
        """
        restricted = self.namespaces is not None and namespace is not None
        if restricted and not match_pattern_list(namespace or "", self.namespaces or ""):
            return f'key is not permitted for use in signature namespace "{namespace}"'
        if self.valid_after is not None and at < self.valid_after:
            return _out_of_time("key is not yet valid", at, "< valid-after", self.valid_after)
        if self.valid_before is not None and at > self.valid_before:
            return _out_of_time("key has expired", at, "> valid-before", self.valid_before)
        return None


def _out_of_time(what: str, at: int, limit: str, moment: int) -> str:
    """In ssh-keygen's words, times in the machine's zone."""
    form = certificates.format_time
    return f"{what}: verify time {form(at)} {limit} {form(moment)}"


@dataclass(frozen=True, slots=True)
class BadSigner:
    """A line that ssh-keygen complains about; `principals` is None if they are unclear too."""

    reason: str
    principals: str | None
    line_number: int


Entry = AllowedSigner | BadSigner

Note = Callable[[int, str], None]
"""Takes a line's number and what is wrong with it, of lines that were passed over."""


# --- parsing -------------------------------------------------------------------------------

# What is wrong with a line is put in ssh-keygen's words, for whoever looks for them.

_INVALID_LINE: Final = "invalid line"
_MISSING_KEY: Final = "missing key"
_INVALID_KEY: Final = "invalid key"
_INVALID_OPTIONS: Final = "invalid options"

_PRINCIPALS: Final = re.compile(rb'([^ \t\r\n"]*)("[^"]*")?([ \t\r\n]*)')


def _split_principals(text: bytes) -> tuple[str, bytes]:
    """The principals, and what follows them; bytes outside UTF-8 become lone surrogates."""
    found = _PRINCIPALS.match(text)
    assert found is not None  # noqa: S101  nothing is demanded of the text
    name, quoted, blanks = found.groups(b"")
    rest = text[found.end() :]
    if not (quoted or blanks):
        raise MalformedFile(_INVALID_LINE)
    return (name + quoted.strip(b'"')).decode("utf-8", "surrogateescape"), rest


@dataclass(frozen=True, slots=True)
class _Options:
    is_authority: bool
    values: Mapping[str, str]
    moments: Mapping[str, int]


_AUTHORITY: Final = "cert-authority"
_VALUED: Final = ("namespaces", "valid-after", "valid-before")


def _bad_options(reason: str) -> MalformedFile:
    return MalformedFile(f"bad options: {reason}")


def _read_options(text: str) -> _Options:
    """The options of a line, judged in ssh-keygen's order (sshsig.c, sshsigopt_parse)."""
    authority, values, at = False, dict[str, str](), 0
    while at < len(text):
        rest = text[at:].lower()
        name = next((name for name in _VALUED if rest.startswith(f"{name}=")), None)
        if rest.startswith(_AUTHORITY):
            authority, at = True, at + len(_AUTHORITY)
        elif name is not None:
            if name in values:
                raise _bad_options(f'multiple "{name}" clauses')
            values[name], at = _dequoted(text, at + len(name) + 1)
            _moment(name, values[name])
        if at == len(text):
            break
        if text[at] != ",":
            raise _bad_options("unknown key option")
        at += 1
        if at == len(text):
            raise _bad_options("unexpected end-of-options")
    moments = {n: m for n, v in values.items() if (m := _moment(n, v)) is not None}
    after, before = moments.get("valid-after"), moments.get("valid-before")
    if after is not None and before is not None and before <= after:
        raise _bad_options('"valid-before" time is before "valid-after"')
    return _Options(authority, values, moments)


def _dequoted(text: str, at: int) -> tuple[str, int]:
    """The value in quotes that begins at `at`, and where it ends."""
    if text[at : at + 1] != '"':
        raise _bad_options("missing start quote")
    found = _QUOTED.match(text, at)
    if found is None:
        raise _bad_options("missing end quote")
    return found.group(1).replace('\\"', '"'), found.end()


_QUOTED: Final = re.compile(r'"((?:\\"|[^"])*)"')


def _moment(name: str, text: str) -> int | None:
    """The time in an option that is one."""
    if name == "namespaces":
        return None
    try:
        moment = parse_time(text)
    except MalformedFile:
        moment = 0
    if not moment:
        raise _bad_options(f'invalid "{name}" time')
    return moment


def _entry(principals: str, rest: bytes, line_number: int) -> AllowedSigner:
    """A line by what follows its principals, the line end included."""
    listed, found = b"", _key(rest)
    if found is None:
        try:
            listed, behind = split_list(rest)
        except MalformedFile:
            raise MalformedFile(_INVALID_OPTIONS) from None
        if len(listed) == len(rest):
            raise MalformedFile(_MISSING_KEY)
        found = _key(behind)
    if found is None:
        raise MalformedFile(_INVALID_KEY)
    key, comment = found
    options = _read_options(listed.decode("utf-8", "backslashreplace"))
    return AllowedSigner(
        principals=principals,
        key=key,
        is_authority=options.is_authority,
        namespaces=options.values.get("namespaces"),
        valid_after=options.moments.get("valid-after"),
        valid_before=options.moments.get("valid-before"),
        comment=comment,
        line_number=line_number,
    )


def _key(text: bytes) -> tuple[PublicKey | Certificate, str] | None:
    """The key and the comment at the start of `text`."""
    try:
        return key_text.read_key(text.rstrip(b"\r\n"))
    except MalformedKey:
        return None


def parse_line(raw: bytes, line_number: int = 1) -> Entry | None:
    """What one line says; None for a blank line or a comment."""
    text = raw.split(b"\0", 1)[0].lstrip(b" \t\r\n")
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


def no_note(_number: int, _reason: str) -> None:
    """Take no notice of lines that were passed over."""


def match_principals(
    entries: Iterable[Entry], principal: str, *, note: Note = no_note
) -> tuple[str, ...]:
    """The principals fields of all lines about `principal` (`ssh-keygen -Y match-principals`).

    Args:
        entries: from `parse_file`.
        principal: a name, not a pattern.
        note: is given what is wrong with the line that ends the search.

    Raises:
        MalformedFile: a line that is or may be about it cannot be read; ssh-keygen gives up
            there too.
    """
    found = []
    for entry in entries:
        if entry.principals is not None and not match_pattern_list(principal, entry.principals):
            continue
        if isinstance(entry, BadSigner):
            note(entry.line_number, entry.reason)
            raise MalformedFile(
                f"line {entry.line_number}: {entry.reason}",
                hint="Correct the line, or put a # before it",
            )
        found.append(entry.principals)
    return tuple(found)


def find_principals(
    entries: Iterable[Entry],
    key: PublicKey | Certificate,
    *,
    at: int,
    note: Note = no_note,
) -> tuple[str, ...]:
    """Whom `key` may sign for (`ssh-keygen -Y find-principals`), by the first line that fits.

    For a key these are the line's patterns as they stand; for a certificate, those of its
    principals that the patterns of its authority's line allow. Empty for a stranger.

    Args:
        entries: from `parse_file`.
        key: what the signature names, a plain key or a certificate.
        at: the time of the signature, seconds since 1970.
        note: is given what is wrong with lines that come before it.

    Raises:
        SignatureInvalid: the certificate is not signed by the authority it names.
    """
    if isinstance(key, Certificate):
        certificates.require_trustworthy(key)
    for entry in entries:
        if isinstance(entry, BadSigner):
            note(entry.line_number, entry.reason)
            continue
        principals = _principals(entry, key, at)
        if principals is None:
            continue
        refusal = entry.refusal(at=at) if principals else _NO_PRINCIPALS
        if refusal is None:
            return principals
        note(entry.line_number, refusal)
    return ()


def _is_authority_of(entry: AllowedSigner, key: PublicKey | Certificate) -> bool:
    return entry.is_authority and isinstance(key, Certificate) and key.signature_key == entry.key


_NO_PRINCIPALS: Final = "no valid principals found"


def _principals(
    entry: AllowedSigner, key: PublicKey | Certificate, at: int
) -> tuple[str, ...] | None:
    """Those that a line gives a key; None if it is about another one."""
    patterns = list(takewhile(bool, entry.principals.split(",")))  # ssh-keygen stops there
    if not entry.is_authority:
        return tuple(patterns) if key == entry.key else None
    if not (isinstance(key, Certificate) and _is_authority_of(entry, key)):
        return None
    if certificates.refusal(key, kind=CertKind.USER, at=at) is not None:
        return ()
    return tuple(
        name for pattern in patterns for name in key.principals if match_pattern(name, pattern)
    )


def check(
    entries: Iterable[Entry],
    key: PublicKey | Certificate,
    *,
    principal: str,
    namespace: str,
    at: int,
    note: Note = no_note,
) -> AllowedSigner:
    """The line that lets `key` sign for `principal` in `namespace` (`ssh-keygen -Y verify`).

    The signature itself is another matter: `sshsig.verify`.

    Args:
        entries: from `parse_file`.
        key: what the signature names, a plain key or a certificate.
        principal: who is said to have signed.
        namespace: what the signature is for.
        at: the time of the signature, seconds since 1970.
        note: is given what is wrong with lines about the principal that come before it.

    Raises:
        SignatureInvalid: no line does; says which came closest, and why it does not.
    """
    if isinstance(key, Certificate):
        certificates.require_trustworthy(key)
    reasons: list[str] = []
    broken: list[str] = []
    for entry in entries:
        if entry.principals is not None and not match_pattern_list(principal, entry.principals):
            continue
        if isinstance(entry, BadSigner):
            note(entry.line_number, entry.reason)
            broken.append(f"line {entry.line_number} cannot be read: {entry.reason}")
            continue
        refusal = _refusal(entry, key, principal=principal, namespace=namespace, at=at)
        if refusal is None:
            return entry
        if refusal:
            note(entry.line_number, refusal)
            reasons.append(f"line {entry.line_number}: {refusal}")
    raise _not_allowed(principal, reasons, broken)


_MOST_REASONS: Final = 3


def _not_allowed(principal: str, reasons: list[str], broken: list[str]) -> SignatureInvalid:
    """The lines that hold the key come first, then those that might."""
    told = [*reasons, *broken][:_MOST_REASONS] or [f"no line about {principal!r} holds this key"]
    hint = "Add the key to the allowed signers file, if you trust it"
    if broken and not reasons:
        hint = (
            "Correct the line that cannot be read; ssh-keygen(1) has the form under ALLOWED SIGNERS"
        )
    return SignatureInvalid(
        f"the allowed signers do not let this key sign for {principal!r}: {'; '.join(told)}",
        hint=hint,
    )


def _refusal(
    entry: AllowedSigner,
    key: PublicKey | Certificate,
    *,
    principal: str,
    namespace: str,
    at: int,
) -> str | None:
    """None if the line admits the signature; empty if it is about another key."""
    if isinstance(key, Certificate) and _is_authority_of(entry, key):
        why = certificates.refusal(key, kind=CertKind.USER, at=at, principal=principal)
        if why is not None:
            return f"certificate not authorized: {why}"
    elif entry.is_authority or key != entry.key:
        return ""
    return entry.refusal(at=at, namespace=namespace)
