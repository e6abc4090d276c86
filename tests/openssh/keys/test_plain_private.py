"""Ordinary private keys: read in both layouts, cut at every byte, signing what others verify."""

from __future__ import annotations

from math import gcd, lcm

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.support import agent_keys
from tests.support.agent_keys import ALL, Held

from fidokit.errors import MalformedKey, PassphraseWrong
from fidokit.openssh import wire
from fidokit.openssh.keys.plain_private import (
    PlainPrivate,
    SignFlag,
    parse_any_private,
    read_any_private,
)
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private
from fidokit.openssh.keys.public import RsaPublic
from fidokit.openssh.signatures.signature import parse_signature, verify

MESSAGE = b"something to sign"


def named(held: Held) -> str:
    return held.name


@pytest.mark.parametrize("held", ALL, ids=named)
def test_every_type_is_read_and_signs(held: Held) -> None:
    key, size = read_any_private(held.fields + b"the rest")
    assert isinstance(key, PlainPrivate)
    assert (key.public, key.certificate, size) == (held.public, held.certificate, len(held.fields))
    flags = SignFlag.RSA_SHA2_512 if isinstance(held.public, RsaPublic) else 0
    verify(key.public, parse_signature(key.sign(MESSAGE, flags)), MESSAGE)
    expected = held.certificate.blob() if held.certificate else held.public.blob()
    assert key.public_blob() == expected


@pytest.mark.parametrize(
    ("flags", "name"),
    [(2, b"rsa-sha2-256"), (4, b"rsa-sha2-512"), (6, b"rsa-sha2-256"), (0, b"ssh-rsa")],
)
def test_flags_choose_the_hash_of_rsa(flags: int, name: bytes) -> None:
    key = agent_keys.rsa().read()
    assert isinstance(key, PlainPrivate)
    assert key.sign(MESSAGE, flags).startswith(wire.string(name))


@pytest.mark.parametrize("held", [ALL[0], ALL[1], ALL[5], ALL[6]], ids=named)
def test_cut_at_every_byte(held: Held) -> None:
    for cut in range(len(held.fields)):
        with pytest.raises(MalformedKey):
            read_any_private(held.fields[:cut])


def test_cut_rsa_at_every_field() -> None:
    fields = agent_keys.rsa().fields
    for cut in range(0, len(fields), 7):
        with pytest.raises(MalformedKey):
            read_any_private(fields[:cut])


def other_ed25519() -> bytes:
    """Of one key the public half, of another the secret."""
    mine, other = agent_keys.ed25519(2).fields, agent_keys.ed25519(3).fields
    return mine[: 4 + 11 + 4 + 32] + other[4 + 11 + 4 + 32 :]


def other_ecdsa() -> bytes:
    mine, other = agent_keys.ecdsa(seed=2), agent_keys.ecdsa(seed=3)
    return mine.public.blob() + other.fields[len(other.public.blob()) :]


RSA_N = agent_keys._rsa_private().private_numbers().public_numbers.n


def rsa_with(**changed: int) -> bytes:
    numbers = agent_keys._rsa_private().private_numbers()
    parts = {
        "n": numbers.public_numbers.n,
        "e": numbers.public_numbers.e,
        "d": numbers.d,
        "iqmp": numbers.iqmp,
        "p": numbers.p,
        "q": numbers.q,
    } | changed
    return wire.text("ssh-rsa") + b"".join(map(wire.mpint, parts.values()))


