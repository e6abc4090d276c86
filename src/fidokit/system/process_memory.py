"""Keeps this process out of core dumps and debuggers, and memory out of the swap."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Final

from fidokit.errors import Unsupported

_PR_SET_DUMPABLE: Final = 4
_LINUX: Final[bool] = sys.platform == "linux"


def harden() -> None:
    """No core of this process, and no other process of this user may look into it.

    On systems without prctl(2) the core limit is all there is.
    """
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0 if most else most))
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def locked_page(*, required: bool = False) -> mmap.mmap:
    """A page of memory, never written to the swap, to a core, or into a child.

    Args:
        required: whether a page that the system refuses to lock (RLIMIT_MEMLOCK) is useless; else
            such a page is kept out of cores and children alone.

    Raises:
        Unsupported: it has to be locked, and the system refuses.
    """
    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    size = ctypes.c_size_t(mmap.PAGESIZE)
    if ctypes.CDLL(None).mlock(ctypes.c_void_p(address), size) and required:
        raise Unsupported(
            "the system does not let this process lock memory", hint="raise the limit: ulimit -l 64"
        )
    for advice in ("MADV_DONTDUMP", "MADV_DONTFORK"):
        if (number := getattr(mmap, advice, None)) is not None:
            page.madvise(number)
    return page
