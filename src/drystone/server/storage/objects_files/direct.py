# SPDX-License-Identifier: Apache-2.0
"""Past the page cache (``O_DIRECT``): what long reads and writes of objects share.

Packs are written once and mostly read once per device, long after or at once by all. Filling
the cache with them pushes out what is read often, and costs more than all else that is done
with their bytes: on a virtual machine whose free memory belongs to its host, 2.5 CPU seconds
per GB written and 1.4 per GB read, against 0.1 and 0.1 past it. On bare metal the two are
closer. Short reads and small objects use the cache as everything does.

Source: open(2), "O_DIRECT".
"""

import errno
import mmap
import os
import threading
from typing import Final

from drystone.core.limits import KIB, MIB

O_DIRECT: Final[int] = getattr(os, "O_DIRECT", 0)
"""0 where the system has no such thing."""

DIRECT_BYTES_MIN: Final = 512 * KIB
"""Shorter reads and writes go through the cache: they are likely to be of single files that
somebody edits."""

BUFFER_BYTES: Final = 8 * MIB
"""What is handed to, or taken from, the disk at once. One buffer per thread."""

_ALIGNMENT_BYTES: Final = 4096
"""Of addresses, offsets and lengths: what every filesystem is content with."""

_NOT_SUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP})


class _Buffers(threading.local):
    """Kept, because making such a buffer anew costs as much as filling it."""

    def __init__(self) -> None:
        self.aligned = mmap.mmap(-1, BUFFER_BYTES)


_buffers: Final = _Buffers()


def aligned_buffer() -> memoryview:
    """Returns this thread's buffer, which begins at an aligned address."""
    return memoryview(_buffers.aligned)


def round_down(offset_bytes: int) -> int:
    """Returns the aligned offset at or before this one."""
    return offset_bytes // _ALIGNMENT_BYTES * _ALIGNMENT_BYTES


def round_up(offset_bytes: int) -> int:
    """Returns the aligned offset at or after this one."""
    return round_down(offset_bytes + _ALIGNMENT_BYTES - 1)


def is_not_supported(error: OSError) -> bool:
    """Tells whether the filesystem only refused to go past the cache."""
    return error.errno in _NOT_SUPPORTED
