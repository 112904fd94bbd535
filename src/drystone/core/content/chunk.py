# SPDX-License-Identifier: Apache-2.0
"""Chunks, and the protocol of what cuts a stream of bytes into them."""

from enum import IntEnum
from typing import NamedTuple, Protocol

from drystone.core.content.hashing import Buffer
from drystone.core.ids import BlockId


class Chunk(NamedTuple):
    """A place: where in a file's content which block stands."""

    offset_bytes: int
    length_bytes: int
    block_id: BlockId


class ChunkerId(IntEnum):
    """How a content was cut. The numbers are part of the manifest's format."""

    FIXED = 1
    FASTCDC = 2


class Chunker(Protocol):
    """Cuts one stream of bytes into pieces that cover it without gap, in order.

    Where it cuts depends on the bytes alone, never on how they were handed over. No piece
    is longer than a block; a stream of up to ``SMALL_FILE_BYTES_MAX`` is one piece. Make a
    new one for each stream; not for several threads.
    """

    chunker_id: ChunkerId
    version: int
    """Of the rules by which ``chunker_id`` cuts. A change of cuts is a new version."""

    def feed(self, data: Buffer) -> list[memoryview]:
        """Takes the next bytes and returns the pieces whose ends are now certain.

        Pieces may be views of ``data`` and of the chunker's own buffer: they are valid
        until the next call, and as long as ``data`` is left unchanged.
        """
        ...

    def feed_zeros(self, length_bytes: int) -> list[memoryview]:
        """Takes a hole as that many zeros, which are neither made nor looked at one by one.

        Pieces of 4 MiB that lie in the hole are ``hashing.HOLE`` itself.
        """
        ...

    def cut(self, data: Buffer) -> list[memoryview]:
        """Returns the pieces of a whole stream that is in memory: views of ``data``.

        The same as feeding it all and finishing, without copying any of it.
        """
        ...

    def finish(self) -> list[memoryview]:
        """Returns the last pieces. The stream is over; an empty one has none."""
        ...
