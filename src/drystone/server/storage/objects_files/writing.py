# SPDX-License-Identifier: Apache-2.0
"""Writing a new file so that its bytes are on the medium before anybody can see it."""

import os
from collections.abc import Iterator
from typing import Final

from drystone.server.ports.objects import ObjectParts
from drystone.server.storage.objects_files.direct import (
    DIRECT_BYTES_MIN,
    O_DIRECT,
    aligned_buffer,
    is_not_supported,
    round_up,
)

_WRITE_PARTS_MAX: Final = 1024
"""Buffers in one ``writev``: IOV_MAX of Linux."""


def write_durably(path: str, parts: ObjectParts) -> None:
    """Writes a new file and returns once its bytes are on the medium; its name may not be.

    Raises:
        OSError: What was written so far stays at ``path``: the caller removes it.
    """
    length_bytes = sum(len(part) for part in parts)
    if O_DIRECT and length_bytes >= DIRECT_BYTES_MIN:
        try:
            _write_direct(path, parts, length_bytes)
        except OSError as error:
            if not is_not_supported(error):
                raise
            if os.path.exists(path):
                os.unlink(path)
        else:
            return
    _write_cached(path, parts)


def _create(path: str, flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | flags, mode=0o600)


def _write_direct(path: str, parts: ObjectParts, length_bytes: int) -> None:
    descriptor = _create(path, O_DIRECT)
    try:
        buffer = aligned_buffer()
        for filled_bytes in _iter_filled(buffer, parts):
            # The last piece is padded to what the disk takes, and the file cut to its length.
            _write_all(descriptor, [buffer[: round_up(filled_bytes)]])
        os.ftruncate(descriptor, length_bytes)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _iter_filled(buffer: memoryview, parts: ObjectParts) -> Iterator[int]:
    """Fills the buffer with one piece after another; yields how much of it is filled.

    All pieces but the last fill it wholly.
    """
    filled_bytes = 0
    for part in parts:
        view = memoryview(part)
        while view:
            taken_bytes = min(len(buffer) - filled_bytes, len(view))
            buffer[filled_bytes : filled_bytes + taken_bytes] = view[:taken_bytes]
            filled_bytes += taken_bytes
            view = view[taken_bytes:]
            if filled_bytes == len(buffer):
                yield filled_bytes
                filled_bytes = 0
    if filled_bytes:
        yield filled_bytes


def _write_cached(path: str, parts: ObjectParts) -> None:
    descriptor = _create(path, 0)
    try:
        for start in range(0, len(parts), _WRITE_PARTS_MAX):
            _write_all(descriptor, parts[start : start + _WRITE_PARTS_MAX])
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, parts: ObjectParts) -> None:
    """Writes all parts, however few bytes each call takes."""
    wanted = sum(len(part) for part in parts)
    written = os.writev(descriptor, parts)
    while written < wanted:
        # Rare (a signal, a nearly full disk): find where it stopped and go on from there.
        rest: list[memoryview] = []
        skip = written
        for part in parts:
            if skip < len(part):
                rest.append(memoryview(part)[skip:])
            skip = max(0, skip - len(part))
        parts = rest
        wanted -= written
        written = os.writev(descriptor, parts)
