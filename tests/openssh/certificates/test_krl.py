"""Revocation lists, and files of revoked keys."""

from __future__ import annotations

import base64
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutate import fuzz_count, survive
from tests.support.signers import certificate, ecdsa_key, ecdsa_token, ed25519_key, ed25519_token

from fidokit.errors import Malformed, MalformedFile, MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.certificates import krl
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.certificates.krl import (
    MAGIC,
    Bitmap,
    Entry,
    ExplicitKey,
    Fingerprint,
    KeyId,
    Serials,
    file_revocation,
    parse_krl,
)
from fidokit.openssh.certificates.krl_encoding import encode_krl
from fidokit.openssh.keys.public import PublicKey

VECTORS = Path(__file__).parents[2] / "vectors" / "krls"
KRLS = {path.stem: path.read_bytes() for path in sorted(VECTORS.glob("*.krl"))}
CA = ed25519_key(99)
OTHER_CA = ed25519_key(98)
TOKEN, OTHER, PLAIN = ed25519_token().public, ecdsa_token().public, ecdsa_key().public
FREE = ed25519_key(50).public
HEAD = krl.MAGIC + wire.u32(1) + wire.u64(0) * 3 + wire.string(b"") * 2


def section(kind: int, body: bytes) -> bytes:
    return wire.u8(kind) + wire.string(body)


def of_authority(*parts: bytes, authority: bytes = CA.public.blob()) -> bytes:
    body = wire.string(authority) + wire.string(b"") + b"".join(parts)
    return HEAD + section(krl.CERTIFICATES, body)


def revoked_serials(data: bytes, serials: list[int]) -> list[int]:
    lists = parse_krl(data)
    made = {serial: certificate(FREE, CA, serial=serial, key_id="x") for serial in serials}
    return [serial for serial, cert in made.items() if lists.revocation(cert)]


# --- what ssh-keygen wrote -----------------------------------------------------------------


def test_the_vectors_are_all_there() -> None:
    assert len(KRLS) == 10


@pytest.mark.parametrize("name", KRLS)
def test_the_head(name: str) -> None:
    found = parse_krl(KRLS[name])
    assert (found.version, found.comment) == (7, "made for a test")
    assert 1_700_000_000 < found.generated < 4_000_000_000


@pytest.mark.parametrize("name", ["keys", "sha1", "sha256"])
def test_plain_keys(name: str) -> None:
    found = parse_krl(KRLS[name])
    for key in (TOKEN, OTHER):
        assert found.revocation(key)
        assert found.revocation(certificate(key, CA))
    assert found.revocation(FREE) is None
    assert found.revocation(certificate(FREE, CA)) is None


def test_a_certificate_is_revoked_with_its_authority() -> None:
    found = parse_krl(encode_krl([ExplicitKey(CA.public.blob())]))
    assert found.revocation(certificate(FREE, CA)) == "the key of its authority is revoked"
    assert found.revocation(certificate(FREE, OTHER_CA)) is None


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("serial-list", [5, 5_000_000, 2**64 - 1], [0, 4, 6, 2**64 - 2]),
        ("serial-range", [3, 10, 11, 2**63], [0, 1, 4, 9, 2**63 + 1, 2**64 - 1]),
        ("serial-bitmap", [1000, 1003, 1399], [0, 999, 1001, 1398, 1402, 2**64 - 1]),
        ("mixed", [1, 500, 1000, 2000], [0, 1001, 1999, 2001]),
        ("every-authority", [7], [0, 6, 8]),
        ("empty", [], [0, 1, 7]),
    ],
)
def test_serials(name: str, inside: list[int], outside: list[int]) -> None:
    assert revoked_serials(KRLS[name], inside + outside) == inside


@pytest.mark.parametrize("name", ["key-ids", "every-authority", "mixed"])
def test_key_ids(name: str) -> None:
    found = parse_krl(KRLS[name])
    assert found.revocation(certificate(FREE, CA, key_id="alice"))
    assert found.revocation(certificate(FREE, CA, key_id="alicia")) is None
    other = found.revocation(certificate(FREE, OTHER_CA, key_id="alice"))
    assert bool(other) is (name == "every-authority")


@pytest.mark.parametrize("name", KRLS)
def test_cut_at_every_byte(name: str) -> None:
    """A list that ends between two sections is whole; all other cuts are errors."""
    data = KRLS[name]
    ends = {len(data)}
    for cut in range(len(data)):
        try:
            parse_krl(data[:cut])
        except MalformedKey:
            continue
        ends.add(cut)
    assert len(ends) == 1 + {"empty": 0, "mixed": 4}.get(name, 1)


@pytest.mark.parametrize("name", KRLS)
def test_trailing_bytes(name: str) -> None:
    for extra in (b"\0", b"\x02", b"\x02\0\0\0", b"junk" * 4):
        with pytest.raises(MalformedKey):
            parse_krl(KRLS[name] + extra)


