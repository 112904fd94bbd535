# SPDX-License-Identifier: Apache-2.0
r"""Manifests: which chunks make up a file that has several, as a value and as bytes.

=======  =====  =====================================================================
offset   bytes  meaning (integers are little-endian)
=======  =====  =====================================================================
0        8      tag ``DSMANI1\n``
8        1      chunker: 1 fixed, 2 FastCDC
9        1      version of the chunker's rules
10       2      zero
12       4      number of chunks, 2 or more
16       8      size of the file
24       32     content hash
56       36 n   per chunk: length (4), block id (32)
=======  =====  =====================================================================

One manifest has one encoding. Rows are alike and in the file's order, so two versions of a
file have manifests of which one is a short delta against the other.
"""

from bisect import bisect_right
from collections.abc import Container
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.content import Content
from drystone.core.content.hashing import MANIFEST_TAG, Buffer, block_id
from drystone.core.errors import Corrupt, Refused
from drystone.core.ids import BlockId
from drystone.core.limits import BLOCK_BYTES_MAX, FILE_BYTES_MAX, MANIFEST_BYTES_MAX

_HEAD: Final = Struct("<8sBBHIQ32s")
_ROW: Final = Struct("<I32s")
MANIFEST_CHUNKS_MAX: Final = (MANIFEST_BYTES_MAX - _HEAD.size) // _ROW.size


class MalformedManifest(Corrupt):
    """Bytes that should be a manifest are not one, or its chunks do not cover its file."""

    code = "malformed-manifest"


class FileTooLarge(Refused):
    """A file has more chunks than a manifest can list."""

    code = "file-too-large"


class Span(NamedTuple):
    """Part of a block: which bytes of it stand at ``offset_bytes`` of the file."""

    block_id: BlockId
    offset_bytes: int
    start_bytes: int
    """First byte of the block that is part of it."""
    length_bytes: int


class Manifest(NamedTuple):
    """The chunks of one file, in order. ``check_manifest`` has accepted each decoded one."""

    chunker_id: int
    chunker_version: int
    size_bytes: int
    content_hash: bytes
    chunks: tuple[Chunk, ...]

    def missing(self, have: Container[BlockId]) -> tuple[BlockId, ...]:
        """Returns the blocks that are not in ``have``, each once, in order of first use."""
        distinct = dict.fromkeys(chunk.block_id for chunk in self.chunks)
        return tuple(name for name in distinct if name not in have)

    def spans(self, start_bytes: int, length_bytes: int) -> list[Span]:
        """Returns which parts of which blocks make up a range of the file, in order.

        What lies beyond the end of the file is left out. Cost: O(chunks in the range).
        """
        end_bytes = min(start_bytes + length_bytes, self.size_bytes)
        found: list[Span] = []
        index = bisect_right(self.chunks, start_bytes, key=_offset_of) - 1
        position = start_bytes
        while position < end_bytes:
            chunk = self.chunks[index]
            inside = position - chunk.offset_bytes
            length = min(chunk.length_bytes - inside, end_bytes - position)
            found.append(Span(chunk.block_id, position, inside, length))
            position += length
            index += 1
        return found

    def content(self, encoded: bytes) -> Content:
        """Returns the content that this manifest describes; ``encoded`` is its encoding."""
        return Content(self.size_bytes, block_id(encoded), True, self.content_hash)  # noqa: FBT003


def encode_manifest(manifest: Manifest) -> bytes:
    """Returns the one encoding of a manifest.

    Raises:
        FileTooLarge: It has more than ``MANIFEST_CHUNKS_MAX`` chunks.
        MalformedManifest: Its chunks do not cover its file.
    """
    check_manifest(manifest)
    count = len(manifest.chunks)
    head = _HEAD.pack(
        MANIFEST_TAG,
        manifest.chunker_id,
        manifest.chunker_version,
        0,
        count,
        manifest.size_bytes,
        manifest.content_hash,
    )
    rows = (_ROW.pack(chunk.length_bytes, chunk.block_id) for chunk in manifest.chunks)
    return head + b"".join(rows)


