# SPDX-License-Identifier: Apache-2.0
"""Reading ranges of a file with few system calls."""

import os
from collections.abc import Iterator, Sequence
from typing import Final, Self

from drystone.core.limits import KIB
from drystone.server.ports.objects import ObjectParts
from drystone.server.storage.objects_files.direct import (
    BUFFER_BYTES,
    DIRECT_BYTES_MIN,
    O_DIRECT,
    aligned_buffer,
    is_not_supported,
    round_down,
    round_up,
)

_Range = tuple[int, int]

_GAP_BYTES_MAX: Final = 4 * KIB
"""Ranges no further apart than this are one read: cheaper than a second system call."""

_RUN_BYTES_MAX: Final = BUFFER_BYTES
"""Length of one such read, so that memory is bounded by what was asked for."""


def read_ranges(path: str, ranges: Sequence[_Range]) -> list[bytes]:
    """Returns the bytes of each ``(offset, length)``, in order; fewer at the file's end.

    Raises:
        OSError: The file cannot be opened or read.
    """
    answer = [b""] * len(ranges)
    with _OpenFile(path) as file:
        for run in _iter_runs(ranges):
            start = ranges[run[0]][0]
            end = max(ranges[index][0] + ranges[index][1] for index in run)
            content = file.read(start, end - start)
            if len(run) == 1:
                answer[run[0]] = content
                continue
            for index in run:
                offset, length = ranges[index]
                answer[index] = content[offset - start : offset - start + length]
    return answer


def is_same(path: str, parts: ObjectParts) -> bool:
    """Tells whether there is a file that has just these bytes, and can be read.

    Cost: a look at its length, unless that is right; then it is read.
    """
    try:
        if os.stat(path).st_size != sum(len(part) for part in parts):
            return False
        with _OpenFile(path) as file:
            position = 0
            for part in parts:
                view = memoryview(part)
                for start in range(0, len(view), BUFFER_BYTES):
                    piece = view[start : start + BUFFER_BYTES]
                    if file.read(position, len(piece)) != piece:
                        return False
                    position += len(piece)
    except OSError:
        return False  # Not there, or on a bad spot of the medium.
    return True


def _iter_runs(ranges: Sequence[_Range]) -> Iterator[list[int]]:
    """Yields the indexes of ranges that lie close together, by offset."""
    run: list[int] = []
    run_start = run_end = 0
    for index in sorted(range(len(ranges)), key=ranges.__getitem__):
        offset, length = ranges[index]
        is_near = offset <= run_end + _GAP_BYTES_MAX
        if run and not (is_near and max(run_end, offset + length) - run_start <= _RUN_BYTES_MAX):
            yield run
            run = []
        if not run:
            run_start = run_end = offset
        run.append(index)
        run_end = max(run_end, offset + length)
    if run:
        yield run


class _OpenFile:
    """A file that is read through the cache, or past it where much is read at once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._cached = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._direct = -1
        self._may_direct = bool(O_DIRECT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._cached)
        if self._direct >= 0:
            os.close(self._direct)

    def read(self, offset: int, length: int) -> bytes:
        """Returns that many bytes; fewer only at the end of the file."""
        if self._may_direct and length >= DIRECT_BYTES_MIN:
            try:
                return self._read_direct(offset, length)
            except OSError as error:
                if not is_not_supported(error):
                    raise
                self._may_direct = False
        content = os.pread(self._cached, length, offset)
        while len(content) < length:
            more = os.pread(self._cached, length - len(content), offset + len(content))
            if not more:
                break
            content += more
        return content

    def _read_direct(self, offset: int, length: int) -> bytes:
        if self._direct < 0:
            self._direct = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | O_DIRECT)
        pieces: list[bytes] = []
        buffer = aligned_buffer()
        position, end = offset, offset + length
        while position < end:
            start = round_down(position)
            wanted = min(len(buffer), round_up(end) - start)
            count = os.preadv(self._direct, [buffer[:wanted]], start)
            piece = bytes(buffer[position - start : min(count, end - start)])
            if not piece:  # the end of the file
                break
            pieces.append(piece)
            position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
