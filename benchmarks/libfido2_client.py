"""A registration and a login by stock libfido2, at a device node or at a token in this process."""

from __future__ import annotations

import ctypes
import ctypes.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_int, c_size_t, c_void_p

_ES256 = -7
_HASH = bytes(range(32))
_RP = b"example.org"


def installed() -> bool:
    """Whether libfido2 is here."""
    return ctypes.util.find_library("fido2") is not None


def best(where: str, count: int) -> float:
    """The seconds of the fastest of so many ceremonies, each on an opening of its own.

    Args:
        where: a device node; empty for libfido2's io functions on a token in this process.
        count: how many count, after one that does not.
    """
    client = _Client()
    opened = client.in_process() if not where else client.at_node(where.encode())
    with opened as opening:
        return min(client.ceremony(opening) for _ in range(count + 1))


class _Client:
    def __init__(self) -> None:
        self.lib = ctypes.CDLL(ctypes.util.find_library("fido2"))
        for name in ("fido_dev_new", "fido_cred_new", "fido_assert_new", "fido_cred_id_ptr"):
            getattr(self.lib, name).restype = c_void_p
        self.lib.fido_cred_id_len.restype = c_size_t
        self.lib.fido_init(0)

    @contextmanager
    def at_node(self, path: bytes) -> Iterator[Callable[[], c_void_p]]:
        """Opens a device node."""

        def opening() -> c_void_p:
            device = c_void_p(self.lib.fido_dev_new())
            self._must(self.lib.fido_dev_open(device, c_char_p(path)))
            return device

        yield opening

    @contextmanager
    def in_process(self) -> Iterator[Callable[[], c_void_p]]:
        """Opens a token of this process by io functions."""
        from tests.interop.libfido2 import HidDevice
        from tests.support.hid_hub import Hub

        from fidokit.virtual.token import VirtualToken

        with VirtualToken() as token:
            hub = Hub(token)
            kept: list[HidDevice] = []

            def opening() -> c_void_p:
                kept[:] = [HidDevice(hub.open())]  # it owns what libfido2 calls
                device: c_void_p = kept[0]._dev
                return device

            yield opening

    def ceremony(self, opening: Callable[[], c_void_p]) -> float:
        """Make a credential and use it; the seconds from the opening to the closing."""
        began = time.perf_counter()
        device = opening()
        cred = c_void_p(self.lib.fido_cred_new())
        self._must(self.lib.fido_cred_set_type(cred, c_int(_ES256)))
        self._must(self.lib.fido_cred_set_clientdata_hash(cred, _HASH, c_size_t(32)))
        self._must(self.lib.fido_cred_set_rp(cred, c_char_p(_RP), None))
        self._must(
            self.lib.fido_cred_set_user(cred, b"ada", c_size_t(3), c_char_p(b"ada"), None, None)
        )
        self._must(self.lib.fido_dev_make_cred(device, cred, None))
        size = self.lib.fido_cred_id_len(cred)
        identifier = ctypes.string_at(self.lib.fido_cred_id_ptr(cred), size)
        asked = c_void_p(self.lib.fido_assert_new())
        self._must(self.lib.fido_assert_set_clientdata_hash(asked, _HASH, c_size_t(32)))
        self._must(self.lib.fido_assert_set_rp(asked, c_char_p(_RP)))
        self._must(self.lib.fido_assert_allow_cred(asked, identifier, c_size_t(size)))
        self._must(self.lib.fido_dev_get_assert(device, asked, None))
        self.lib.fido_dev_close(device)
        seconds = time.perf_counter() - began
        self.lib.fido_cred_free(ctypes.byref(cred))
        self.lib.fido_assert_free(ctypes.byref(asked))
        return seconds

    def _must(self, status: int) -> None:
        if status:
            raise RuntimeError(f"libfido2 says {status}")
