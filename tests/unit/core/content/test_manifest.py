# SPDX-License-Identifier: Apache-2.0
"""Manifests: what covers a file passes, anything else is refused."""

import struct

import pytest

from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.coding import encode_delta
from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.content.manifest import (
    MANIFEST_CHUNKS_MAX,
    FileTooLarge,
    MalformedManifest,
    Manifest,
    check_manifest,
    chunks_of,
    decode_manifest,
    encode_manifest,
)
from drystone.core.errors import Corrupt, Refused
from drystone.core.limits import BLOCK_BYTES_MAX, MANIFEST_BYTES_MAX

HASH = b"h" * 32
ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))


def manifest_of(*lengths_and_ids, chunker_id=ChunkerId.FASTCDC, content_hash=HASH):
    chunks = []
    offset = 0
    for length, name in lengths_and_ids:
        chunks.append(Chunk(offset, length, name))
        offset += length
    return Manifest(chunker_id, 1, offset, content_hash, tuple(chunks))


SOUND = manifest_of((100, ONE), (200, TWO), (100, ONE), (7, THREE))


def test_a_manifest_survives_its_encoding():
    assert decode_manifest(encode_manifest(SOUND)) == SOUND


def test_content_names_the_encoding():
    encoded = encode_manifest(SOUND)
    assert SOUND.content(encoded) == Content(407, block_id(encoded), True, HASH)


def test_missing_blocks_are_told_once_in_order_of_use():
    assert SOUND.missing(set()) == (ONE, TWO, THREE)
    assert SOUND.missing({TWO}) == (ONE, THREE)
    assert SOUND.missing({ONE, TWO, THREE}) == ()


@pytest.mark.parametrize("start", [0, 1, 99, 100, 250, 300, 399, 400, 406, 407, 500])
@pytest.mark.parametrize("length", [0, 1, 50, 100, 300, 1_000])
def test_spans_make_up_the_range(start, length):
    blocks = {ONE: bytes(range(100)), TWO: b"b" * 200, THREE: b"1234567"}
    whole = b"".join(blocks[chunk.block_id] for chunk in SOUND.chunks)
    spans = SOUND.spans(start, length)
    found = b"".join(blocks[s.block_id][s.start_bytes :][: s.length_bytes] for s in spans)
    assert found == whole[start : start + length]
    assert [span.offset_bytes for span in spans] == [
        start + sum(s.length_bytes for s in spans[:index]) for index in range(len(spans))
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        manifest_of((100, ONE)),
        manifest_of(),
        manifest_of((100, ONE), (0, TWO)),
        manifest_of((100, ONE), (BLOCK_BYTES_MAX + 1, TWO)),
        manifest_of((100, ONE), (-5, TWO)),
        SOUND._replace(size_bytes=408),
        SOUND._replace(chunks=SOUND.chunks[:2] + SOUND.chunks[3:]),
        SOUND._replace(chunks=(SOUND.chunks[0]._replace(offset_bytes=1), *SOUND.chunks[1:])),
        SOUND._replace(chunker_id=0),
        SOUND._replace(chunker_version=300),
        SOUND._replace(content_hash=b"short"),
        manifest_of((100, ONE), (BLOCK_BYTES_MAX, TWO), chunker_id=ChunkerId.FIXED),
        manifest_of((BLOCK_BYTES_MAX, ONE), (5, TWO), chunker_id=ChunkerId.FIXED),
    ],
)
def test_what_does_not_cover_its_file_is_refused(manifest):
    with pytest.raises(MalformedManifest):
        check_manifest(manifest)
    with pytest.raises(MalformedManifest):
        encode_manifest(manifest)


def test_fixed_chunks_give_the_content_hash():
    content_hash = content_hash_of_block_id(ONE + TWO)
    manifest = manifest_of(
        (BLOCK_BYTES_MAX, ONE), (5, TWO), chunker_id=ChunkerId.FIXED, content_hash=content_hash
    )
    assert decode_manifest(encode_manifest(manifest)) == manifest


def test_the_largest_manifest_is_a_block():
    manifest = manifest_of(*[(1, ONE)] * MANIFEST_CHUNKS_MAX)
    assert len(encode_manifest(manifest)) <= MANIFEST_BYTES_MAX
    with pytest.raises(FileTooLarge):
        encode_manifest(manifest_of(*[(1, ONE)] * (MANIFEST_CHUNKS_MAX + 1)))


ENCODED = encode_manifest(SOUND)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ENCODED[:-1],
        ENCODED[:-36],
        ENCODED + bytes(36),
        b"X" + ENCODED[1:],
        ENCODED[:10] + b"\1" + ENCODED[11:],
        ENCODED[:12] + struct.pack("<I", 2**32 - 1) + ENCODED[16:],
        ENCODED[:16] + struct.pack("<Q", 2**64 - 1) + ENCODED[24:],
        ENCODED[:56] + struct.pack("<I", 2**32 - 1) + ENCODED[60:],
        bytes(MANIFEST_BYTES_MAX + 1),
    ],
)
def test_junk_is_refused(data):
    with pytest.raises((Corrupt, Refused)):
        decode_manifest(data)


def test_a_changed_chunk_makes_a_short_delta():
    rows = [(1_000_000 + number, block_id(b"%d" % number)) for number in range(900)]
    base = encode_manifest(manifest_of(*rows))
    rows[400] = (1_000_401, block_id(b"changed"))
    changed = encode_manifest(manifest_of(*rows, content_hash=b"H" * 32))
    delta = encode_delta(block_id(changed), changed, block_id(base), base)
    assert len(base) > 32_000
    assert len(delta.payload) < 200


def test_any_content_has_chunks():
    assert chunks_of(EMPTY_CONTENT, None) == ()
    assert chunks_of(Content(5, ONE, False, HASH), None) == (Chunk(0, 5, ONE),)
    assert chunks_of(SOUND.content(ENCODED), SOUND) == SOUND.chunks
    with pytest.raises(AssertionError):
        chunks_of(SOUND.content(ENCODED), None)
