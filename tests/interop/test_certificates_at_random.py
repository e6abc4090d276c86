"""Random certificates, odd in every field: shown, or refused, as `ssh-keygen -L` does.

Two differences are known. Stock ends at an option whose value is not in its form, where ours shows
its bytes; and takes text with a NUL at its end, which no issuer writes.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.keygen import Keygen
from tests.support.openssh_version import openssh
from tests.support.signers import TOKENS, PlainKey, Token, certificate, ml_dsa_key, plain_keys

from fidokit.errors import FidokitError
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import (
    certificate_type,
    describe,
    lines,
    parse_certificate,
    require_trustworthy,
)

pytestmark = pytest.mark.interop

SEED = 20261130
COUNT = 150
DIES = (b"show_options", b"Option corrupt")
"""What ssh-keygen says as it ends in the middle of what it shows."""

NAMES = (
    *("force-command", "source-address", "verify-required", "no-touch-required", "permit-pty"),
    *("permit-X11-forwarding", "permit-agent-forwarding", "odd@example.com", "", "x" * 300),
)
TEXTS = (*("alice", "bob@example.com", "*.example.com", "", "a b", "x" * 300, "ü", "a,b"), *NAMES)
NUMBERS = (0, 1, 1_600_000_000, 1_784_000_000, 2**31, 2**32, 2**40, 2**64 - 1)
VALUES = (b"", wire.text("/bin/true"), wire.text("10.0.0.0/8"), wire.text("x" * 2000))
ODD_VALUES = (b"\1\2\3", wire.text("a") + b"x", wire.u32(99) + b"a", wire.string(b"\xff"))


class Issuer:
    """Issues whatever comes to its mind."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        newer = (ml_dsa_key(),) if openssh() >= (10, 6) else ()
        self.ordinary = (*plain_keys(), *newer)
        self.authorities: tuple[PlainKey | Token, ...] = (*self.ordinary, *TOKENS)

    def odd(self, share: float = 0.03) -> bool:
        return self.rng.random() < share

    def text(self) -> bytes:
        if self.odd():
            return self.rng.choice((b"a\0b", b"\xff\xfe", b"latin-1 \xe9"))
        return self.rng.choice(TEXTS).encode()

    def options(self) -> bytes:
        values = (*VALUES, *ODD_VALUES) if self.odd(0.1) else (b"", *VALUES)
        count = self.rng.choice((0, 0, 1, 2))
        pairs = [(self.text(), self.rng.choice(values)) for _ in range(count)]
        return b"".join(wire.string(n) + wire.string(v) for n, v in pairs) + self.trailing()

    def trailing(self) -> bytes:
        return b"\0" if self.odd(0.01) else b""

    def principals(self) -> bytes:
        count = self.rng.choice((255, 256, 257)) if self.odd() else self.rng.choice((0, 1, 3))
        return b"".join(wire.string(self.text()) for _ in range(count)) + self.trailing()

    def blob(self) -> tuple[str, bytes]:
        authority = self.rng.choice(self.authorities)
        subject = self.rng.choice(self.authorities).public
        name = certificate_type(subject.type_name)
        signer = authority.public.blob()
        if self.odd():
            signer = certificate(authority.public, self.ordinary[0]).blob()
        number = self.rng.choice
        body = b"".join(
            (
                wire.text(name),
                wire.string(bytes(number((0, 1, 32, 1000)))),
                subject.blob()[len(wire.text(subject.type_name)) :],
                wire.u64(number(NUMBERS)),
                wire.u32(number((0, 3, 2**32 - 1)) if self.odd() else number((1, 2))),
                wire.string(self.text()),
                wire.string(self.principals()),
                wire.u64(number(NUMBERS)),
                wire.u64(number(NUMBERS)),
                wire.string(self.options()),
                wire.string(self.options()),
                wire.string(number((b"", b"reserved"))),
                wire.string(signer),
            )
        )
        signature = authority.sign(body + self.trailing()).blob() + self.trailing()
        return name, body + wire.string(signature) + self.trailing()


def ours(blob: bytes) -> list[str] | None:
    """The lines that we show; None where we refuse."""
    try:
        made = parse_certificate(blob)
        require_trustworthy(made)
    except FidokitError as error:
        return [] if "NUL" in error.message else None
    return [line.strip() for line in lines(describe(made))]


def test_shown_or_refused_alike(stock: Callable[[str], str], tmp_path: Path) -> None:
    keygen = Keygen(stock("ssh-keygen"), tmp_path)
    issuer = Issuer(SEED)
    shown = refused = 0
    for number in range(COUNT):
        name, blob = issuer.blob()
        text = name.encode() + b" " + base64.b64encode(blob) + b"\n"
        done = keygen("-L", "-f", keygen.write("c", text))
        mine = ours(blob)
        if mine == [] or any(words in done.stderr for words in DIES):
            continue
        if done.returncode != 0:
            refused += 1
            assert mine is None, (number, text)
            continue
        shown += 1
        theirs = done.stdout.decode("utf-8", "surrogateescape").rstrip("\n").split("\n")[1:]
        assert mine is not None, (number, text)
        assert without_dates(mine) == without_dates([line.strip() for line in theirs])
    assert shown > COUNT // 4
    assert refused > COUNT // 20


def without_dates(shown: list[str]) -> list[str]:
    """Each line but the validity: this machine's zone is not ssh-keygen's."""
    return [line for line in shown if not line.startswith("Valid: ")]
