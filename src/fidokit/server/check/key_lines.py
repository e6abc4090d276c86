"""The lines of an authorized_keys file, each with what sshd makes of it; for files of any length.

Nearly all lines of large files look alike: those take the short cut of `openssh.lines.key_stream`.
Every other line is read as sshd reads it.
"""

from __future__ import annotations

import re
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
from fidokit.server.check.key_verdicts import DSA, KNOWN, CheckVerdict, JudgesKeys
from fidokit.server.check.keys.evidence import keys_in
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
    raw: bytes = b""


class UnreadableLine(NamedTuple):
    """A line that we cannot read.

    `violates` and `spared` are as in `CheckVerdict`; `doubt` says why nobody here can tell whether
    sshd reads a key from it, else it is empty.
    """

    line: int
    reason: str
    violates: tuple[tuple[CheckRule, str], ...] = ()
    spared: tuple[tuple[CheckRule, str], ...] = ()
    doubt: str = ""
    raw: bytes = b""

    def answered(self, taken: bool | None, why: str) -> UnreadableLine:
        """The line once sshd was asked whether it takes a key from it."""
        if taken is False:
            return self._replace(spared=(), raw=b"")
        reason = _TAKEN if taken else self.reason
        violates = tuple((rule, f"{said} ({reason})") for rule, said in self.spared)
        doubt = "" if taken else "; ".join(filter(None, (self.reason, why)))
        return self._replace(reason=reason, violates=violates, spared=(), doubt=doubt, raw=b"")


_USUAL: Final = (SkEd25519Public, SkEcdsaPublic, Ed25519Public)


def read_lines(
    read: Callable[[int], bytes], rules: JudgesKeys
) -> Iterator[KeyLine | UnreadableLine]:
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
            kept = raw if verdict.spared else b""
            yield KeyLine(number, bits, text, comment, short, verdict, raw=kept)
        elif raw and not raw.startswith(b"#") and (found := _odd_line(number, raw, rules)):
            yield found


# --- lines with options, of keys not on a token, or that cannot be read ---------------------

_TAKEN: Final = "sshd takes a key from it, though fidokit cannot read the line"
_NUL: Final = "a NUL stands before everything else: to sshd the line is empty"
_TOO_LONG: Final = "the line is too long to be judged"


def _odd_line(number: int, raw: bytes, rules: JudgesKeys) -> KeyLine | UnreadableLine | None:
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
        return _key_line(line, raw, rules)
    if isinstance(line, OtherLine):
        return _not_read(number, _NUL, raw, rules) if b"\0" in raw else None
    if found := _dsa(number, raw, rules):
        return found
    if len(raw) > MAX_LINE:
        return UnreadableLine(number, _TOO_LONG, rules.doubted(_TOO_LONG), doubt=_TOO_LONG)
    return _of_new_type(number, raw, rules) or _not_read(number, line.reason, raw, rules)


def _not_read(number: int, reason: str, raw: bytes, rules: JudgesKeys) -> UnreadableLine:
    """A line that only sshd can judge; where it holds no key to ask about, it stays a doubt."""
    keys = [key for key in keys_in(raw) if rules.could_take(key.text.partition(" ")[0])]
    if keys:
        claim = rules.promise(keys[0].text.partition(" ")[0])
        for key in keys[1:]:
            claim &= rules.promise(key.text.partition(" ")[0])
        spared = claim.broken(rules.rules)
        return UnreadableLine(number, reason, spared=spared, raw=raw if spared else b"")
    if keys_in(raw):
        return UnreadableLine(number, reason)  # of types that sshd's settings leave out
    why = f"neither a key nor a comment: {reason}"
    return UnreadableLine(number, reason, rules.doubted(why), doubt=why)


def _of_new_type(number: int, raw: bytes, rules: JudgesKeys) -> KeyLine | None:
    """A key whose type sshd may know and we do not: it is not on a token that we know of."""
    text = key_text.content(raw)
    for key in keys_in(raw):
        name = key.text.partition(" ")[0]
        if name in KNOWN or "-cert" in name or not _stands_for(name, text):
            continue
        before, _, after = text.partition(name.encode())
        try:
            options = _options(before.strip()) if before.strip() else ()
        except Malformed:
            continue
        verdict = rules.judge(name, 0, options)
        comment = after.split(None, 1)[1:] if after.split() else []
        shown = b"".join(comment).decode("utf-8", "backslashreplace")
        kept = raw if verdict.spared else b""
        return KeyLine(number, 0, key.fingerprint, shown, name, verdict, raw=kept)
    return None


def _stands_for(name: str, text: bytes) -> bool:
    return re.search(rb"(^|[ \t])" + re.escape(name.encode()) + rb"[ \t]+AAAA", text) is not None


def _usual_behind_options(number: int, raw: bytes, rules: JudgesKeys) -> KeyLine | None:
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
    kept = raw if verdict.spared else b""
    return KeyLine(number, kind.bits, text, comment, kind.short_type, verdict, raw=kept)


def _options(listed: bytes) -> tuple[Option, ...]:
    return _short_options(listed) if len(listed) <= _SHORT else _long_options(listed)


def _long_options(listed: bytes) -> tuple[Option, ...]:
    options = parse_list(listed, end_comma=True)
    check_options(options)
    return options


_SHORT: Final = 256
_short_options = lru_cache(maxsize=500)(_long_options)


def _key_line(line: AuthorizedKey, raw: bytes, rules: JudgesKeys) -> KeyLine:
    key = line.key
    verdict = rules.judge(key.type_name, key.bits, line.options)
    return KeyLine(
        line.line_number,
        key.bits,
        sha256(key.blob()),
        line.comment,
        key.short_type,
        verdict,
        raw=raw if verdict.spared else b"",
    )


def _dsa(number: int, raw: bytes, rules: JudgesKeys) -> KeyLine | None:
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
    verdict = rules.judge(DSA, bits, options)
    kept = raw if verdict.spared else b""
    return KeyLine(number, bits, sha256(blob), shown, "DSA", verdict, raw=kept)


def _says_dsa(text: bytes) -> bool:
    return key_text.split_field(text)[0] == DSA.encode()


def _dsa_bits(blob: bytes) -> int:
    """The length of p; string "ssh-dss", mpint p, q, g, y (RFC 4253 section 6.6)."""
    reader = Reader(blob[:MAX_BLOB], "public key")
    reader.expect(DSA.encode())
    p, *_ = [reader.mpint() for _ in range(4)]
    reader.end()
    return p.bit_length()
