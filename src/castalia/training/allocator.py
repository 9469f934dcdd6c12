"""Memory that a step gives back is kept for the next one."""

from __future__ import annotations

import ctypes
from typing import Final

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD: Final = -1  # numbers of the parameters in glibc's malloc.h
_MMAP_THRESHOLD: Final = -3
_NEVER: Final = -1
_LARGEST: Final = 32 * 2**20  # bytes that the allocator takes for the latter


def keep_freed_memory() -> None:
    """Tell the allocator not to return memory to the system, but for blocks of 32 MiB and more.

    Without effect where the allocator is not that of glibc.

    A step on a CPU allocates some ten megabytes in pieces of one, and frees them all at its end. Each time they come
    back from the system, page by page, and page faults took a sixth of a training of transformers. A process keeps what
    it once used, which is what a step needs at most, until it ends.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _NEVER)
