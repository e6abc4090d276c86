"""Private key files: round trips under every cipher, every cut, and what must be refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.samples import PUBLIC_KEYS, SK_ED25519, SK_KEYS, key_id, sk_keys

from fidokit.errors import MalformedKey, PassphraseRequired, PassphraseWrong, UsageError
from fidokit.openssh import wire
from fidokit.openssh.keys import private
from fidokit.openssh.keys.container import (
    CIPHERS,
    MAX_ROUNDS,
    Bcrypt,
    Container,
    enarmor,
    parse_container,
)
from fidokit.openssh.keys.private import (
    PrivateFile,
    SkPrivate,
    encode_private,
    parse_private,
    peek_public,
    read_private,
)
from fidokit.openssh.keys.public import PublicKey, SkPublic
from fidokit.openssh.wire import Reader
from fidokit.types import KeyHandle, SkFlag

EVERY_SK = pytest.mark.parametrize("public", SK_KEYS, ids=key_id)
EVERY_CIPHER = pytest.mark.parametrize("cipher", [name for name in CIPHERS if name != "none"])
PASSPHRASE = b"correct horse"


def file_of(public: SkPublic = SK_ED25519, comment: str = "me@here") -> PrivateFile:
    flags = SkFlag.USER_PRESENCE_REQUIRED | SkFlag.RESIDENT_KEY
    return PrivateFile(SkPrivate(public, flags, KeyHandle(bytes(range(64)))), comment)


def fixed(n: int) -> bytes:
    """Randomness that tests can predict."""
    return b"\x07" * n


def plain(section: bytes, public: PublicKey = SK_ED25519) -> bytes:
    """A file without passphrase around any section, padded by the caller or not at all."""
    return Container(CIPHERS["none"], None, public.blob(), section).encode()


def section_of(file: PrivateFile) -> bytes:
    """What `encode_private` seals, without padding."""
    return fixed(8) + file.key.encode() + wire.text(file.comment)


def padded(section: bytes) -> bytes:
    return section + bytes(range(1, 1 + -len(section) % 8))


private_files = st.builds(
    PrivateFile,
    st.builds(
        SkPrivate,
        sk_keys,
        st.integers(0, 255).map(SkFlag),
        st.binary(max_size=300).map(KeyHandle),
        st.binary(max_size=9),
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=99),
)


class TestPlain:
    @EVERY_SK
    def test_round_trip(self, public: SkPublic) -> None:
        file = file_of(public)
        assert parse_private(encode_private(file), None) == file

    @given(private_files)
    def test_any_round_trip(self, file: PrivateFile) -> None:
        text = encode_private(file, random=fixed)
        assert parse_private(text, None) == file
        assert encode_private(parse_private(text, None), random=fixed) == text
        assert peek_public(text) == file.key.public

    @EVERY_SK
    def test_cut_at_every_byte(self, public: SkPublic) -> None:
        section = section_of(file_of(public))
        container = parse_container(encode_private(file_of(public)), 1)
        for cut in range(len(section)):
            with pytest.raises(MalformedKey):
                private._read_section(section[:cut], container, public)

    @EVERY_SK
    def test_the_key_alone_cut_at_every_byte_and_trailing_byte(self, public: SkPublic) -> None:
        data = file_of(public).key.encode()
        assert read_private(Reader(data, "key")) == file_of(public).key
        for cut in range(len(data)):
            with pytest.raises(MalformedKey):
                read_private(Reader(data[:cut], "key"))
        reader = Reader(data + b"\0", "key")
        read_private(reader)
        with pytest.raises(MalformedKey, match="follow"):
            reader.end()

    def test_an_empty_passphrase_is_none(self) -> None:
        assert encode_private(file_of(), passphrase=b"", random=fixed) == encode_private(
            file_of(), random=fixed
        )

    @pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-gcm@openssh.com"])
    @pytest.mark.parametrize(
        ("locked", "typed", "opens"),
        [
            ("größe".encode("latin-1"), "größe".encode(), True),
            ("größe".encode(), "größe".encode("latin-1"), True),
            ("größe".encode("latin-1"), "größer".encode(), False),
            (b"gr", "gr\u20ac".encode(), False),
        ],
    )
    def test_a_passphrase_in_the_other_encoding(
        self, cipher: str, locked: bytes, typed: bytes, opens: bool
    ) -> None:
        text = encode_private(file_of(), passphrase=locked, rounds=1, cipher=cipher)
        if opens:
            assert parse_private(text, lambda: typed) == file_of()
            return
        with pytest.raises(PassphraseWrong):
            parse_private(text, lambda: typed)

    def test_nobody_is_asked_for_a_passphrase(self) -> None:
        def never() -> bytes:
            raise AssertionError("asked")

        assert parse_private(encode_private(file_of()), never) == file_of()


class TestFlags:
    @pytest.mark.parametrize("flags", [0x00, 0x01, 0x05, 0x21, 0x25, 0x31, 0x80, 0xFF])
    def test_every_bit_is_kept(self, flags: int) -> None:
        key = SkPrivate(SK_ED25519, SkFlag(flags), KeyHandle(b"handle"))
        parsed = parse_private(encode_private(PrivateFile(key, "")), None).key
        assert int(parsed.flags) == flags

    def test_force_leaks_and_is_read(self) -> None:
        key = SkPrivate(SK_ED25519, SkFlag(0x31), KeyHandle(b"handle"))
        flags = parse_private(encode_private(PrivateFile(key, "")), None).key.flags
        assert flags == (
            SkFlag.USER_PRESENCE_REQUIRED | SkFlag.FORCE_OPERATION | SkFlag.RESIDENT_KEY
        )


class TestPassphrase:
    @EVERY_SK
    @EVERY_CIPHER
    def test_round_trip(self, public: SkPublic, cipher: str) -> None:
        file = file_of(public)
        text = encode_private(file, passphrase=PASSPHRASE, rounds=1, cipher=cipher)
        assert parse_private(text, lambda: PASSPHRASE) == file
        assert peek_public(text) == public

    @settings(max_examples=25, deadline=None)
    @given(private_files, st.binary(min_size=1, max_size=80))
    def test_any_round_trip(self, file: PrivateFile, passphrase: bytes) -> None:
        text = encode_private(file, passphrase=passphrase, rounds=1)
        assert parse_private(text, lambda: passphrase) == file

    @EVERY_CIPHER
    @pytest.mark.parametrize("wrong", [b"", b"wrong", PASSPHRASE + b" "])
    def test_wrong(self, cipher: str, wrong: bytes) -> None:
        text = encode_private(
            file_of(), passphrase=PASSPHRASE, rounds=1, cipher=cipher, random=fixed
        )
        with pytest.raises(PassphraseWrong):
            parse_private(text, lambda: wrong)

    def test_nobody_to_ask(self) -> None:
        text = encode_private(file_of(), passphrase=PASSPHRASE, rounds=1)
        with pytest.raises(PassphraseRequired) as caught:
            parse_private(text, None)
        assert "--passphrase-file" in caught.value.hint

    def test_defaults_are_openssh_9_9s(self) -> None:
        text = encode_private(file_of(), passphrase=PASSPHRASE, random=fixed)
        same = encode_private(
            file_of(), passphrase=PASSPHRASE, rounds=24, cipher="aes256-ctr", random=fixed
        )
        assert text == same

    def test_salt_and_check_integers_are_fresh(self) -> None:
        texts = {encode_private(file_of(), passphrase=PASSPHRASE, rounds=1) for _ in range(3)}
        assert len(texts) == 3

    def test_random_is_asked_for_the_salt_then_the_check(self) -> None:
        asked: list[int] = []

        def record(n: int) -> bytes:
            asked.append(n)
            return bytes(n)

        encode_private(file_of(), passphrase=PASSPHRASE, rounds=1, random=record)
        assert asked == [16, 4]

    def test_too_many_rounds_are_refused_before_asking(self) -> None:
        kdf = Bcrypt(b"s" * 16, MAX_ROUNDS + 1)
        text = Container(CIPHERS["aes256-ctr"], kdf, SK_ED25519.blob(), bytes(16)).encode()

        def never() -> bytes:
            raise AssertionError("asked")

        with pytest.raises(MalformedKey, match="rounds"):
            parse_private(text, never)
        assert peek_public(text) == SK_ED25519

    def test_the_bearable_number_of_rounds_is_the_callers(self) -> None:
        text = encode_private(file_of(), passphrase=PASSPHRASE, rounds=3)
        with pytest.raises(MalformedKey, match="3 bcrypt rounds"):
            parse_private(text, lambda: PASSPHRASE, max_rounds=2)

    @pytest.mark.parametrize("cipher", ["none", "3des-cbc", ""])
    def test_no_such_cipher_to_write(self, cipher: str) -> None:
        with pytest.raises(UsageError, match="no private key is written"):
            encode_private(file_of(), passphrase=PASSPHRASE, cipher=cipher)


class TestContradictions:
    def test_check_integers_differ(self) -> None:
        section = padded(bytes(7) + b"\1" + section_of(file_of())[8:])
        with pytest.raises(MalformedKey, match="check integers"):
            parse_private(plain(section), None)

    @pytest.mark.parametrize("position", [0, -1])
    def test_padding(self, position: int) -> None:
        section = bytearray(padded(section_of(file_of(comment="four"))))
        start = len(section_of(file_of(comment="four")))
        assert start < len(section)
        section[start if position == 0 else -1] ^= 0x40
        with pytest.raises(MalformedKey, match="padding"):
            parse_private(plain(bytes(section)), None)

    def test_a_whole_block_of_padding_is_borne_as_stock_does(self) -> None:
        section = section_of(file_of())
        long = section + bytes(range(1, 1 + 8 + -len(section) % 8))
        assert parse_private(plain(long), None) == file_of()

    @pytest.mark.parametrize("least", [0, 248, 256, 504, 512, 520, 768, 1024, 4096])
    def test_padding_of_any_length_counts_on_after_255(self, least: int) -> None:
        section = section_of(file_of())
        padding = bytes(at & 0xFF for at in range(1, 1 + least + -len(section) % 8))
        assert parse_private(plain(section + padding), None) == file_of()
        for at in {0, 255, 256, 511, 512, 767, len(padding) - 1} & set(range(len(padding))):
            damaged = bytearray(section + padding)
            damaged[len(section) + at] ^= 1
            with pytest.raises(MalformedKey, match="padding"):
                parse_private(plain(bytes(damaged)), None)

    @pytest.mark.parametrize("other", [key for key in SK_KEYS if key != SK_ED25519], ids=key_id)
    def test_the_outer_half_is_another_key(self, other: PublicKey) -> None:
        with pytest.raises(MalformedKey, match="is not the one inside"):
            parse_private(plain(padded(section_of(file_of())), other), None)

    def test_trailing_bytes(self) -> None:
        section = padded(section_of(file_of()))
        with pytest.raises(MalformedKey, match="padding"):
            parse_private(plain(section + bytes(8)), None)

    def test_a_comment_is_any_bytes(self) -> None:
        section = fixed(8) + file_of().key.encode() + wire.string(b"caf\xe9")
        data = plain(padded(section))
        assert parse_private(data, None).comment == "caf\udce9"
        assert encode_private(parse_private(data, None), random=fixed) == data

    def test_a_comment_with_a_nul(self) -> None:
        section = fixed(8) + file_of().key.encode() + wire.string(b"a\0b")
        with pytest.raises(MalformedKey, match="comment") as caught:
            parse_private(plain(padded(section)), None)
        assert "ssh-keygen -c" in caught.value.hint

    @pytest.mark.parametrize("comment", ["a\0b", "\ud800"], ids=["NUL", "half a character"])
    def test_comment_that_cannot_be_written(self, comment: str) -> None:
        with pytest.raises(UsageError, match="comment"):
            encode_private(file_of(comment=comment))


ORDINARY = [key for key in PUBLIC_KEYS if key not in SK_KEYS]


@pytest.mark.parametrize("public", ORDINARY, ids=key_id)
def test_an_ordinary_key_is_named_before_asking(public: PublicKey) -> None:
    kdf = Bcrypt(b"s" * 16, 24)
    text = Container(CIPHERS["aes256-ctr"], kdf, public.blob(), bytes(16)).encode()
    with pytest.raises(MalformedKey, match=f"ordinary key \\({public.type_name}\\)"):
        parse_private(text, None)
    assert peek_public(text) == public


def test_an_ordinary_key_inside_is_named_too() -> None:
    section = padded(fixed(8) + ORDINARY[0].blob() + bytes(8))
    with pytest.raises(MalformedKey, match="ordinary key"):
        parse_private(plain(section), None)


def test_peek_needs_a_public_half() -> None:
    text = Container(CIPHERS["none"], None, b"", bytes(8)).encode()
    with pytest.raises(MalformedKey):
        peek_public(text)
    with pytest.raises(MalformedKey):
        peek_public(enarmor(b"openssh-key-v1\0"))
