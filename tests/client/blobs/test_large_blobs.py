"""Blobs of keys, on a token that keeps the array and on python-fido2's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fido2.ctap import CtapDevice
from fido2.ctap2 import Ctap2
from fido2.ctap2.blob import LargeBlobs
from fido2.hid import CAPABILITY
from tests.client.conftest import PATIENT
from tests.support.blob_token import EMPTY, BlobToken, with_checksum
from tests.support.fake_link import FakeLink, info, session_on

from fidokit.client.blobs import array, large_blobs
from fidokit.client.blobs.array import parse_array
from fidokit.client.credentials.resident import ResidentCredential
from fidokit.errors import MalformedCbor, NotStored, StoreFull, Unsupported, UsageError
from fidokit.types import Application, CredentialId, CredProtect, UserId

FOREIGN = [bytes.fromhex("bf0102ff"), bytes.fromhex("f97e00"), bytes.fromhex("a301410002410303f5")]
CERTIFICATE = b"ssh-ed25519-cert-v01@openssh.com AAAA"


def key(number: int, application: str = "ssh:work", *, blob: bool = True) -> ResidentCredential:
    return ResidentCredential(
        CredentialId(bytes([number]) * 16),
        Application(application),
        UserId(bytes(32)),
        "me",
        "",
        None,
        CredProtect.UV_OPTIONAL_WITH_LIST,
        bytes([number]) * 32 if blob else None,
    )


WORK, HOME, PLAIN = key(1), key(2, "ssh:home"), key(3, "ssh:plain", blob=False)


class Device(CtapDevice):
    """The same token as python-fido2 sees it."""

    def __init__(self, token: BlobToken) -> None:
        self._token = token

    @property
    def capabilities(self) -> int:
        return CAPABILITY.CBOR

    def call(
        self, cmd: int, data: bytes = b"", event: object = None, on_keepalive: object = None
    ) -> bytes:
        return self._token.cbor(data, lambda _: None, lambda: False)

    def close(self) -> None:
        """Nothing to let go of."""

    @classmethod
    def list_devices(cls):  # type: ignore[no-untyped-def]
        return iter(())


def fido2_blobs(token: BlobToken) -> LargeBlobs:
    return LargeBlobs(Ctap2(Device(token)))


@pytest.fixture
def token() -> BlobToken:
    return BlobToken(capacity=2048)


def test_set_get_replace_delete(token: BlobToken) -> None:
    large_blobs.put(session_on(token, None, PATIENT), WORK, CERTIFICATE)
    large_blobs.put(session_on(token, None, PATIENT), HOME, b"home")
    assert large_blobs.get(session_on(token, None, PATIENT), WORK) == CERTIFICATE
    large_blobs.put(session_on(token, None, PATIENT), WORK, b"newer")
    assert large_blobs.get(session_on(token, None, PATIENT), WORK) == b"newer"
    assert large_blobs.get(session_on(token, None, PATIENT), HOME) == b"home"
    assert len(parse_array(token.array).items) == 2
    large_blobs.delete(session_on(token, None, PATIENT), [WORK])
    with pytest.raises(NotStored) as caught:
        large_blobs.get(session_on(token, None, PATIENT), WORK)
    assert "blob list" in caught.value.hint
    large_blobs.delete(session_on(token, None, PATIENT), [HOME])
    assert token.array == EMPTY


def test_listing(token: BlobToken) -> None:
    token.array = with_checksum(b"\x83" + b"".join(FOREIGN))
    large_blobs.put(session_on(token, None, PATIENT), HOME, bytes(500))
    listing = large_blobs.list_blobs(session_on(token, None, PATIENT), [WORK, HOME, PLAIN])
    (stored,) = listing.blobs
    assert (stored.credential, stored.size) == (HOME, 500)
    assert stored.stored is not None
    assert stored.stored < 100  # zeros compress
    assert (listing.others, listing.damaged) == (3, False)
    assert (listing.used, listing.capacity) == (len(token.array), 2048)


def test_foreign_entries_stay_as_they_are(token: BlobToken) -> None:
    token.array = with_checksum(b"\x83" + b"".join(FOREIGN))
    large_blobs.put(session_on(token, None, PATIENT), WORK, b"mine")
    large_blobs.put(session_on(token, None, PATIENT), WORK, b"mine again")
    items = parse_array(token.array).items
    assert list(items[:3]) == FOREIGN
    large_blobs.delete(session_on(token, None, PATIENT), [WORK])
    assert parse_array(token.array).items == tuple(FOREIGN)


def test_python_fido2_reads_what_we_wrote(token: BlobToken) -> None:
    large_blobs.put(session_on(token, None, PATIENT), WORK, CERTIFICATE)
    assert WORK.large_blob_key is not None
    assert fido2_blobs(token).get_blob(WORK.large_blob_key) == CERTIFICATE


def test_we_read_what_python_fido2_wrote(token: BlobToken) -> None:
    assert WORK.large_blob_key is not None
    theirs = fido2_blobs(token)
    large_blobs.put(session_on(token, None, PATIENT), HOME, b"ours")
    theirs.put_blob(WORK.large_blob_key, CERTIFICATE)
    assert large_blobs.get(session_on(token, None, PATIENT), WORK) == CERTIFICATE
    assert large_blobs.get(session_on(token, None, PATIENT), HOME) == b"ours"
    theirs.delete_blob(WORK.large_blob_key)
    with pytest.raises(NotStored):
        large_blobs.get(session_on(token, None, PATIENT), WORK)
    assert large_blobs.get(session_on(token, None, PATIENT), HOME) == b"ours"


def test_the_first_of_two_blobs_of_one_key_is_read_and_both_are_replaced(token: BlobToken) -> None:
    assert WORK.large_blob_key is not None
    entries = [array.seal(text, WORK.large_blob_key, bytes).encode() for text in (b"1", b"2")]
    token.array = with_checksum(b"\x82" + b"".join(entries))
    assert large_blobs.get(session_on(token, None, PATIENT), WORK) == b"1"
    large_blobs.put(session_on(token, None, PATIENT), WORK, b"3")
    assert len(parse_array(token.array).items) == 1


def test_a_damaged_array_is_replaced(token: BlobToken) -> None:
    token.array = EMPTY[:-1] + b"\0"
    assert large_blobs.list_blobs(session_on(token, None, PATIENT), [WORK]).damaged
    with pytest.raises(NotStored):
        large_blobs.get(session_on(token, None, PATIENT), WORK)
    large_blobs.put(session_on(token, None, PATIENT), WORK, b"new")
    assert large_blobs.get(session_on(token, None, PATIENT), WORK) == b"new"


def test_what_is_no_array_is_only_emptied_on_demand(token: BlobToken) -> None:
    token.array = with_checksum(b"\xa0")
    with pytest.raises(MalformedCbor):
        large_blobs.put(session_on(token, None, PATIENT), WORK, b"new")
    assert token.array == with_checksum(b"\xa0")
    large_blobs.delete_all(session_on(token, None, PATIENT))
    assert token.array == EMPTY


def test_full(token: BlobToken) -> None:
    import os

    large_blobs.put(session_on(token, None, PATIENT), WORK, b"old")
    before = token.array
    with pytest.raises(StoreFull):
        large_blobs.put(session_on(token, None, PATIENT), WORK, os.urandom(2048))
    assert token.array == before
    with pytest.raises(UsageError):
        large_blobs.put(session_on(token, None, PATIENT), WORK, bytes((1 << 20) + 1))


def test_orphans(token: BlobToken) -> None:
    token.array = with_checksum(b"\x83" + b"".join(FOREIGN))
    for owner in (WORK, HOME):
        large_blobs.put(session_on(token, None, PATIENT), owner, b"text")
    assert large_blobs.delete_orphans(session_on(token, None, PATIENT), [WORK, PLAIN]) == 1
    assert large_blobs.get(session_on(token, None, PATIENT), WORK) == b"text"
    assert list(parse_array(token.array).items[:3]) == FOREIGN
    writes = sum(2 in request for request in token.requests)
    assert large_blobs.delete_orphans(session_on(token, None, PATIENT), [WORK]) == 0
    assert sum(2 in request for request in token.requests) == writes


def test_deleting_what_is_not_there_changes_nothing(token: BlobToken) -> None:
    large_blobs.put(session_on(token, None, PATIENT), WORK, b"text")
    before = token.array
    with pytest.raises(NotStored):
        large_blobs.delete(session_on(token, None, PATIENT), [WORK, HOME])
    assert token.array == before


Use = Callable[..., object]
USES: list[Use] = [
    large_blobs.get,
    lambda s, c: large_blobs.put(s, c, b"x"),
    lambda s, c: large_blobs.delete(s, [c]),
]


@pytest.mark.parametrize("use", USES)
def test_a_key_made_without(token: BlobToken, use: Use) -> None:
    with pytest.raises(Unsupported, match="ssh:plain") as caught:
        use(session_on(token, None, PATIENT), PLAIN)
    assert "--large-blob" in caught.value.hint


@pytest.mark.parametrize(
    "use",
    [
        *USES,
        lambda s, c: large_blobs.list_blobs(s, [c]),
        lambda s, _: large_blobs.authorize_change(s),
    ],
)
def test_a_token_without(use: Use) -> None:
    link = FakeLink(info())
    with pytest.raises(Unsupported) as caught:
        use(session_on(link), WORK)
    assert caught.value.hint
    assert len(link.requests) == 1


def test_the_key_does_not_print() -> None:
    assert "0101" not in repr(WORK)
    assert replace(WORK, large_blob_key=bytes(32)) != WORK