@pytest.mark.parametrize(
    "fields",
    [
        other_ed25519(),
        other_ecdsa(),
        rsa_with(p=3),
        rsa_with(d=1 << 5000),
        rsa_with(d=3),
        rsa_with(n=15, p=3, q=5),
        *(rsa_with(p=p, q=RSA_N // p if p else 0) for p in (0, 1, 2)),
        rsa_with(p=RSA_N, q=1),
        rsa_with(e=0),
        rsa_with(iqmp=1),
        rsa_with(iqmp=0),
        rsa_with(n=1 << 2048, p=2, q=1 << 2047),
        agent_keys.ecdsa().public.blob() + wire.mpint(0),
        agent_keys.ecdsa().public.blob() + wire.mpint(1 << 256),
        wire.text("ssh-dss") + wire.mpint(1),
        wire.text("sk-something@else") + bytes(8),
    ],
)
def test_secrets_that_do_not_fit_are_refused(fields: bytes) -> None:
    with pytest.raises(MalformedKey):
        read_any_private(fields)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(st.integers(0, 5), st.integers(0, 1 << 2100))
            for name in ("n", "e", "d", "iqmp", "p", "q")
        },
    )
)
def test_any_rsa_numbers_are_a_key_or_an_error_of_ours(changed: dict[str, int]) -> None:
    try:
        key, _ = read_any_private(rsa_with(**changed))
        assert isinstance(key, PlainPrivate)
        key.sign(b"data", 2)
    except MalformedKey:
        pass


def largest_rsa() -> bytes:
    """The costliest key that is taken, 16,384 bits; nobody asks whether its primes are prime."""
    p, q = (1 << 8192) - 1, (1 << 8192) - 3
    e = 65537
    while gcd(p, q) > 1 or gcd(e, (p - 1) * (q - 1)) > 1:
        q -= 2
    d = pow(e, -1, lcm(p - 1, q - 1))
    return rsa_with(n=p * q, e=e, d=d, iqmp=pow(q, -1, p), p=p, q=q)


def test_the_largest_rsa_key_costs_no_search_for_divisors(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL's own check takes a minute for it, and ssh-agent does not ask for it either."""
    asked: list[bool] = []
    real = rsa.RSAPrivateNumbers.private_key

    def private_key(self: rsa.RSAPrivateNumbers, **how: bool) -> rsa.RSAPrivateKey:
        asked.append(not how.get("unsafe_skip_rsa_key_validation", False))
        return real(self, **how)

    monkeypatch.setattr(rsa.RSAPrivateNumbers, "private_key", private_key)
    read_any_private(largest_rsa())
    assert asked == [False]


def test_a_certificate_over_another_key_is_refused() -> None:
    mine, other = agent_keys.certified(agent_keys.ed25519(2)), agent_keys.ed25519(3)
    made = mine.certificate
    assert made is not None
    head = wire.text(made.type_name) + wire.string(made.blob())
    with pytest.raises(MalformedKey):
        read_any_private(head + other.fields[4 + 11 :])


def test_a_key_on_a_token_is_read_as_one() -> None:
    key = agent_keys.sk()
    assert read_any_private(key.encode() + b"more") == (key, len(key.encode()))


def test_secrets_never_print() -> None:
    key = agent_keys.ed25519().read()
    assert "sign" not in repr(key)


# --- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("words", ["", "a passphrase"])
def test_files_of_ssh_keygen(tmp_path: object, stock_keygen: object, kind: str, words: str) -> None:
    text = stock_keygen(kind, words)  # type: ignore[operator]
    key, comment = parse_any_private(text, words.encode)
    assert isinstance(key, PlainPrivate)
    assert comment == "me@here"
    flags = SignFlag.RSA_SHA2_256 if kind == "rsa" else 0
    verify(key.public, parse_signature(key.sign(MESSAGE, flags)), MESSAGE)
    if words:
        with pytest.raises(PassphraseWrong):
            parse_any_private(text, lambda: b"another")
        with pytest.raises(PassphraseWrong):
            parse_any_private(text, bytes)


def test_files_of_keys_on_tokens() -> None:
    file = PrivateFile(agent_keys.sk(), "comment")
    key, comment = parse_any_private(encode_private(file), bytes)
    assert isinstance(key, SkPrivate)
    assert (key, comment) == (file.key, "comment")


def test_a_damaged_file_without_passphrase() -> None:
    with pytest.raises(MalformedKey):
        parse_any_private(b"-----BEGIN OPENSSH PRIVATE KEY-----\n", bytes)
