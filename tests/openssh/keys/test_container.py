"""The outside of private key files, ciphers and key derivation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedKey, PassphraseWrong, UsageError
from fidokit.openssh import wire
from fidokit.openssh.keys.container import (
    CIPHERS,
    MAX_FILE,
    MAX_ROUNDS,
    Bcrypt,
    Container,
    dearmor,
    enarmor,
    parse_container,
)

MAGIC = b"openssh-key-v1\0"
KDF = Bcrypt(b"s" * 16, 24)
PLAIN = Container(CIPHERS["none"], None, b"public", b"section!")
SEALED = Container(CIPHERS["aes256-ctr"], KDF, b"public", b"section!" * 2)
TAGGED = Container(CIPHERS["aes256-gcm@openssh.com"], KDF, b"public", b"section!" * 4)
EVERY_CONTAINER = pytest.mark.parametrize(
    "container", [PLAIN, SEALED, TAGGED], ids=lambda container: container.cipher.name
)


def raw(
    cipher: str = "none",
    kdf: str = "none",
    options: bytes = b"",
    keys: int = 1,
    section: bytes = b"section!",
) -> bytes:
    """A container field by field, for contradictions that `Container` cannot hold."""
    return enarmor(
        MAGIC
        + wire.text(cipher)
        + wire.text(kdf)
        + wire.string(options)
        + wire.u32(keys)
        + wire.string(b"public")
        + wire.string(section)
    )


class TestArmor:
    @given(st.binary(max_size=400))
    def test_round_trip(self, data: bytes) -> None:
        assert dearmor(enarmor(data)) == data

    def test_lines_have_70_columns(self) -> None:
        lines = enarmor(bytes(200)).split(b"\n")
        assert lines[0] == b"-----BEGIN OPENSSH PRIVATE KEY-----"
        assert lines[-2:] == [b"-----END OPENSSH PRIVATE KEY-----", b""]
        assert [len(line) for line in lines[1:-2]] == [70, 70, 70, 58]

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"\n", b"\r\n"),
            (b"-----\n-----END", b"-----\n\n-----END"),
            (b"-----BEGIN", b" \r\n\n-----BEGIN"),
            (b"PRIVATE KEY-----\n", b"PRIVATE KEY-----\nAAAA\n"),
            (b"c", b" c\t\n"),
        ],
        ids=["CRLF", "blank line", "blanks first", "behind the last line", "blanks inside"],
    )
    def test_what_editors_do_to_it(self, old: bytes, new: bytes) -> None:
        data = b"some bytes that are long enough for two lines of base64 text"
        head, separator, tail = enarmor(data).rpartition(b"-----END")
        if b"AAAA" in new:
            tail = tail.replace(old, new)
        else:
            head = head.replace(old, new)
            tail = tail.replace(b"\n", b"")
        assert dearmor(head + separator + tail) == data

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (b"", "BEGIN line is missing"),
            (b"ssh-ed25519 AAAA me@here\n", "BEGIN line is missing"),
            (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n", "another kind"),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "before its END"),
            (enarmor(b"abc").replace(b"YWJj", b"YW*j"), "base64"),
            (enarmor(b"abc").replace(b"YWJj", b"YWJ"), "not base64"),
            (enarmor(b"ab").replace(b"YWI=", b"YW=I"), "base64"),
            (enarmor(bytes(MAX_FILE)), "more than"),
        ],
    )
    def test_no_armor(self, text: bytes, problem: str) -> None:
        with pytest.raises(MalformedKey, match=problem):
            dearmor(text)

    def test_cut_at_every_character(self) -> None:
        text = PLAIN.encode().rstrip(b"\n")
        for cut in range(len(text)):
            with pytest.raises(MalformedKey):
                parse_container(text[:cut], MAX_ROUNDS)


class TestContainer:
    @EVERY_CONTAINER
    def test_round_trip(self, container: Container) -> None:
        assert parse_container(container.encode(), MAX_ROUNDS) == container

    @given(st.binary(max_size=99), st.integers(1, 40), st.sampled_from(sorted(CIPHERS)))
    def test_any_round_trip(self, public: bytes, blocks: int, name: str) -> None:
        cipher = CIPHERS[name]
        kdf = None if name == "none" else KDF
        container = Container(cipher, kdf, public, bytes(blocks * cipher.block + cipher.tag))
        assert parse_container(container.encode(), MAX_ROUNDS) == container

    @EVERY_CONTAINER
    def test_cut_at_every_byte(self, container: Container) -> None:
        data = dearmor(container.encode())
        for cut in range(len(data)):
            with pytest.raises(MalformedKey):
                parse_container(enarmor(data[:cut]), MAX_ROUNDS)

    @EVERY_CONTAINER
    def test_trailing_byte(self, container: Container) -> None:
        data = dearmor(container.encode())
        with pytest.raises(MalformedKey, match="follow"):
            parse_container(enarmor(data + b"\0"), MAX_ROUNDS)

    def test_the_tag_stands_outside_the_sealed_string(self) -> None:
        data = dearmor(TAGGED.encode())
        assert data.endswith(wire.string(b"section!" * 2) + b"section!" * 2)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (enarmor(b"openssh-key-v2\0" + bytes(60)), "openssh-key-v1"),
            (raw(cipher="3des-cbc", kdf="bcrypt", options=KDF.encode()), "'3des-cbc' is not known"),
            (raw(cipher="aes256-ctr"), "KDF 'none' does not go with"),
            (raw(kdf="bcrypt", options=KDF.encode()), "KDF 'bcrypt' does not go with"),
            (raw(cipher="aes256-ctr", kdf="scrypt"), "KDF 'scrypt' does not go with"),
            (raw(options=b"x"), "comes with options"),
            (raw(keys=0), "holds 0 keys"),
            (raw(keys=2), "holds 2 keys"),
            (raw(section=b""), "section of 0 bytes"),
            (raw(section=b"1234567"), "not in blocks of 8"),
            (raw("aes256-ctr", "bcrypt", KDF.encode()), "not in blocks of 16"),
            (raw("aes256-ctr", "bcrypt", wire.string(b"s") + wire.u32(99999)), "99999 bcrypt"),
        ],
    )
    def test_contradictions(self, text: bytes, problem: str) -> None:
        with pytest.raises(MalformedKey, match=problem):
            parse_container(text, MAX_ROUNDS)


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
