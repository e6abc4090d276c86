from __future__ import annotations

import os
import tracemalloc
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fido2.ctap2 import blob as fido2_blob
from hypothesis import given
from hypothesis import strategies as st

from fidokit import cbor
from fidokit.client.blobs.deflate import LARGEST
from fidokit.client.blobs.entry import BlobEntry, read_entry, seal
from fidokit.errors import Malformed, UsageError

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
TEXT = b"ssh-ed25519-cert-v01@openssh.com AAAA... " * 20


def fixed(size: int) -> bytes:
    return bytes(range(size))


def sealed(compressed: bytes, size: int, key: bytes = KEY) -> BlobEntry:
    """An entry as another program might write it."""
    associated = b"blob" + size.to_bytes(8, "little")
    nonce = fixed(12)
    return BlobEntry(AESGCM(key).encrypt(nonce, compressed, associated), nonce, size)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=3000), st.binary(min_size=32, max_size=32))
def test_round_trip(blob: bytes, key: bytes) -> None:
    entry = seal(blob, key, os.urandom)
    found = read_entry(entry.encode())
    assert found == entry
    assert found.fits(key)
    assert found.open(key) == blob
    assert entry.size == len(blob)


def test_the_layout() -> None:
    members = cbor.decode(seal(TEXT, KEY, fixed).encode())
    assert isinstance(members, dict)
    assert set(members) == {1, 2, 3}
    assert members[2] == fixed(12)
    assert members[3] == len(TEXT)
    associated = b"blob" + len(TEXT).to_bytes(8, "little")
    compressed = AESGCM(KEY).decrypt(fixed(12), members[1], associated)  # type: ignore[arg-type]
    assert zlib.decompress(compressed, wbits=-15) == TEXT


def test_another_key_does_not_open_it() -> None:
    entry = seal(TEXT, KEY, os.urandom)
    assert entry.open(OTHER_KEY) is None
    assert not entry.fits(OTHER_KEY)


@pytest.mark.parametrize("member", ["sealed", "nonce", "size"])
def test_every_member_is_authenticated(member: str) -> None:
    entry = seal(TEXT, KEY, os.urandom)
    changed = {
        "sealed": BlobEntry(entry.sealed[:-1] + bytes([entry.sealed[-1] ^ 1]), entry.nonce, 840),
        "nonce": BlobEntry(entry.sealed, fixed(12), entry.size),
        "size": BlobEntry(entry.sealed, entry.nonce, entry.size + 1),
    }
    assert changed[member].open(KEY) is None


def test_python_fido2_reads_what_we_wrote() -> None:
    members = cbor.decode(seal(TEXT, KEY, os.urandom).encode())
    compressed, size = fido2_blob._lb_unpack(KEY, members)
    assert (fido2_blob._decompress(compressed), size) == (TEXT, len(TEXT))


def test_we_read_what_python_fido2_wrote() -> None:
    entry = read_entry(cbor.encode(fido2_blob._lb_pack(KEY, TEXT)))
    assert entry is not None
    assert entry.open(KEY) == TEXT


def test_old_libfido2_left_zlib_s_header() -> None:
    assert sealed(zlib.compress(TEXT), len(TEXT)).open(KEY) == TEXT


def test_an_empty_blob() -> None:
    assert seal(b"", KEY, os.urandom).open(KEY) == b""


@pytest.mark.parametrize(
    ("compressed", "size"),
    [
        (b"", 5),
        (b"\xff" * 20, 5),
        (raw_deflate(b"hello"), 4),
        (raw_deflate(b"hello"), 6),
        (raw_deflate(b"hello")[:-1], 5),
        (raw_deflate(b"hello") + b"x", 5),
        (zlib.compress(b"hello")[:-1] + b"x", 5),
    ],
)
def test_what_does_not_unpack(compressed: bytes, size: int) -> None:
    with pytest.raises(Malformed) as caught:
        sealed(compressed, size).open(KEY)
    assert caught.value.hint


def test_a_bomb_costs_no_memory() -> None:
    bomb = raw_deflate(bytes(64 << 20))
    tracemalloc.start()
    try:
        for size in (10, LARGEST, LARGEST + 1, 64 << 20):
            with pytest.raises(Malformed):
                sealed(bomb, size).open(KEY)
        assert tracemalloc.get_traced_memory()[1] < 8 * LARGEST
    finally:
        tracemalloc.stop()


def test_too_large_to_store() -> None:
    with pytest.raises(UsageError):
        seal(bytes(LARGEST + 1), KEY, os.urandom)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        cbor.encode(7),
        cbor.encode([1, 2]),
        cbor.encode({1: bytes(40), 2: bytes(12)}),
        cbor.encode({1: bytes(40), 2: bytes(11), 3: 1}),
        cbor.encode({1: bytes(15), 2: bytes(12), 3: 1}),
        cbor.encode({1: "text", 2: bytes(12), 3: 1}),
        cbor.encode({1: bytes(40), 2: bytes(12), 3: -1}),
        cbor.encode({1: bytes(40), 2: bytes(12), 3: True}),
        b"\xa3\x02" + b"\x4c" + bytes(12) + b"\x01\x58\x28" + bytes(40) + b"\x03\x01",  # order
        b"\xf9\x7e\x00",
    ],
)
def test_foreign_entries_are_none_of_ours(raw: bytes) -> None:
    assert read_entry(raw) is None


def test_members_of_a_later_ctap_do_not_hide_the_blob() -> None:
    members = cbor.decode(seal(TEXT, KEY, os.urandom).encode())
    assert isinstance(members, dict)
    found = read_entry(cbor.encode({**members, 9: "later"}))
    assert found is not None
    assert found.open(KEY) == TEXT


@given(st.binary(max_size=120))
def test_anything_at_all(raw: bytes) -> None:
    found = read_entry(raw)
    assert found is None or not found.fits(KEY)


ENTRY = seal(b"cut me", KEY, fixed).encode()


@pytest.mark.parametrize("cut", range(len(ENTRY)))
def test_cut_at_every_byte(cut: int) -> None:
    assert read_entry(ENTRY[:cut]) is None


def test_a_trailing_byte() -> None:
    assert read_entry(ENTRY + b"\0") is None


def test_secrets_do_not_print() -> None:
    assert KEY.hex() not in repr(seal(TEXT, KEY, os.urandom))
