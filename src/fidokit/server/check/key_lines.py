"""The lines of an authorized_keys file, each with what sshd makes of it; for files of any length.

Nearly all lines of large files look alike: those take the short cut of `openssh.listing`. Every
other line is read as sshd reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import Ed25519Public, SkEcdsaPublic, SkEd25519Public
from fidokit.openssh.lines.key_stream import bounded_lines, usual_key
from fidokit.server.check.key_events import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import KeyRules

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
    new = tuple.__new__  # what KeyLine(...) comes to, one call less for 100,000 lines
    for number, raw in enumerate(bounded_lines(read), 1):
        usual = usual_key(raw, sha256)
        if usual is not None:
            text, comment, kind = usual
            bits, short, verdict = shared[kind]
            yield new(KeyLine, (number, bits, text, comment, short, verdict, None))
        elif (found := _unusual(number, raw, rules)) is not None:
            yield found


def _unusual(number: int, raw: bytes, rules: KeyRules) -> KeyLine | UnreadableLine | None:
    if not raw or raw.startswith(b"#"):
        return None
    from fidokit.server.check import odd_lines

    return odd_lines.read(number, raw, rules)