def decode_manifest(data: Buffer) -> Manifest:
    """Returns the manifest that ``data`` encodes: hostile bytes, of any length.

    Raises:
        MalformedManifest: It is not the encoding of a manifest.
    """
    length = len(data)
    if length > MANIFEST_BYTES_MAX or length < _HEAD.size or (length - _HEAD.size) % _ROW.size:
        raise MalformedManifest(f"{length} bytes cannot be a manifest")
    tag, chunker_id, version, reserved, count, size_bytes, content_hash = _HEAD.unpack_from(data)
    if tag != MANIFEST_TAG or reserved:
        raise MalformedManifest("these bytes are not a manifest of a kind known here")
    if count != (length - _HEAD.size) // _ROW.size:
        raise MalformedManifest(f"a manifest claims {count} chunks and lists another number")
    chunks: list[Chunk] = []
    offset = 0
    for chunk_bytes, name in _ROW.iter_unpack(memoryview(data)[_HEAD.size :]):
        chunks.append(Chunk(offset, chunk_bytes, name))
        offset += chunk_bytes
    manifest = Manifest(chunker_id, version, size_bytes, content_hash, tuple(chunks))
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Accepts a manifest whose chunks cover its file exactly, or raises.

    Raises:
        FileTooLarge: It has more than ``MANIFEST_CHUNKS_MAX`` chunks.
        MalformedManifest: The chunks do not tile ``[0, size_bytes)``, a chunk has no length
            that a block can have, or what it says cannot be for another reason.
    """
    count = len(manifest.chunks)
    if count > MANIFEST_CHUNKS_MAX:
        raise FileTooLarge(f"a file of {count} chunks; at most {MANIFEST_CHUNKS_MAX} can be listed")
    if count < 2:
        raise MalformedManifest("a file of fewer than two chunks has no manifest")
    if not 0 < manifest.chunker_id < 256 or not 0 < manifest.chunker_version < 256:
        raise MalformedManifest("a manifest names no chunker")
    if len(manifest.content_hash) != sha256().digest_size:
        raise MalformedManifest("a manifest's content hash does not have 32 bytes")
    offset = 0
    for offset_bytes, length_bytes, _ in manifest.chunks:
        if offset_bytes != offset or not 0 < length_bytes <= BLOCK_BYTES_MAX:
            raise MalformedManifest(
                f"a chunk of {length_bytes} bytes at {offset_bytes}, where {offset} was due"
            )
        offset += length_bytes
    if offset != manifest.size_bytes or offset > FILE_BYTES_MAX:
        raise MalformedManifest(f"chunks of {offset} bytes for a file of {manifest.size_bytes}")
    if manifest.chunker_id == ChunkerId.FIXED:
        _check_fixed(manifest)


def chunks_of(content: Content, manifest: Manifest | None) -> tuple[Chunk, ...]:
    """Returns the chunks of any content; ``manifest`` is needed only if it is chunked."""
    if manifest is not None:
        return manifest.chunks
    assert not content.chunked, "a chunked content needs its manifest"
    return (Chunk(0, content.size_bytes, content.root),) if content.root else ()


def _check_fixed(manifest: Manifest) -> None:
    """Checks what only fixed chunks allow: they are the slices of the content hash."""
    chunks = manifest.chunks
    if any(chunk.length_bytes != BLOCK_BYTES_MAX for chunk in chunks[:-1]):
        raise MalformedManifest("a manifest of fixed chunks has a short one before its end")
    if sha256(b"".join(chunk.block_id for chunk in chunks)).digest() != manifest.content_hash:
        raise MalformedManifest("a manifest's content hash does not follow from its chunks")


def _offset_of(chunk: Chunk) -> int:
    return chunk.offset_bytes
