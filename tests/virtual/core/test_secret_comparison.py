"""Secrets are compared by `hmac.compare_digest` and by nothing else.

Time itself is not measured, which would prove nothing on a busy machine: the tree of the source
shows that no operator compares a secret, and swapping `compare_digest` for a liar shows that it
alone decides about PINs, pinUvAuthParams under either kind of token, and hmac-secret's saltAuth.
"""

from __future__ import annotations

import ast
import hmac
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.virtual.core.client import GA, HASH, MC, PIN, Bench, Platform, S, make_request
from tests.virtual.core.conftest import PIN_CODE
from tests.virtual.core.manager import CM, make

import fidokit.virtual.core
from fidokit.virtual.core.commands import client_pin
from fidokit.virtual.core.person import pin_protocol

CORE = Path(fidokit.virtual.core.__path__[0])
SECRET = re.compile(
    r"pin_?hash|pin_?uv_?auth_?param|salt_?auth|mac_?key|aes_?key|\bmac\b|secret(?!_size)|wrapping"
    r"|persistent_token$|\boffered\b|token\.value|\bparam\b",
    re.IGNORECASE,
)
OPERATORS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def operands(source: str) -> Iterator[tuple[int, list[ast.expr]]]:
    """Both sides of every comparison by an operator, and what a `match` looks at."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, OPERATORS) for op in node.ops):
            yield node.lineno, [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            yield node.lineno, [node.subject]


def is_public(side: ast.expr) -> bool:
    """Constants, names of members and of profile features, and lengths are not secrets."""
    return isinstance(side, ast.Constant) or ast.unparse(side).startswith("len(")


def compared_secrets(source: str) -> list[str]:
    """Comparisons of a secret with something that is not a constant."""
    return [
        f"line {line}: {', '.join(map(ast.unparse, sides))}"
        for line, sides in operands(source)
        if not any(map(is_public, sides)) and any(SECRET.search(ast.unparse(s)) for s in sides)
    ]


@pytest.mark.parametrize("module", sorted(CORE.glob("*.py")), ids=lambda path: path.stem)
def test_no_operator_compares_a_secret(module: Path) -> None:
    assert compared_secrets(module.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "if offered == stored: pass",
        "x = params['pinUvAuthParam'] != mac",
        "ok = token.state.pin_hash in hashes",
        "while left < self.salt_auth: pass",
        "match state.wrapping_key:\n    case _: pass",
    ],
)
def test_the_reader_of_trees_sees_them(line: str) -> None:
    assert len(compared_secrets(line)) == 1


@pytest.mark.parametrize("line", ["if len(param) != 32: pass", "x = params['param'] == b''"])
def test_lengths_and_constants_are_no_secrets(line: str) -> None:
    assert compared_secrets(line) == []


class Attempt:
    """A request that carries a secret, with one that is right or one that is wrong."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.bench: Bench = platform.bench
        platform.set_pin(PIN_CODE)
        self.made = make(platform)
        self.persistent_key = platform.token(PIN_CODE, 0x40)
        self.key = platform.token(PIN_CODE, 7)
        self.length = 16 if platform.version == 1 else 32

    def param(self, right: bool, message: bytes) -> bytes:
        return self.platform.mac(self.key, message) if right else bytes(self.length)

    def pin(self, right: bool) -> int:
        self.platform.agree()
        request = self.platform.token_request(PIN_CODE if right else "no pin of it", 1)
        return self.bench.status(PIN, request)

    def set_mac(self, right: bool) -> int:
        self.platform.agree()
        request = self.platform.change_request(PIN_CODE, PIN_CODE)
        return self.bench.status(PIN, request if right else request | {4: bytes(self.length)})

    def make(self, right: bool) -> int:
        auth = {8: self.param(right, HASH), 9: self.platform.version}
        return self.bench.status(MC, make_request(auth))

    def manage(self, right: bool) -> int:
        request = {1: 1, 3: self.platform.version, 4: self.param(right, b"\x01")}
        return self.bench.status(CM, request)

    def persistent(self, right: bool) -> int:
        self.key = self.persistent_key
        self.bench.power_up()
        return self.manage(right)

    def salt(self, right: bool) -> int:
        self.platform.agree()
        sealed = self.platform.seal(bytes(32))
        mac = self.platform.mac(self.platform.mac_key, sealed) if right else bytes(self.length)
        asked = {1: self.platform.key, 2: sealed, 3: mac, 4: self.platform.version}
        listed = [{"id": self.made.id, "type": "public-key"}]
        request = {1: "ssh:work", 2: HASH, 3: listed, 4: {"hmac-secret": asked}}
        return self.bench.status(GA, request)


class Liar:
    """Module hmac with a `compare_digest` that does not look."""

    def __init__(self, answer: bool) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return getattr(hmac, name)

    def compare_digest(self, *_: bytes) -> bool:
        return self._answer


WAYS: dict[str, tuple[Callable[[Attempt, bool], int], S]] = {
    "the PIN": (Attempt.pin, S.PIN_INVALID),
    "the MAC of a new PIN": (Attempt.set_mac, S.PIN_AUTH_INVALID),
    "a session token, makeCredential": (Attempt.make, S.PIN_AUTH_INVALID),
    "a session token, management": (Attempt.manage, S.PIN_AUTH_INVALID),
    "the persistent token": (Attempt.persistent, S.PIN_AUTH_INVALID),
    "saltAuth": (Attempt.salt, S.PIN_AUTH_INVALID),
}


@pytest.mark.parametrize(("send", "refused"), WAYS.values(), ids=WAYS.keys())
def test_compare_digest_alone_decides(
    fresh: Platform, monkeypatch: pytest.MonkeyPatch, send: Any, refused: S
) -> None:
    attempt = Attempt(fresh)
    for answer, right, expected in ((True, False, S.OK), (False, True, refused)):
        for module in (pin_protocol, client_pin):  # elsewhere it tells credentials, not people
            monkeypatch.setattr(module, "hmac", Liar(answer))
        assert send(attempt, right) == expected
