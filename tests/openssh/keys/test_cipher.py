"""Ciphers and KDF of private key files. That they are OpenSSH's own is proved by the vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedKey, PassphraseWrong, UsageError
from fidokit.openssh import wire
from fidokit.openssh.keys.cipher import CIPHERS, MAX_ROUNDS, Bcrypt

EVERY_CIPHER = pytest.mark.parametrize("name", CIPHERS)
WITH_TAG = pytest.mark.parametrize("name", [c.name for c in CIPHERS.values() if c.tag])


def secret_of(name: str) -> bytes:
    return bytes(range(CIPHERS[name].secret))


@pytest.mark.parametrize(
    ("name", "block", "secret", "tag"),
    [
        ("none", 8, 0, 0),
        ("aes128-ctr", 16, 32, 0),
        ("aes192-ctr", 16, 40, 0),
        ("aes256-ctr", 16, 48, 0),
        ("aes128-cbc", 16, 32, 0),
        ("aes192-cbc", 16, 40, 0),
        ("aes256-cbc", 16, 48, 0),
        ("aes128-gcm@openssh.com", 16, 28, 16),
        ("aes256-gcm@openssh.com", 16, 44, 16),
        ("chacha20-poly1305@openssh.com", 8, 64, 16),
    ],
)
def test_sizes(name: str, block: int, secret: int, tag: int) -> None:
    cipher = CIPHERS[name]
    assert (cipher.name, cipher.block, cipher.secret, cipher.tag) == (name, block, secret, tag)


@EVERY_CIPHER
@given(st.data())
def test_open_undoes_seal(name: str, data: st.DataObject) -> None:
    cipher = CIPHERS[name]
    blocks = data.draw(st.integers(1, 9))
    text = data.draw(st.binary(min_size=blocks * cipher.block, max_size=blocks * cipher.block))
    secret = data.draw(st.binary(min_size=cipher.secret, max_size=cipher.secret))
    sealed = cipher.seal(secret, text)
    assert len(sealed) == len(text) + cipher.tag
    assert cipher.open(secret, sealed) == text
    assert name == "none" or sealed[: len(text)] != text


@WITH_TAG
def test_every_changed_bit_breaks_the_tag(name: str) -> None:
    cipher = CIPHERS[name]
    sealed = cipher.seal(secret_of(name), bytes(32))
    for bit in range(8 * len(sealed)):
        changed = (int.from_bytes(sealed, "big") ^ 1 << bit).to_bytes(len(sealed), "big")
        with pytest.raises(PassphraseWrong):
            cipher.open(secret_of(name), changed)


class TestBcrypt:
    def test_round_trip(self) -> None:
        kdf = Bcrypt(b"salt" * 4, 24)
        assert Bcrypt.parse(kdf.encode(), MAX_ROUNDS) == kdf

    def test_cut_at_every_byte_and_trailing_byte(self) -> None:
        options = Bcrypt(b"salt" * 4, 24).encode()
        for damaged in [options[:cut] for cut in range(len(options))] + [options + b"\0"]:
            with pytest.raises(MalformedKey):
                Bcrypt.parse(damaged, MAX_ROUNDS)

    @pytest.mark.parametrize("rounds", [0, MAX_ROUNDS + 1, (1 << 32) - 1])
    def test_absurd_rounds_are_refused_before_they_cost_time(self, rounds: int) -> None:
        options = wire.string(b"salt" * 4) + wire.u32(rounds)
        with pytest.raises(MalformedKey, match=f"{rounds} bcrypt rounds") as caught:
            Bcrypt.parse(options, MAX_ROUNDS)
        assert "ssh-keygen -p -a" in caught.value.hint

    @pytest.mark.parametrize("length", [0, 1025])
    def test_absurd_salt(self, length: int) -> None:
        with pytest.raises(MalformedKey, match=f"salt of {length} bytes"):
            Bcrypt.parse(wire.string(bytes(length)) + wire.u32(16), MAX_ROUNDS)

    @pytest.mark.parametrize("rounds", [-1, 0, MAX_ROUNDS + 1])
    def test_fresh_has_bounds_too(self, rounds: int) -> None:
        with pytest.raises(UsageError, match="rounds"):
            Bcrypt.fresh(rounds, bytes)

    def test_fresh_takes_16_random_bytes(self) -> None:
        assert Bcrypt.fresh(24, lambda n: b"r" * n) == Bcrypt(b"r" * 16, 24)

    def test_the_passphrase_and_the_rounds_matter(self) -> None:
        derived = {
            Bcrypt(salt, rounds).derive(words, 48)
            for salt in (b"a" * 16, b"b" * 16)
            for rounds in (1, 2)
            for words in (b"one", b"two")
        }
        assert len(derived) == 8
        assert {len(secret) for secret in derived} == {48}