@pytest.mark.parametrize("name", KRLS)
def test_what_is_read_is_written(name: str) -> None:
    entries = set(parse_krl(KRLS[name]).entries())
    assert set(parse_krl(encode_krl(entries)).entries()) == entries


def test_fuzz_krl() -> None:
    def ask(data: bytes) -> None:
        found = parse_krl(data)
        found.revocation(TOKEN)
        found.revocation(certificate(TOKEN, CA, serial=1003))

    refused = survive(list(KRLS.values()), ask, Malformed, fuzz_count(400))
    assert refused > fuzz_count(400) // 3


# --- what ssh-keygen refuses ---------------------------------------------------------------

LIST, RANGE, BITMAP = krl.SERIAL_LIST, krl.SERIAL_RANGE, krl.SERIAL_BITMAP
EXTENSION = wire.text("x@example.org") + wire.u8(0) + wire.string(b"contents")
CRITICAL = wire.text("x@example.org") + wire.u8(1) + wire.string(b"contents")

REFUSED = {
    "no magic": b"SSHKRL\n\1" + HEAD[8:],
    "short": b"SSHK",
    "nothing": b"",
    "another version": krl.MAGIC + wire.u32(2) + HEAD[12:],
    "a NUL in the comment": HEAD[:-4] + wire.string(b"a\0b"),
    "an unknown section": HEAD + section(9, b""),
    "half a signature": HEAD + section(krl.SIGNATURE, TOKEN.blob()),
    "a short sha1": HEAD + section(krl.SHA1, wire.string(bytes(19))),
    "a long sha256": HEAD + section(krl.SHA256, wire.string(bytes(33))),
    "a critical extension": HEAD + section(krl.EXTENSION, CRITICAL),
    "half an extension": HEAD + section(krl.EXTENSION, EXTENSION[:-1]),
    "an extension and more": HEAD + section(krl.EXTENSION, EXTENSION + b"\0"),
    "no authority": HEAD + section(krl.CERTIFICATES, b""),
    "an authority that is not a key": of_authority(authority=b"junk"),
    "an unknown subsection": of_authority(section(0x24, b"")),
    "a critical extension of certificates": of_authority(section(0x39, CRITICAL)),
    "serial 0": of_authority(section(LIST, wire.u64(0))),
    "half a serial": of_authority(section(LIST, bytes(7))),
    "a range from 0": of_authority(section(RANGE, wire.u64(0) + wire.u64(5))),
    "a range backwards": of_authority(section(RANGE, wire.u64(6) + wire.u64(5))),
    "half a range": of_authority(section(RANGE, wire.u64(6))),
    "two ranges": of_authority(section(RANGE, wire.u64(6) * 4)),
    "bit 0 of serial 0": of_authority(section(BITMAP, wire.u64(0) + wire.mpint(1))),
    "a bitmap beyond": of_authority(section(BITMAP, wire.u64(2**64 - 1) + wire.mpint(2))),
    "a negative bitmap": of_authority(section(BITMAP, wire.u64(1) + wire.string(b"\x80"))),
    "a long bitmap": of_authority(section(BITMAP, wire.u64(1) + wire.mpint(1 << 8 * 2048))),
    "a bitmap and more": of_authority(section(BITMAP, wire.u64(1) + wire.mpint(2) + b"\0")),
    "a NUL in a key id": of_authority(section(krl.KEY_ID, wire.string(b"a\0b"))),
}

