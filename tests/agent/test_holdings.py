"""What a running agent holds: keys, certificates, and what nobody here can read."""

from __future__ import annotations

from typing import cast

from tests.support.signers import certificate, ed25519_key, ed25519_token, ml_dsa_key

from fidokit.agent.holdings import ServedKey, agent_holdings
from fidokit.agent_client import AgentClient
from fidokit.cli import schema
from fidokit.openssh.certificates.certificate import FOREVER
from fidokit.openssh.keys.fingerprint import sha256

TOKEN, PLAIN = ed25519_token().public, ed25519_key().public


class _Agent:
    """An agent that shows these keys at a socket that nobody listens at."""

    path = "/nonexistent/agent"

    def __init__(self, *shown: tuple[bytes, str]) -> None:
        self._shown = list(shown)

    def keys(self) -> list[tuple[bytes, str]]:
        return self._shown


def held(*shown: tuple[bytes, str]) -> tuple[ServedKey, ...]:
    found = agent_holdings(cast("AgentClient", _Agent(*shown)))
    assert (found.socket, found.program) == ("/nonexistent/agent", "")
    return found.keys


def test_keys_on_tokens_and_others() -> None:
    token, plain, odd = held(
        (TOKEN.blob(), "work"), (PLAIN.blob(), ""), (ml_dsa_key().public.blob(), "new")
    )
    assert (token.type_label, token.on_token, token.application) == ("ED25519-SK", True, "ssh:")
    assert (plain.type_label, plain.on_token, plain.application) == ("ED25519", False, None)
    assert odd.type_label == "MLDSA44-ED25519"
    assert {one.valid_before for one in (token, plain, odd)} == {None}


def test_a_certificate_has_the_fingerprint_of_its_key_and_an_end() -> None:
    ends, lasts = held(
        (certificate(TOKEN, ed25519_key(), valid_before=1_800_000_000).blob(), "a"),
        (certificate(PLAIN, ed25519_key(), valid_before=FOREVER).blob(), "b"),
    )
    assert (ends.fingerprint, ends.type_label) == (sha256(TOKEN.blob()), "ED25519-SK-CERT")
    assert ends.on_token
    assert [schema.until(one) for one in (ends, lasts)] == ["2027-01-15T08:00:00Z", None]


def test_what_cannot_be_read_is_listed_all_the_same() -> None:
    blob = b"\0\0\0\3new" + b"x" * 9
    for raw in (blob, b"", TOKEN.blob()[:-1], TOKEN.blob() + b"x"):
        (key,) = held((raw, "\x1b[2J"))
        assert (key.fingerprint, key.type_label, key.on_token) == (sha256(raw), "", False)
