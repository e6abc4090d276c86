"""Parsing one key, beside asyncssh on the same bytes: time on the processor, best of several.

Keys are made here, so nothing is read from disk; both sides parse the same input from scratch.
"""

from __future__ import annotations

import timeit
import warnings
from collections.abc import Callable, Iterator

from fidokit.openssh.keys.key_types import NIST_CURVES
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private, parse_private
from fidokit.openssh.keys.public import (
    PublicLine,
    SkEcdsaPublic,
    SkEd25519Public,
    SkPublic,
    parse_public,
    parse_public_line,
)
from fidokit.types import Application, KeyHandle, SkFlag

PUBLIC_GOAL = 0.5
PRIVATE_GOAL = 0.6
NUMBER = 1_000
REPEAT = 30

Parse = Callable[[], object]
Row = tuple[str, float, str, float, float]
"""What is measured, our seconds for one, the peer, its seconds for one, the goal's ratio."""


def _samples() -> list[SkPublic]:
    # The base points of both curves: honest points that need no generator (RFC 8032, SEC 2).
    ed25519 = (4 * pow(5, -1, (1 << 255) - 19) % ((1 << 255) - 19)).to_bytes(32, "little")
    p256 = NIST_CURVES["nistp256"]
    x = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    y = pow((x * x - 3) * x + p256.b, (p256.p + 1) // 4, p256.p)
    point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    application = Application("ssh:")
    return [SkEd25519Public(ed25519, application), SkEcdsaPublic(point, application)]


def _best_of_both(ours: Parse, theirs: Parse) -> tuple[float, float]:
    """Seconds for one of each, in turns, so that other work on the machine disturbs both alike."""
    timers = timeit.Timer(ours), timeit.Timer(theirs)
    rounds = [[timer.timeit(NUMBER) / NUMBER for timer in timers] for _ in range(REPEAT)]
    return min(pair[0] for pair in rounds), min(pair[1] for pair in rounds)


def _asyncssh() -> tuple[Callable[[bytes], object], Callable[..., object], Callable[..., object]]:
    """Its parsers of blobs, of lines and of private files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports touch deprecated parts of cryptography
        import asyncssh
        from asyncssh.public_key import decode_ssh_public_key
    return decode_ssh_public_key, asyncssh.import_public_key, asyncssh.import_private_key


def _rows_of(key: SkPublic) -> Iterator[Row]:
    their_blob, their_line, their_private = _asyncssh()
    blob = key.blob()
    line = PublicLine(key, "me@here").encode()
    secret = SkPrivate(key, SkFlag(0x21), KeyHandle(bytes(range(128))))
    text = encode_private(PrivateFile(secret, "me@here"))
    pairs: list[tuple[str, Parse, Parse, float]] = [
        ("public blob", lambda: parse_public(blob), lambda: their_blob(blob), PUBLIC_GOAL),
        ("public line", lambda: parse_public_line(line), lambda: their_line(line), PUBLIC_GOAL),
        ("private", lambda: parse_private(text, None), lambda: their_private(text), PRIVATE_GOAL),
    ]
    for what, ours, theirs, goal in pairs:
        our_time, their_time = _best_of_both(ours, theirs)
        yield f"{what}, {key.short_type.lower()}", our_time, "asyncssh", their_time, goal


def run() -> list[Row]:
    """Measure every row; takes about three seconds."""
    return [row for key in _samples() for row in _rows_of(key)]


def main() -> None:
    """Print the rows with their ratios."""
    print(f"{'parse of one':<28}{'ours':>10}{'asyncssh':>12}{'ratio':>8}{'goal':>7}")
    for name, ours, _, theirs, goal in run():
        verdict = "" if ours / theirs <= goal else "  missed"
        print(
            f"{name:<28}{ours * 1e6:>7.1f} us{theirs * 1e6:>9.1f} us"
            f"{ours / theirs:>8.2f}{goal:>7.2f}{verdict}"
        )


if __name__ == "__main__":
    main()
