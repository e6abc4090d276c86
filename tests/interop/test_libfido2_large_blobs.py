"""Stock libfido2, in this process, keeps and finds large blobs on the virtual token.

Its transport hooks carry whole CTAP messages, so nothing but its own protocol code is between.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_ubyte, c_uint8, c_void_p
from dataclasses import replace
from typing import Any

import pytest
from fido2.ctap2 import ClientPin, Ctap2
from tests.virtual.fido2_device import LinkDevice

from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3, Profile
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop

PIN_CODE = b"a long pin"
INIT, CBOR = 0x06, 0x10
FIDO_OK, NOT_FOUND = 0, -10
PIN_INVALID, PIN_REQUIRED, STORAGE_FULL = 0x31, 0x36, 0x18
CAPABILITIES = b"\x02\x01\x00\x00\x04"
Octets = POINTER(c_ubyte)

OPEN = CFUNCTYPE(c_void_p, c_char_p)
CLOSE = CFUNCTYPE(None, c_void_p)
READ = CFUNCTYPE(c_int, c_void_p, Octets, c_size_t, c_int)
WRITE = CFUNCTYPE(c_int, c_void_p, Octets, c_size_t)
RX = CFUNCTYPE(c_int, c_void_p, c_uint8, Octets, c_size_t, c_int)
TX = CFUNCTYPE(c_int, c_void_p, c_uint8, Octets, c_size_t)


class Io(ctypes.Structure):
    _fields_ = (("open", OPEN), ("close", CLOSE), ("read", READ), ("write", WRITE))


class Transport(ctypes.Structure):
    _fields_ = (("rx", RX), ("tx", TX))


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    try:
        loaded = ctypes.CDLL("libfido2.so.1")
    except OSError:
        reason = "libfido2.so.1 is missing: install fido2-tools"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    loaded.fido_dev_new.restype = c_void_p
    loaded.fido_init(0)
    return loaded


class Device:
    """A token as libfido2 has it open."""

    def __init__(self, library: ctypes.CDLL, token: VirtualToken) -> None:
        self._library = library
        self._link = token.link()
        self._reply = b""
        # libfido2 keeps pointers to these, so they live as long as the device
        self._io = Io(OPEN(lambda _: 1), CLOSE(lambda _: None), READ(_unused), WRITE(_unused))
        self._transport = Transport(RX(self._receive), TX(self._send))
        self._device = c_void_p(library.fido_dev_new())
        self("set_io_functions", ctypes.byref(self._io))
        self("set_transport_functions", ctypes.byref(self._transport))
        self("open", b"virtual")

    def __call__(self, function: str, *arguments: Any, wanted: int = FIDO_OK) -> None:
        result = getattr(self._library, f"fido_dev_{function}")(self._device, *arguments)
        assert result == wanted, f"{function}: {result:#x}"

    def close(self) -> None:
        self("close")
        self._library.fido_dev_free(ctypes.byref(self._device))

    def _send(self, _device: int, command: int, data: Any, size: int) -> int:
        message = ctypes.string_at(data, size)
        if command == INIT:
            self._reply = message + bytes(4) + CAPABILITIES
        else:
            assert command == CBOR
            self._reply = self._link.cbor(message, lambda _: None, lambda: False)
        return 0

    def _receive(self, _device: int, _command: int, data: Any, size: int, _ms: int) -> int:
        assert len(self._reply) <= size
        ctypes.memmove(data, self._reply, len(self._reply))
        return len(self._reply)

    def set(self, key: bytes, blob: bytes, pin: bytes | None, wanted: int = FIDO_OK) -> None:
        arguments = (key, c_size_t(len(key)), blob, c_size_t(len(blob)), pin)
        self("largeblob_set", *arguments, wanted=wanted)

    def get(self, key: bytes, wanted: int = FIDO_OK) -> bytes:
        blob, size = Octets(), c_size_t()
        found = (ctypes.byref(blob), ctypes.byref(size))
        self("largeblob_get", key, c_size_t(len(key)), *found, wanted=wanted)
        return ctypes.string_at(blob, size.value) if blob else b""

    def remove(self, key: bytes, pin: bytes | None) -> None:
        self("largeblob_remove", key, c_size_t(len(key)), pin)


def _unused(*_: object) -> int:
    return -1


def opened(library: ctypes.CDLL, model: Profile) -> Iterator[Device]:
    with VirtualToken(profile=model) as token:
        ClientPin(Ctap2(LinkDevice(token.link()))).set_pin(PIN_CODE.decode())
        device = Device(library, token)
        yield device
        device.close()


@pytest.fixture(params=[CTAP_2_1, CTAP_2_3], ids=lambda model: model.name)
def device(request: pytest.FixtureRequest, library: ctypes.CDLL) -> Iterator[Device]:
    """A token with a PIN."""
    yield from opened(library, request.param)


@pytest.fixture
def terse(library: ctypes.CDLL) -> Iterator[Device]:
    """A token with a PIN whose messages are small."""
    small = replace(CTAP_2_3, max_msg_size=1024, max_large_blob_array=8192)
    yield from opened(library, small)


@pytest.mark.check("LB-02", "LB-06", "LB-08", "TOK-11")
def test_blobs_are_kept_found_and_removed(device: Device) -> None:
    keys = [os.urandom(32) for _ in range(3)]
    blobs = [os.urandom(16), b"text " * 300, os.urandom(900)]  # shorter ones libfido2 cannot seal
    for key, blob in zip(keys, blobs, strict=True):
        device.get(key, wanted=NOT_FOUND)
        device.set(key, blob, PIN_CODE)
    for key, blob in zip(keys, blobs, strict=True):
        assert device.get(key) == blob
    device.remove(keys[1], PIN_CODE)
    device.get(keys[1], wanted=NOT_FOUND)
    assert device.get(keys[2]) == blobs[2]


@pytest.mark.check("LB-06")
def test_without_the_pin_nothing_is_written(device: Device) -> None:
    key = os.urandom(32)
    device.set(key, os.urandom(20), None, wanted=PIN_REQUIRED)
    device.set(key, os.urandom(20), b"a wrong pin", wanted=PIN_INVALID)
    device.get(key, wanted=NOT_FOUND)


@pytest.mark.check("LB-04", "LB-06", "LB-08")
def test_many_fragments(terse: Device) -> None:
    key, blob = os.urandom(32), os.urandom(8000)
    terse.set(key, blob, PIN_CODE)
    assert terse.get(key) == blob
    terse.set(os.urandom(32), os.urandom(500), PIN_CODE, wanted=STORAGE_FULL)
    assert terse.get(key) == blob
