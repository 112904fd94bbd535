# SPDX-License-Identifier: Apache-2.0
"""Digesting: one read gives content, chunks and manifest."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from drystone.core.content.chunk import ChunkerId
from drystone.core.content.content import EMPTY_CONTENT
from drystone.core.content.digest import Digester, digest_small, digest_whole, new_chunker
from drystone.core.content.hashing import block_id
from drystone.core.content.manifest import decode_manifest
from drystone.core.limits import MIB, SMALL_FILE_BYTES_MAX
from tests.unit.core.content.streams import stream
from tests.unit.core.content.test_hashing import content_hash

RANDOM = stream("digest", 9 * MIB)
EACH_CHUNKER = pytest.mark.parametrize("chunker_id", list(ChunkerId))


@EACH_CHUNKER
@pytest.mark.parametrize("size", [1, SMALL_FILE_BYTES_MAX, SMALL_FILE_BYTES_MAX + 1, 9 * MIB])
def test_feeding_finds_what_digesting_at_once_finds(chunker_id, size):
    data = RANDOM[:size]
    digester = Digester(new_chunker(chunker_id))
    for start in range(0, size, 2 * MIB):
        digester.feed(data[start : start + 2 * MIB])
    assert digester.finish() == digest_whole(data, new_chunker(chunker_id))


@EACH_CHUNKER
def test_a_large_file_has_a_manifest_that_names_its_blocks(chunker_id):
    found = digest_whole(RANDOM, new_chunker(chunker_id))
    manifest = decode_manifest(found.manifest)
    assert manifest.chunks == found.chunks
    assert manifest.chunker_id == chunker_id
    assert found.content.size_bytes == manifest.size_bytes == len(RANDOM)
    assert found.content.chunked
    assert found.content.root == sha256(found.manifest).digest()
    assert found.content.content_hash == manifest.content_hash == content_hash(RANDOM)
    for offset, length, name in found.chunks:
        assert block_id(RANDOM[offset : offset + length]) == name


def test_a_file_of_one_block_is_that_block():
    found = digest_small(b"hello")
    assert found.manifest is None
    assert found.content.root == block_id(b"hello")
    assert found.content.content_hash == content_hash(b"hello")
    assert [tuple(chunk) for chunk in found.chunks] == [(0, 5, block_id(b"hello"))]


@EACH_CHUNKER
def test_an_empty_file_is_empty(chunker_id):
    for found in (digest_small(b""), digest_whole(b""), Digester(new_chunker(chunker_id)).finish()):
        assert found == (EMPTY_CONTENT, (), None)


@EACH_CHUNKER
def test_holes_are_digested_as_the_zeros_they_are(chunker_id):
    digester = Digester(new_chunker(chunker_id))
    digester.feed(RANDOM[:MIB])
    digester.feed_zeros(17 * MIB)
    digester.feed(RANDOM[MIB:])
    expected = digest_whole(RANDOM[:MIB] + bytes(17 * MIB) + RANDOM[MIB:], new_chunker(chunker_id))
    assert digester.finish() == expected


@EACH_CHUNKER
def test_the_halves_of_feeding_may_run_in_two_threads(chunker_id):
    digester = Digester(new_chunker(chunker_id))
    parts = [RANDOM[start : start + MIB] for start in range(0, len(RANDOM), MIB)]

    def feed_content():
        for part in parts:
            digester.feed_content(part)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(feed_content)
        chunks = [chunk for part in parts for chunk in digester.feed_chunks(part)]
        other.result()
    found = digester.finish()
    assert found == digest_whole(RANDOM, new_chunker(chunker_id))
    assert list(found.chunks[: len(chunks)]) == chunks


def test_the_bytes_of_blocks_can_be_had_in_the_same_read():
    chunker = new_chunker()
    digester = Digester(chunker)
    for pieces in (chunker.feed(RANDOM), chunker.finish()):
        chunks = digester.take_pieces(pieces)
        assert [block_id(piece) for piece in pieces] == [chunk.block_id for chunk in chunks]
    digester.feed_content(RANDOM)
    assert digester.finish() == digest_whole(RANDOM)


def test_a_large_sparse_file_costs_little():
    digester = Digester(new_chunker())
    digester.feed_zeros(50 * 1024 * MIB)
    found = digester.finish()
    assert len(found.chunks) == 12_800
    assert len({chunk.block_id for chunk in found.chunks}) == 1
