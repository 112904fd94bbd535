# SPDX-License-Identifier: Apache-2.0
"""Inotify: Linux's calls for watching folders, and the events they give.

Source: inotify(7).
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

MODIFY: Final = 0x2
ATTRIB: Final = 0x4
CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
UNMOUNT: Final = 0x2000
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
IS_FOLDER: Final = 0x4000_0000

_ONLY_FOLDERS: Final = 0x100_0000
_NO_LINKS: Final = 0x200_0000
_MASK: Final = (
    MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE
    | _ONLY_FOLDERS | _NO_LINKS
)  # fmt: skip
_HEAD: Final = struct.Struct("iIII")
_READ_BYTES: Final = 1 << 18


class Event(NamedTuple):
    """Something happened to ``name`` in the folder that ``watch`` stands for."""

    watch: int
    mask: int
    cookie: int
    name: str


class NoMoreWatches(Exception):
    """The system does not let this user watch more folders."""


class Inotify:
    """One queue of events. Not for several threads at once.

    Raises ``OSError`` where the system has no such thing, or no more of them.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._library, "inotify_init1"):
            raise OSError(errno.ENOSYS, "this system has no inotify")
        self.fd: int = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise _last_error()

    def add(self, path: bytes) -> int | None:
        """Watches a folder; returns its watch, or None if it cannot be watched (any more).

        A folder that is watched already keeps its watch, whatever its path.

        Raises:
            NoMoreWatches: See there.
        """
        watch: int = self._library.inotify_add_watch(self.fd, path, ctypes.c_uint32(_MASK))
        if watch >= 0:
            return watch
        error = _last_error()
        if error.errno in (errno.ENOSPC, errno.ENOMEM):
            raise NoMoreWatches from error
        return None  # Gone, no folder, not for us: the scan will tell.

    def remove(self, watch: int) -> None:
        """Ends a watch; one that ended by itself is no error."""
        self._library.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Event]:
        """Returns what has happened since it was read last; empty if nothing has."""
        events: list[Event] = []
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return events
            events += parse_events(data)
            # A full buffer says that there may be more.
            if len(data) < _READ_BYTES // 2:
                return events

    def close(self) -> None:
        """Ends all watches. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def parse_events(data: bytes) -> Iterator[Event]:
    """Yields the events in what was read from the queue."""
    offset = 0
    while offset < len(data):
        watch, mask, cookie, length = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        name = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
        offset += length
        yield Event(watch, mask, cookie, name)


def _last_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
