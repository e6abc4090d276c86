"""The lines of an authorized_keys file, each with what sshd makes of it; for files of any length.

Nearly all lines of large files look alike: those take the short cut of `openssh.lines.key_stream`.
Every other line is read as sshd reads it.
"""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from fidokit.errors import Malformed
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import MAX_BLOB, Ed25519Public, SkEcdsaPublic, SkEd25519Public
from fidokit.openssh.lines import key_text
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, OtherLine, parse_line
from fidokit.openssh.lines.key_stream import MAX_LINE, bounded_lines, usual_key
from fidokit.openssh.lines.options import Option, check_options, parse_list, split_list
from fidokit.openssh.wire import Reader
from fidokit.server.check.key_verdicts import DSA, CheckVerdict, KeyRules
from fidokit.server.check.policy import CheckRule


class KeyPosition(NamedTuple):
    """Where a key stands; `user` and `path` are hostile text."""

    user: str
    path: str
    line: int


class KeyLine(NamedTuple):
    """A line with a key that sshd can read.

    `line` counts from 1; `type` is ssh-keygen's name, such as ED25519-SK; `comment` is hostile
    text. `duplicate` is where the same key stood before.
    """

    line: int
    bits: int
    fingerprint: str
    comment: str
    type: str
    verdict: CheckVerdict
    duplicate: KeyPosition | None = None


class UnreadableLine(NamedTuple):
    """A line that sshd passes over; `violates` rules where it is so long that nobody can tell."""

    line: int
    reason: str
    violates: tuple[tuple[CheckRule, str], ...] = ()


_USUAL: Final = (SkEd25519Public, SkEcdsaPublic, Ed25519Public)


def read_lines(read: Callable[[int], bytes], rules: KeyRules) -> Iterator[KeyLine | UnreadableLine]:
    """Each line that is neither blank nor a comment, in order; in bounded memory.

    Args:
        read: gives at most as many bytes of the file as it is asked for.
        rules: of the file's user.
    """
    shared = {
        kind: (kind.bits, kind.short_type, rules.judge(kind.type_name, kind.bits))
        for kind in _USUAL
    }
    for number, raw in enumerate(bounded_lines(read), 1):
        usual = usual_key(raw, sha256)
        if usual is not None:
            text, comment, kind = usual
            bits, short, verdict = shared[kind]
            yield KeyLine(number, bits, text, comment, short, verdict)
        elif raw and not raw.startswith(b"#") and (found := _odd_line(number, raw, rules)):
            yield found


# --- lines with options, of keys on no token, or that cannot be read -----------------------

_NUL: Final = "a NUL stands before everything else: to sshd the line is empty"
_TOO_LONG: Final = "the line is too long to be judged"


def _odd_line(number: int, raw: bytes, rules: KeyRules) -> KeyLine | UnreadableLine | None:
    """What one line means to sshd; None for a blank line or a comment.

    Args:
        number: where it stands, from 1.
        raw: the line, or the first `MAX_LINE + 1` bytes of a longer one.
        rules: of the file's user.
    """
    if found := _usual_behind_options(number, raw, rules):
        return found
    line = parse_line(raw, number)
    if isinstance(line, AuthorizedKey):
        return _key_line(line, rules)
    if isinstance(line, OtherLine):
        return UnreadableLine(number, _NUL) if b"\0" in raw else None
    if found := _dsa(number, raw, rules):
        return found
    if len(raw) > MAX_LINE:
        return UnreadableLine(number, _TOO_LONG, rules.doubted(_TOO_LONG))
    return UnreadableLine(number, line.reason)


def _usual_behind_options(number: int, raw: bytes, rules: KeyRules) -> KeyLine | None:
    """A usual line with options before it: the short cut, for files where every line has some."""
    try:
        listed, rest = split_list(key_text.content(raw))
        usual = usual_key(rest, sha256) if listed and rest else None
        options = _options(listed) if usual else ()
    except Malformed:
        return None
    if usual is None or len(raw) > MAX_LINE:
        return None
    text, comment, kind = usual
    verdict = rules.judge(kind.type_name, kind.bits, options)
    return KeyLine(number, kind.bits, text, comment, kind.short_type, verdict)


def _options(listed: bytes) -> tuple[Option, ...]:
    return _short_options(listed) if len(listed) <= _SHORT else _long_options(listed)


def _long_options(listed: bytes) -> tuple[Option, ...]:
    options = parse_list(listed, end_comma=True)
    check_options(options)
    return options


_SHORT: Final = 256
_short_options = lru_cache(maxsize=500)(_long_options)


def _key_line(line: AuthorizedKey, rules: KeyRules) -> KeyLine:
    key = line.key
    return KeyLine(
        line.line_number,
        key.bits,
        sha256(key.blob()),
        line.comment,
        key.short_type,
        rules.judge(key.type_name, key.bits, line.options),
    )


def _dsa(number: int, raw: bytes, rules: KeyRules) -> KeyLine | None:
    """A DSA key, which nothing else here reads; sshd does, up to OpenSSH 9.9."""
    text = key_text.content(raw)
    try:
        listed, rest = (b"", text) if _says_dsa(text) else split_list(text)
        if not _says_dsa(rest):
            return None
        options = _options(listed)
        field, comment = key_text.split_field(key_text.split_field(rest)[1])
        blob = a2b_base64(field)
        bits = _dsa_bits(blob)
    except (Malformed, BinasciiError):
        return None
    shown = comment.decode("utf-8", "backslashreplace")
    return KeyLine(number, bits, sha256(blob), shown, "DSA", rules.judge(DSA, bits, options))


def _says_dsa(text: bytes) -> bool:
    return key_text.split_field(text)[0] == DSA.encode()


def _dsa_bits(blob: bytes) -> int:
    """The length of p; string "ssh-dss", mpint p, q, g, y (RFC 4253 section 6.6)."""
    reader = Reader(blob[:MAX_BLOB], "public key")
    reader.expect(DSA.encode())
    p, *_ = [reader.mpint() for _ in range(4)]
    reader.end()
    return p.bit_length()
