"""Keeps this process out of core dumps and debuggers, and memory out of the swap."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Final

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


def locked_page() -> mmap.mmap:
    """A page of memory, never written to the swap, to a core, or into a child.

    Where the system refuses to lock it (RLIMIT_MEMLOCK), it is kept out of cores and children.
    """
    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CDLL(None).mlock(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE))
    for advice in ("MADV_DONTDUMP", "MADV_DONTFORK"):
        if (number := getattr(mmap, advice, None)) is not None:
            page.madvise(number)
    return page
