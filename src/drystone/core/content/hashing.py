# SPDX-License-Identifier: Apache-2.0
"""Hashing: block ids, content hashes, and the tags that tell formats apart.

Source of the content hash: Dropbox, "Content hash" (SHA-256 over the concatenated SHA-256
digests of the successive 4 MiB slices of a file).
"""

from hashlib import sha256
from typing import Final

from drystone.core.content.content import EMPTY_CONTENT_HASH
from drystone.core.ids import BlockId
from drystone.core.limits import BLOCK_BYTES_MAX, CONTENT_HASH_SLICE_BYTES

Buffer = bytes | bytearray | memoryview
"""Bytes that somebody may lend. A memoryview is of bytes: one dimension, contiguous."""

MANIFEST_TAG: Final = b"DSMANI1\n"
BUNDLE_TAG: Final = b"DSBNDL1\n"
PACK_TAG: Final = b"DSPACK1\n"
"""The first eight bytes of each format that rests or travels by itself. A new version of a
format gets a new tag, so that no bytes can be read as two things."""

# bytes(n) is calloc: these pages are not resident until somebody reads them.
HOLE: Final = memoryview(bytes(BLOCK_BYTES_MAX))
"""A block of zeros. A piece that *is* this view needs not be looked at."""


def block_id(data: Buffer) -> BlockId:
    """Returns the id of the block that holds ``data``: its SHA-256. Releases the GIL if long."""
    return BlockId(sha256(data).digest())


def content_hash_of_block_id(root: BlockId) -> bytes:
    """Returns the content hash of a file that is this one block, without its bytes.

    A block is never longer than a slice, so the file's only slice is the block. ``b""``
    stands for the empty file, as in ``Content.root``.
    """
    return sha256(root).digest() if root else EMPTY_CONTENT_HASH


class ContentHasher:
    """Takes the content hash of a file fed in pieces of any size. Not for several threads."""

    def __init__(self) -> None:
        self._outer = sha256()
        self._slice = sha256()
        self._room_bytes = CONTENT_HASH_SLICE_BYTES

    def feed(self, data: Buffer) -> None:
        """Takes the next bytes of the file. Releases the GIL while it hashes long pieces."""
        rest = memoryview(data)
        while len(rest) >= self._room_bytes:
            self._slice.update(rest[: self._room_bytes])
            rest = rest[self._room_bytes :]
            self._close_slice()
        if rest:
            self._slice.update(rest)
            self._room_bytes -= len(rest)

    def feed_slice_digest(self, digest: bytes) -> None:
        """Takes a whole slice (or the last, shorter one) whose SHA-256 is already known.

        Only at the boundary of a slice; anything else is an ``AssertionError``.
        """
        assert self._room_bytes == CONTENT_HASH_SLICE_BYTES, "not at the boundary of a slice"
        self._outer.update(digest)

    def feed_zeros(self, length_bytes: int) -> None:
        """Takes a hole: as many zeros. Whole slices of zeros cost well below a microsecond."""
        to_boundary = self._room_bytes % CONTENT_HASH_SLICE_BYTES
        first = min(length_bytes, to_boundary)
        self.feed(zeros(first))
        slices_count, last = divmod(length_bytes - first, CONTENT_HASH_SLICE_BYTES)
        if slices_count:
            digest = zeros_id(CONTENT_HASH_SLICE_BYTES)
            for _ in range(slices_count):
                self.feed_slice_digest(digest)
        self.feed(zeros(last))

    def finish(self) -> bytes:
        """Returns the content hash of all that was fed. Call it once."""
        if self._room_bytes < CONTENT_HASH_SLICE_BYTES:
            self._close_slice()
        return self._outer.digest()

    def _close_slice(self) -> None:
        self._outer.update(self._slice.digest())
        self._slice = sha256()
        self._room_bytes = CONTENT_HASH_SLICE_BYTES


def zeros(length_bytes: int) -> memoryview:
    """Returns that many zero bytes, at most a block's worth, without making them anew."""
    assert length_bytes <= len(HOLE)
    return HOLE[:length_bytes]


def zeros_id(length_bytes: int) -> BlockId:
    """Returns the block id of that many zeros. Those asked for before are remembered."""
    found = _zeros_ids.get(length_bytes)
    if found is None:
        found = block_id(zeros(length_bytes))
        if len(_zeros_ids) < _ZEROS_IDS_MAX:
            _zeros_ids[length_bytes] = found
    return found


_ZEROS_IDS_MAX: Final = 64
_zeros_ids: dict[int, BlockId] = {}
