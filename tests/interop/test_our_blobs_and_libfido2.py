"""Stock libfido2 reads the blobs that we write, and we read its, on one token."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from ctypes import POINTER, c_size_t, c_ubyte

import pytest
from tests.client.conftest import PATIENT
from tests.interop.libfido2 import Device
from tests.support.fake_link import Person, session_on

from fidokit.client.blobs import large_blobs
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.resident import ResidentCredential
from fidokit.client.owner import pin
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import NotStored
from fidokit.types import Application, KeyType
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop

PIN = "258013"
BLOBS = [b"short text of a note", b"ssh-ed25519-cert-v01@openssh.com AAAA" * 40, bytes(4000)]
RANDOM = [os.urandom(1), os.urandom(100), os.urandom(1500)]


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken() as made:
        pin.set_pin(opened(made), PinCode.parse(PIN))
        yield made


def opened(token: VirtualToken) -> Session:
    return session_on(token.link(), Person(PIN), PATIENT)


def key(token: VirtualToken, name: str) -> ResidentCredential:
    application = Application(f"ssh:{name}")
    enroll(opened(token), Enrollment(KeyType.ECDSA_SK, application, resident=True, large_blob=True))
    (made,) = resident.list_credentials(opened(token), application=application)
    return made


def theirs(device: Device, owner: ResidentCredential) -> bytes:
    """What libfido2 finds for a key."""
    secret = owner.large_blob_key
    assert secret is not None
    blob, size = POINTER(c_ubyte)(), c_size_t()
    found = (ctypes.byref(blob), ctypes.byref(size))
    device.call("fido_dev_largeblob_get", secret, c_size_t(len(secret)), *found)
    return ctypes.string_at(blob, size.value)


def put_theirs(device: Device, owner: ResidentCredential, blob: bytes) -> None:
    secret = owner.large_blob_key
    assert secret is not None
    sizes = (c_size_t(len(secret)), c_size_t(len(blob)))
    arguments = (secret, sizes[0], blob, sizes[1], PIN.encode())
    device.call("fido_dev_largeblob_set", *arguments)


@pytest.mark.parametrize("blob", [*BLOBS, *RANDOM], ids=len)
def test_libfido2_reads_what_we_wrote(token: VirtualToken, blob: bytes) -> None:
    owner = key(token, "work")
    large_blobs.put(opened(token), owner, blob)
    with Device(token) as device:
        assert theirs(device, owner) == blob


@pytest.mark.parametrize("blob", [*BLOBS, *RANDOM[1:]], ids=len)
def test_we_read_what_libfido2_wrote(token: VirtualToken, blob: bytes) -> None:
    owner = key(token, "work")
    with Device(token) as device:
        put_theirs(device, owner, blob)
    assert large_blobs.get(opened(token), owner) == blob


def test_side_by_side(token: VirtualToken) -> None:
    work, home = key(token, "work"), key(token, "home")
    with Device(token) as device:
        put_theirs(device, work, BLOBS[1])
        large_blobs.put(opened(token), home, BLOBS[0])
        assert theirs(device, work) == BLOBS[1]
        assert theirs(device, home) == BLOBS[0]
        put_theirs(device, home, BLOBS[2])
    assert large_blobs.get(opened(token), home) == BLOBS[2]
    large_blobs.delete(opened(token), [work])
    with pytest.raises(NotStored):
        large_blobs.get(opened(token), work)
    with Device(token) as device:
        assert theirs(device, home) == BLOBS[2]
