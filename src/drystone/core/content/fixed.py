# SPDX-License-Identifier: Apache-2.0
"""The fixed chunker: a cut every 4 MiB, as Dropbox's protocol has it.

Its pieces are the slices of the content hash, so one hash per byte serves both.
"""

from typing import Final

from drystone.core.content.chunk import ChunkerId
from drystone.core.content.hashing import HOLE, Buffer, zeros
from drystone.core.limits import BLOCK_BYTES_MAX

_PIECE_BYTES: Final = BLOCK_BYTES_MAX


class FixedChunker:
    """Cuts every 4 MiB; see ``chunk.Chunker``."""

    chunker_id = ChunkerId.FIXED
    version = 1

    def __init__(self) -> None:
        self._carried = bytearray()
        """The beginning of a piece whose rest has not come yet."""

    def feed(self, data: Buffer) -> list[memoryview]:
        """See ``chunk.Chunker.feed``. Copies only what does not fill a piece."""
        view = memoryview(data)
        pieces: list[memoryview] = []
        position = 0
        if self._carried:
            position = min(_PIECE_BYTES - len(self._carried), len(view))
            self._carried += view[:position]
            pieces += self._take_full()
        while len(view) - position >= _PIECE_BYTES:
            pieces.append(view[position : position + _PIECE_BYTES])
            position += _PIECE_BYTES
        self._carried += view[position:]
        return pieces

    def feed_zeros(self, length_bytes: int) -> list[memoryview]:
        """See ``chunk.Chunker.feed_zeros``."""
        pieces: list[memoryview] = []
        if self._carried:
            first = min(_PIECE_BYTES - len(self._carried), length_bytes)
            self._carried += zeros(first)
            length_bytes -= first
            pieces += self._take_full()
        full_count, rest = divmod(length_bytes, _PIECE_BYTES)
        pieces += [HOLE] * full_count
        self._carried += zeros(rest)
        return pieces

    def cut(self, data: Buffer) -> list[memoryview]:
        """See ``chunk.Chunker.cut``."""
        view = memoryview(data)
        return [view[i : i + _PIECE_BYTES] for i in range(0, len(view), _PIECE_BYTES)]

    def finish(self) -> list[memoryview]:
        """See ``chunk.Chunker.finish``."""
        last, self._carried = self._carried, bytearray()
        return [memoryview(last)] if last else []

    def _take_full(self) -> list[memoryview]:
        """Returns what is carried if it is a whole piece now, and then carries nothing."""
        if len(self._carried) < _PIECE_BYTES:
            return []
        # The old buffer belongs to the piece that views it.
        full, self._carried = self._carried, bytearray()
        return [memoryview(full)]
