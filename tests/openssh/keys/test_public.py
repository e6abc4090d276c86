"""Public key blobs and lines: round trips, every cut, and what must be refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import (
    ECDSA,
    ED25519,
    PUBLIC_KEYS,
    RSA,
    SK_ECDSA,
    SK_ED25519,
    comments,
    key_id,
    public_keys,
)

from fidokit.errors import MalformedKey, UsageError
from fidokit.openssh import wire
from fidokit.openssh.keys import public
from fidokit.openssh.keys.public import (
    EcdsaPublic,
    Ed25519Public,
    PublicKey,
    PublicLine,
    SkEcdsaPublic,
    SkEd25519Public,
    as_bytes,
    parse_public,
    parse_public_line,
    require_on_curve,
)

EVERY_KEY = pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)


def line_of(key: PublicKey) -> str:
    return PublicLine(key, "").encode()


@EVERY_KEY
def test_blob_round_trip(key: PublicKey) -> None:
    assert parse_public(key.blob()) == key


@given(public_keys)
def test_any_blob_round_trip(key: PublicKey) -> None:
    blob = key.blob()
    assert parse_public(blob) == key
    assert parse_public(blob).blob() == blob


@EVERY_KEY
def test_cut_at_every_byte(key: PublicKey) -> None:
    blob = key.blob()
    for cut in range(len(blob)):
        with pytest.raises(MalformedKey):
            parse_public(blob[:cut])


@EVERY_KEY
def test_trailing_byte(key: PublicKey) -> None:
    for extra in (b"\0", b"x"):
        with pytest.raises(MalformedKey, match="follow"):
            parse_public(key.blob() + extra)


@pytest.mark.parametrize(
    ("key", "type_name", "short_type", "bits"),
    [
        (SK_ED25519, "sk-ssh-ed25519@openssh.com", "ED25519-SK", 256),
        (SK_ECDSA, "sk-ecdsa-sha2-nistp256@openssh.com", "ECDSA-SK", 256),
        (ED25519, "ssh-ed25519", "ED25519", 256),
        (ECDSA["nistp256"], "ecdsa-sha2-nistp256", "ECDSA", 256),
        (ECDSA["nistp384"], "ecdsa-sha2-nistp384", "ECDSA", 384),
        (ECDSA["nistp521"], "ecdsa-sha2-nistp521", "ECDSA", 521),
        (RSA, "ssh-rsa", "RSA", 1025),
    ],
    ids=key_id,
)
def test_names_and_sizes(key: PublicKey, type_name: str, short_type: str, bits: int) -> None:
    assert (key.type_name, key.short_type, key.bits) == (type_name, short_type, bits)


class TestFixedOffsets:
    """The short cut for token keys may accept only what the full reader accepts."""

    @given(public_keys)
    def test_agrees_on_honest_keys(self, key: PublicKey) -> None:
        blob = key.blob()
        assert public._by_fixed_offsets(blob) in (None, public._by_reader(blob))

    @given(
        st.sampled_from([SK_ED25519.blob(), SK_ECDSA.blob()]),
        st.integers(0, 200),
        st.binary(max_size=3),
    )
    def test_agrees_on_damaged_keys(self, blob: bytes, at: int, piece: bytes) -> None:
        damaged = blob[:at] + piece + blob[at + len(piece) :]
        quick = public._by_fixed_offsets(damaged)
        if quick is not None:
            assert public._by_reader(damaged) == quick

    @pytest.mark.parametrize("key", [SK_ED25519, SK_ECDSA], ids=key_id)
    def test_is_taken(self, key: PublicKey) -> None:
        assert public._by_fixed_offsets(key.blob()) == key
        assert public.fixed_layout(key.blob()) is type(key)
        assert public.fixed_layout(ED25519.blob()) is None


class TestPoints:
    @pytest.mark.parametrize("key", [SK_ECDSA, *ECDSA.values()], ids=key_id)
    def test_off_the_curve(self, key: SkEcdsaPublic | EcdsaPublic) -> None:
        blob = key.blob()
        at = blob.index(key.point) + 1
        with pytest.raises(MalformedKey, match="not on the curve"):
            parse_public(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])

    def test_compressed_and_infinity_are_refused(self) -> None:
        head = wire.text("ecdsa-sha2-nistp256") + wire.text("nistp256")
        point = SK_ECDSA.point
        for other in (b"\x02" + point[1:33], b"\0", b"", b"\x06" + point[1:]):
            with pytest.raises(MalformedKey, match="not on the curve"):
                parse_public(head + wire.string(other))

    def test_curve_must_be_the_one_of_the_type(self) -> None:
        blob = ECDSA["nistp384"].blob().replace(b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp256")
        with pytest.raises(MalformedKey, match="expected b'nistp256'"):
            parse_public(blob)

    def test_ed25519_must_have_32_bytes(self) -> None:
        with pytest.raises(MalformedKey, match="31 bytes, not 32"):
            parse_public(wire.text("ssh-ed25519") + wire.string(bytes(31)))

    @EVERY_KEY
    def test_require_on_curve(self, key: PublicKey) -> None:
        require_on_curve(key)

    @pytest.mark.parametrize("key", [SK_ED25519, ED25519], ids=key_id)
    def test_require_on_curve_refuses(self, key: SkEd25519Public | Ed25519Public) -> None:
        off = b"\x02" + bytes(31)
        damaged = parse_public(key.blob().replace(key.point, off))
        with pytest.raises(MalformedKey, match="not on the curve"):
            require_on_curve(damaged)


class TestRsa:
    @staticmethod
    def blob(e: int, n: int) -> bytes:
        return wire.text("ssh-rsa") + wire.mpint(e) + wire.mpint(n)

    @pytest.mark.parametrize("bits", [1024, 16384])
    def test_bounds_are_in(self, bits: int) -> None:
        assert parse_public(self.blob(65537, 1 << bits - 1)).bits == bits

    @pytest.mark.parametrize("bits", [1, 1023, 16385])
    def test_out_of_bounds(self, bits: int) -> None:
        with pytest.raises(MalformedKey, match=f"modulus of {bits} bits"):
            parse_public(self.blob(1, 1 << bits - 1))

    @pytest.mark.parametrize("e", [0, 1 << 1023])
    def test_exponent(self, e: int) -> None:
        with pytest.raises(MalformedKey, match="exponent"):
            parse_public(self.blob(e, 1 << 1023))


def test_unknown_type() -> None:
    with pytest.raises(MalformedKey, match="'ssh-dss' is not known"):
        parse_public(wire.text("ssh-dss") + wire.mpint(5))


def test_certificate_is_named() -> None:
    with pytest.raises(MalformedKey, match="certificate") as caught:
        parse_public(wire.text("sk-ssh-ed25519-cert-v01@openssh.com") + bytes(40))
    assert ".pub" in caught.value.hint


def test_size_is_bounded() -> None:
    blob = wire.text("sk-ssh-ed25519@openssh.com") + wire.string(bytes(32))
    with pytest.raises(MalformedKey, match="more than"):
        parse_public(blob + wire.string(b"a" * public.MAX_BLOB))


@pytest.mark.parametrize(
    ("application", "problem"), [(b"ssh:\0", "NUL"), (b"\0", "NUL"), (b"ssh:\xff", "UTF-8")]
)
def test_application_that_is_no_text(application: bytes, problem: str) -> None:
    for key in (SK_ED25519, SK_ECDSA):
        blob = key.blob().removesuffix(wire.text("ssh:")) + wire.string(application)
        with pytest.raises(MalformedKey, match=problem):
            parse_public(blob)


@pytest.mark.parametrize("application", ["", "ssh:", "ssh:\x1b]0;owned\x07", "ssh:é", "a" * 300])
def test_application_is_kept_as_it_is(application: str) -> None:
    blob = SK_ED25519.blob().removesuffix(wire.text("ssh:")) + wire.text(application)
    key = parse_public(blob)
    assert isinstance(key, public.SkEd25519Public)
    assert key.application == application
    assert key.blob() == blob


class TestLines:
    @given(public_keys, comments)
    def test_round_trip(self, key: PublicKey, comment: str) -> None:
        line = PublicLine(key, comment)
        assert parse_public_line(line.encode()) == line
        assert parse_public_line(line.encode().encode() + b"\r\n") == line

    @EVERY_KEY
    def test_without_comment(self, key: PublicKey) -> None:
        blob = base64.b64encode(key.blob()).decode()
        assert line_of(key) == f"{key.type_name} {blob}"
        assert parse_public_line(line_of(key)).comment == ""

    @pytest.mark.parametrize(
        ("tail", "comment"),
        [
            ("", ""),
            ("\n", ""),
            (" \n", ""),
            (" me@here\n", "me@here"),
            ("\tme@here\r\n", "me@here"),
            ("  two  words \n", "two  words "),
            (" #7", "#7"),
            (" \v", "\v"),
        ],
    )
    def test_what_surrounds_the_comment(self, tail: str, comment: str) -> None:
        assert parse_public_line(line_of(SK_ED25519) + tail).comment == comment

    def test_blanks_before_and_between(self) -> None:
        type_name, blob = line_of(SK_ED25519).split()
        assert parse_public_line(f" \t{type_name}\t  {blob}").key == SK_ED25519

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n",
            "# a comment",
            "ssh-ed25519",
            "ssh-ed25519 ",
            line_of(SK_ED25519) + " a\nb",
            line_of(SK_ED25519) + " a\rb",
            line_of(SK_ED25519) + " a\0b",
            'cert-authority,environment="A=b c" ' + line_of(SK_ED25519),
            pytest.param(line_of(SK_ED25519) + " \ud800", id="half a character"),
            line_of(SK_ED25519).replace(" ", " é"),
        ],
    )
    def test_no_public_key_line(self, text: str) -> None:
        with pytest.raises(MalformedKey):
            parse_public_line(text)

    def test_cut_at_every_character(self) -> None:
        line = line_of(SK_ED25519)
        for cut in range(len(line)):
            with pytest.raises(MalformedKey):
                parse_public_line(line[:cut])

    def test_type_must_match_the_blob(self) -> None:
        with pytest.raises(MalformedKey, match="the key in it is sk-ssh-ed25519"):
            parse_public_line(line_of(SK_ED25519).replace("sk-ssh-ed25519@openssh.com", "ssh-rsa"))

    @pytest.mark.parametrize("bad", ["A", "=", "AA=A", "*AAA", "AAAA\u00e9"])
    def test_base64_that_is_none(self, bad: str) -> None:
        with pytest.raises(MalformedKey):
            parse_public_line(f"ssh-ed25519 {bad}")

    def test_stray_bits_in_base64(self) -> None:
        line = line_of(SK_ED25519)
        assert line.endswith("=")
        twin = line.rstrip("=")
        last = chr(ord(twin[-1]) + 1)
        with pytest.raises(MalformedKey, match="stray signs or bits"):
            parse_public_line(twin[:-1] + last + line[len(twin) :])

    def test_a_comment_is_any_bytes(self) -> None:
        raw = line_of(SK_ED25519).encode() + b" caf\xe9"
        assert as_bytes(parse_public_line(raw).encode()) == raw

    @pytest.mark.parametrize("comment", ["a\nb", "a\rb", "a\0b"])
    def test_comment_cannot_forge_a_line(self, comment: str) -> None:
        with pytest.raises(UsageError, match="line break"):
            PublicLine(SK_ED25519, comment).encode()
