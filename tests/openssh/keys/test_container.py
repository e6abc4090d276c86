"""The outside of private key files: armor and container, whole, cut and contradictory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.keys.cipher import CIPHERS, MAX_ROUNDS, Bcrypt
from fidokit.openssh.keys.container import MAX_FILE, Container, dearmor, enarmor, parse_container

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
            (enarmor(b"abc").replace(b"YWJj", b"YWJ"), "no base64"),
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
