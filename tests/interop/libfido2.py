"""Stock libfido2 in this process, its messages or its reports carried to a virtual token.

`Device` takes whole CTAPHID messages (fido_dev_set_transport_functions), so that no HID framing
lies between the two; `HidDevice` takes reports (fido_dev_set_io_functions), as from a device node.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_uint8, c_void_p
from typing import Any, Self

import pytest
from tests.support.hid_hub import Opening

from fidokit.virtual.token import VirtualToken

_INIT, _CBOR = 0x06, 0x10
_CID = b"\0\0\0\1"
_VERSIONS = b"\2\0\0\0"

_POINTERS = (
    "fido_dev_new",
    "fido_bio_info_new",
    "fido_bio_enroll_new",
    "fido_bio_template_new",
    "fido_bio_template_array_new",
    "fido_bio_template",
    "fido_bio_template_id_ptr",
    "fido_credman_metadata_new",
    "fido_cred_new",
)
_TEXTS = ("fido_bio_template_name", "fido_strerr")

_Open = CFUNCTYPE(c_void_p, c_char_p)
_Close = CFUNCTYPE(None, c_void_p)
_Read = CFUNCTYPE(c_int, c_void_p, POINTER(c_uint8), c_size_t, c_int)
_Write = CFUNCTYPE(c_int, c_void_p, POINTER(c_uint8), c_size_t)
_Receive = CFUNCTYPE(c_int, c_void_p, c_uint8, POINTER(c_uint8), c_size_t, c_int)
_Send = CFUNCTYPE(c_int, c_void_p, c_uint8, POINTER(c_uint8), c_size_t)


class _Io(ctypes.Structure):
    _fields_ = (("open", _Open), ("close", _Close), ("read", _Read), ("write", _Write))


class _Transport(ctypes.Structure):
    _fields_ = (("receive", _Receive), ("send", _Send))


def library() -> ctypes.CDLL:
    """The stock library. Where it is missing, CI fails; elsewhere the test skips."""
    name = ctypes.util.find_library("fido2")
    if name is None:
        reason = "libfido2 is not installed; install the Debian package libfido2-1"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    loaded = ctypes.CDLL(name)
    for function in _POINTERS:
        getattr(loaded, function).restype = c_void_p
    for function in _TEXTS:
        getattr(loaded, function).restype = c_char_p
    loaded.fido_init(0)
    return loaded


class _Opened:
    """One open fido_dev_t; `call` runs a function of libfido2 on it."""

    def __init__(self) -> None:
        self.lib = library()
        self._io = _Io(
            _Open(lambda _path: 1),
            _Close(lambda _handle: None),
            _Read(self._read),
            _Write(self._write),
        )
        self._dev = c_void_p(self.lib.fido_dev_new())
        assert self.lib.fido_dev_set_io_functions(self._dev, ctypes.byref(self._io)) == 0

    def _read(self, _handle: int, _buffer: Any, _size: int, _ms: int) -> int:
        return -1

    def _write(self, _handle: int, _data: Any, _size: int) -> int:
        return -1

    def status(self, function: str, *arguments: Any) -> int:
        """What the function returns: 0, a CTAP status, or a negative number of libfido2's own."""
        value: int = getattr(self.lib, function)(self._dev, *arguments)
        return value

    def call(self, function: str, *arguments: Any) -> None:
        """Run it; it must succeed."""
        status = self.status(function, *arguments)
        assert status == 0, (function, self.lib.fido_strerr(status))

    def new(self, function: str) -> c_void_p:
        """An object of the library's, which lives as long as the test."""
        return c_void_p(getattr(self.lib, function)())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lib.fido_dev_close(self._dev)
        self.lib.fido_dev_free(ctypes.byref(self._dev))


class Device(_Opened):
    """A device whose messages reach the token without framing.

    Args:
        token: what it talks to.
    """

    def __init__(self, token: VirtualToken) -> None:
        super().__init__()
        self._link = token.link()
        self._answer = b""
        self._transport = _Transport(_Receive(self._receive), _Send(self._send))
        carried = ctypes.byref(self._transport)
        assert self.lib.fido_dev_set_transport_functions(self._dev, carried) == 0
        self.call("fido_dev_open", b"virtual")

    def _send(self, _dev: int, command: int, data: Any, size: int) -> int:
        sent = bytes(data[:size])
        if command == _INIT:
            self._answer = sent + _CID + _VERSIONS + bytes([self._link.capabilities])
        elif command == _CBOR:
            self._answer = self._link.cbor(sent, lambda _status: None, lambda: False)
        else:
            return -1
        return 0

    def _receive(self, _dev: int, _command: int, buffer: Any, size: int, _ms: int) -> int:
        answer, self._answer = self._answer, b""
        if len(answer) > size:
            return -1
        ctypes.memmove(buffer, answer, len(answer))
        return len(answer)


class HidDevice(_Opened):
    """A device whose reports go through an opening of the token's HID interface.

    Args:
        opening: of the interface; several devices may have one each.
    """

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._opening = opening
        self.call("fido_dev_open", b"virtual")

    def _read(self, _handle: int, buffer: Any, size: int, milliseconds: int) -> int:
        report = self._opening.poll(milliseconds)
        if report is None or size != len(report):
            return -1
        ctypes.memmove(buffer, report, size)
        return size

    def _write(self, _handle: int, data: Any, size: int) -> int:
        number, *report = data[:size]
        assert (number, size) == (0, 65)  # the report's number goes before it, as to hidraw
        self._opening.write_packet(bytes(report))
        return size
