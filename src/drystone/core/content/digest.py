# SPDX-License-Identifier: Apache-2.0
"""Digesting: from a file's bytes to its content and manifest, in one read.

Up to ``SMALL_FILE_BYTES_MAX``, or while a file fits in memory comfortably, call
``digest_whole``. Otherwise feed a ``Digester``. Each byte is hashed twice (for its block and
for the content hash) unless one hash can serve both: with fixed chunks, and with one chunk.
"""

from typing import NamedTuple

from drystone.core.content.chunk import Chunk, Chunker, ChunkerId
from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.fastcdc import FastCDCChunker
from drystone.core.content.fixed import FixedChunker
from drystone.core.content.hashing import (
    HOLE,
    Buffer,
    ContentHasher,
    block_id,
    content_hash_of_block_id,
    zeros_id,
)
from drystone.core.content.manifest import Manifest, encode_manifest
from drystone.core.limits import SMALL_FILE_BYTES_MAX


class Digest(NamedTuple):
    """What a file was found to hold.

    Attributes:
        content: The content.
        chunks: Its chunks in order; none for an empty file.
        manifest: The manifest's encoding, a block to be sent like any other; None for a
            file of fewer than two chunks.
    """

    content: Content
    chunks: tuple[Chunk, ...]
    manifest: bytes | None


def new_chunker(chunker_id: ChunkerId = ChunkerId.FASTCDC) -> Chunker:
    """Returns a new chunker of the newest version of its rules."""
    match chunker_id:
        case ChunkerId.FIXED:
            return FixedChunker()
        case ChunkerId.FASTCDC:
            return FastCDCChunker()


def digest_small(data: Buffer) -> Digest:
    """Digests a file of at most ``SMALL_FILE_BYTES_MAX`` bytes. Hashes each byte once."""
    assert len(data) <= SMALL_FILE_BYTES_MAX
    if not data:
        return Digest(EMPTY_CONTENT, (), None)
    return _digest_one_block(data)


def digest_whole(data: Buffer, chunker: Chunker | None = None) -> Digest:
    """Digests a file that is in memory; ``chunker`` (by default, content-defined) is unused
    as long as the file is small.
    """
    if len(data) <= SMALL_FILE_BYTES_MAX:
        return digest_small(data)
    chunker = new_chunker() if chunker is None else chunker
    pieces = chunker.cut(data)
    if len(pieces) == 1:
        return _digest_one_block(data)
    digester = Digester(chunker)
    digester.take_pieces(pieces)
    digester.feed_content(data)
    return digester.finish()


class Digester:
    """Digests a file fed in pieces of any size. Several MiB at a time are fastest.

    ``feed`` is ``feed_chunks`` followed by ``feed_content``. The two touch nothing in
    common and release the GIL while they hash, so a caller with two cores may run them at
    once in two threads, each with every buffer in order. ``finish`` comes after both.
    """

    def __init__(self, chunker: Chunker) -> None:
        self._chunker = chunker
        self._chunks: list[Chunk] = []
        self._offset_bytes = 0
        self._content = ContentHasher()
        self._is_fixed = chunker.chunker_id == ChunkerId.FIXED

    def feed(self, data: Buffer) -> None:
        """Takes the next bytes of the file; ``data`` may be changed afterwards."""
        self.feed_chunks(data)
        self.feed_content(data)

    def feed_zeros(self, length_bytes: int) -> None:
        """Takes a hole of the file. A whole chunk of zeros costs about a microsecond."""
        self.take_pieces(self._chunker.feed_zeros(length_bytes))
        self.feed_content_zeros(length_bytes)

    def feed_chunks(self, data: Buffer) -> list[Chunk]:
        """The half of ``feed`` that cuts and names blocks; returns the chunks complete now."""
        return self.take_pieces(self._chunker.feed(data))

    def feed_content(self, data: Buffer) -> None:
        """The half of ``feed`` that takes the content hash."""
        if not self._is_fixed:
            self._content.feed(data)

    def feed_content_zeros(self, length_bytes: int) -> None:
        """``feed_content`` for a hole."""
        if not self._is_fixed:
            self._content.feed_zeros(length_bytes)

    def take_pieces(self, pieces: list[memoryview]) -> list[Chunk]:
        """Takes what the chunker cut off; returns its chunks, one for each piece.

        Who wants the bytes of blocks in the same read calls the chunker's methods itself
        (``finish`` too) and hands over the pieces here, instead of ``feed_chunks``.
        """
        found: list[Chunk] = []
        for piece in pieces:
            length = len(piece)
            # Only a hole gives this very view; its id is known.
            name = zeros_id(length) if piece is HOLE else block_id(piece)
            found.append(Chunk(self._offset_bytes, length, name))
            self._offset_bytes += length
        self._chunks += found
        return found

    def finish(self) -> Digest:
        """Returns what the file holds.

        Raises:
            FileTooLarge: It has more chunks than a manifest can list.
        """
        self.take_pieces(self._chunker.finish())
        chunks = tuple(self._chunks)
        if not chunks:
            return Digest(EMPTY_CONTENT, (), None)
        if len(chunks) == 1:
            return _digest_of_one(chunks[0])
        if self._is_fixed:
            for chunk in chunks:
                self._content.feed_slice_digest(chunk.block_id)
        manifest = Manifest(
            self._chunker.chunker_id,
            self._chunker.version,
            self._offset_bytes,
            self._content.finish(),
            chunks,
        )
        encoded = encode_manifest(manifest)
        return Digest(manifest.content(encoded), chunks, encoded)


def _digest_one_block(data: Buffer) -> Digest:
    return _digest_of_one(Chunk(0, len(data), block_id(data)))


def _digest_of_one(chunk: Chunk) -> Digest:
    _, length, name = chunk
    content = Content(length, name, False, content_hash_of_block_id(name))  # noqa: FBT003
    return Digest(content, (chunk,), None)