TAKEN = {
    "no sections": HEAD,
    "a signature": HEAD + section(krl.SIGNATURE, TOKEN.blob()) + wire.string(b""),
    "an extension": HEAD + section(krl.EXTENSION, EXTENSION),
    "an extension of certificates": of_authority(section(0x39, EXTENSION)),
    "empty sections": HEAD + section(krl.EXPLICIT_KEY, b"") + section(krl.SHA1, b""),
    "no certificates": of_authority(),
    "the last serial": of_authority(section(BITMAP, wire.u64(2**64 - 1) + wire.mpint(1))),
    "an empty bitmap": of_authority(section(BITMAP, wire.u64(0) + wire.string(b""))),
    "the longest bitmap": of_authority(
        section(BITMAP, wire.u64(1) + wire.mpint(1 << (8 * 2048 - 1)))
    ),
    "zeros before a bitmap": of_authority(section(BITMAP, wire.u64(1) + wire.string(b"\0\0\x02"))),
    "all serials": of_authority(section(RANGE, wire.u64(1) + wire.u64(2**64 - 1))),
    "a NUL at the end": of_authority(section(krl.KEY_ID, wire.string(b"a\0"))),
    "a key of no known kind": HEAD + section(krl.EXPLICIT_KEY, wire.string(b"junk")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(MalformedKey):
        parse_krl(REFUSED[name])


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    assert parse_krl(TAKEN[name]).revocation(FREE) is None


def test_a_file_without_end() -> None:
    with pytest.raises(MalformedKey, match="more than"):
        parse_krl(HEAD + bytes(krl.MAX_KRL))


# --- ranges are not expanded ---------------------------------------------------------------


def test_all_serials_take_no_memory() -> None:
    body = section(RANGE, wire.u64(1) + wire.u64(2**64 - 1)) * 1000
    data = of_authority(body)
    tracemalloc.start()
    try:
        found = parse_krl(data)
        assert found.revocation(certificate(FREE, CA, serial=2**62))
        assert found.revocation(certificate(FREE, CA, serial=0)) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(data) + (1 << 18)


# --- writing -------------------------------------------------------------------------------

AUTHORITIES = st.sampled_from([b"", CA.public.blob(), OTHER_CA.public.blob()])
SERIAL = st.integers(1, 2**64 - 1)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(
        lambda authority, ends: Serials(authority, min(ends), max(ends)),
        AUTHORITIES,
        st.tuples(SERIAL, SERIAL),
    ),
    st.builds(lambda a, n: Serials(a, n, n), AUTHORITIES, SERIAL),
    st.builds(
        lambda a, n, bits: Bitmap(a, n, bits.lstrip(b"\0")),
        AUTHORITIES,
        st.integers(1, 2**63),
        st.binary(max_size=40),
    ),
    st.builds(KeyId, AUTHORITIES, TEXT.map(str.encode)),
    st.builds(ExplicitKey, st.binary(max_size=80)),
    st.builds(Fingerprint, st.just("sha1"), st.binary(min_size=20, max_size=20)),
    st.builds(Fingerprint, st.just("sha256"), st.binary(min_size=32, max_size=32)),
)


@given(st.lists(ENTRIES, max_size=12), SERIAL, TEXT)
def test_round_trip(entries: list[Entry], version: int, comment: str) -> None:
    data = encode_krl(entries, version=version, generated=5, comment=comment)
    found = parse_krl(data)
    assert set(found.entries()) == set(entries)
    assert (found.version, found.generated, found.comment) == (version, 5, comment)
    assert encode_krl(reversed(entries), version=version, generated=5, comment=comment) == data


UNLISTED = ecdsa_key().public


def line(key: PublicKey | Certificate, before: bytes = b"", after: bytes = b" comment\n") -> bytes:
    text = key.type_name.encode() + b" " + base64.b64encode(key.blob())
    return before + text + after


def test_a_revocation_list() -> None:
    data = encode_krl([ExplicitKey(TOKEN.blob())])
    assert file_revocation(data, TOKEN) == "the key is revoked"
    assert file_revocation(data, UNLISTED) is None


def test_a_list_of_keys() -> None:
    data = b"# gone\n\n \t# too\n" + line(UNLISTED) + line(TOKEN, b" \t", b"\r\n")
    assert file_revocation(data, TOKEN) == "the key is revoked by line 5"
    assert file_revocation(data, UNLISTED) == "the key is revoked by line 4"
    assert file_revocation(data, CA.public) is None
    assert file_revocation(b"", TOKEN) is None
    assert file_revocation(line(TOKEN, after=b""), TOKEN)


def test_certificates_go_with_their_key_and_authority() -> None:
    made = certificate(TOKEN, CA)
    assert file_revocation(line(TOKEN), made) == "the key is revoked by line 1"
    assert file_revocation(line(CA.public), made) == "the key of its authority is revoked by line 1"
    assert file_revocation(line(made), TOKEN) == "the key is revoked by line 1"
    assert file_revocation(line(UNLISTED), made) is None


@pytest.mark.parametrize(
    "bad", [b"junk\n", b"ssh-ed25519 AAAA\n", line(UNLISTED, b"restrict "), b"SSHKRL\n"]
)
def test_a_line_that_cannot_be_read_revokes_everything(bad: bytes) -> None:
    with pytest.raises(MalformedFile, match="line 2"):
        file_revocation(line(UNLISTED) + bad, TOKEN)


def test_a_key_before_the_bad_line_is_known_revoked() -> None:
    assert file_revocation(line(TOKEN) + b"junk\n", TOKEN)


def test_a_damaged_revocation_list_is_not_taken_for_keys() -> None:
    with pytest.raises(MalformedKey):
        file_revocation(MAGIC, TOKEN)


def test_fuzz_revoked_keys() -> None:
    samples = [line(TOKEN), b"# x\n" + line(UNLISTED) + line(certificate(TOKEN, CA))]
    assert survive(samples, lambda data: file_revocation(data, TOKEN), Malformed, fuzz_count(300))
