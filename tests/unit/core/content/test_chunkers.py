# SPDX-License-Identifier: Apache-2.0
"""Chunkers: the cuts depend on the bytes alone. Larger samples: tests/property."""

import pytest

from drystone.core.content.chunk import ChunkerId
from drystone.core.content.digest import new_chunker
from drystone.core.content.fastcdc import FastCDCChunker
from drystone.core.content.hashing import HOLE
from drystone.core.limits import (
    BLOCK_BYTES_MAX,
    CHUNK_BYTES_MIN,
    MIB,
    SMALL_FILE_BYTES_MAX,
)
from tests.unit.core.content.streams import stream

RANDOM = stream("chunkers", 12 * MIB)
EACH_CHUNKER = pytest.mark.parametrize("chunker_id", list(ChunkerId))


def cut_in_steps(chunker, data, step):
    """Feeds from one buffer that is overwritten each time, as a reader of files does."""
    pieces = []
    buffer = bytearray(step)
    for start in range(0, len(data), step):
        part = data[start : start + step]
        buffer[: len(part)] = part
        pieces += map(bytes, chunker.feed(memoryview(buffer)[: len(part)]))
        buffer[:] = bytes(step)
    return pieces + list(map(bytes, chunker.finish()))


@EACH_CHUNKER
def test_pieces_cover_the_stream_and_fit_into_blocks(chunker_id):
    pieces = new_chunker(chunker_id).cut(RANDOM)
    assert b"".join(pieces) == RANDOM
    assert all(0 < len(piece) <= BLOCK_BYTES_MAX for piece in pieces)


@EACH_CHUNKER
@pytest.mark.parametrize("step", [50_001, 700_000, BLOCK_BYTES_MAX, 5 * MIB + 3, len(RANDOM)])
def test_cuts_do_not_depend_on_the_feed(chunker_id, step):
    chunker = new_chunker(chunker_id)
    assert cut_in_steps(chunker, RANDOM, step) == list(map(bytes, chunker.cut(RANDOM)))


@EACH_CHUNKER
def test_a_long_stream_may_come_in_thin_slices(chunker_id):
    chunker = new_chunker(chunker_id)
    data = RANDOM * 4
    assert cut_in_steps(chunker, data, 40_009) == list(map(bytes, chunker.cut(data)))


@EACH_CHUNKER
@pytest.mark.parametrize("size", [1, 100, SMALL_FILE_BYTES_MAX])
def test_a_small_file_is_one_piece(chunker_id, size):
    assert list(map(len, new_chunker(chunker_id).cut(RANDOM[:size]))) == [size]


@EACH_CHUNKER
def test_an_empty_stream_has_no_piece(chunker_id):
    chunker = new_chunker(chunker_id)
    assert chunker.feed(b"") + chunker.feed_zeros(0) + chunker.finish() == []
    assert chunker.cut(b"") == []


@EACH_CHUNKER
@pytest.mark.parametrize("hole", [1, MIB, BLOCK_BYTES_MAX, 9 * MIB + 1, 40 * MIB])
@pytest.mark.parametrize("before", [0, 100_000, 3 * MIB])
def test_a_hole_is_cut_as_zeros_are(chunker_id, hole, before):
    data = RANDOM[:before] + bytes(hole) + RANDOM[: 2 * MIB]
    chunker = new_chunker(chunker_id)
    lengths = [len(piece) for piece in chunker.feed(RANDOM[:before])]
    pieces = chunker.feed_zeros(hole)
    if hole == 40 * MIB:
        assert sum(piece is HOLE for piece in pieces) >= 8, "zeros are to be recognized cheaply"
    lengths += map(len, pieces)
    lengths += map(len, chunker.feed(RANDOM[: 2 * MIB]))
    lengths += map(len, chunker.finish())
    assert lengths == [len(piece) for piece in new_chunker(chunker_id).cut(data)]


@EACH_CHUNKER
def test_a_finished_chunker_may_take_another_stream(chunker_id):
    chunker = new_chunker(chunker_id)
    first = cut_in_steps(chunker, RANDOM, MIB)
    assert cut_in_steps(chunker, RANDOM, MIB) == first


def test_zeros_alone_never_make_a_cut():
    assert len(FastCDCChunker().cut(bytes(BLOCK_BYTES_MAX - 1))) == 1
    assert list(map(len, FastCDCChunker().cut(bytes(BLOCK_BYTES_MAX + 1)))) == [BLOCK_BYTES_MAX, 1]


def test_an_insertion_moves_few_cuts():
    old = set(map(bytes, FastCDCChunker().cut(RANDOM)))
    new = [bytes(piece) for piece in FastCDCChunker().cut(RANDOM[:100] + b"!" + RANDOM[100:])]
    assert sum(piece not in old for piece in new) == 1
    assert all(len(piece) >= CHUNK_BYTES_MIN for piece in new[:-1])
