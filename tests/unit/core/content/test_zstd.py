# SPDX-License-Identifier: Apache-2.0
"""Compression: every bound is kept before memory is spent."""

import tracemalloc

import pytest

from drystone.core.content import zstd
from drystone.core.limits import BLOCK_BYTES_MAX, MIB
from tests.unit.core.content.streams import stream

TEXT = b"the same words again and again, " * 500
SIZES = [1, 7, 8, 100, 70_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [-5, 1, 3, 9])
def test_what_was_compressed_comes_back(size, level):
    for data in (stream("zstd", size), bytes(size), (TEXT * 5)[:size]):
        packed = zstd.compress(data, level)
        assert zstd.content_size(packed) == size
        assert zstd.decompress(packed, size) == data


def test_one_compressor_makes_independent_frames():
    compressor = zstd.Compressor(3)
    frames = [compressor.compress(part) for part in (TEXT, b"x", TEXT)]
    assert frames[0] == frames[2] == zstd.compress(TEXT, 3)
    assert zstd.decompress(frames[1], 1) == b"x"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("base_size", [0, 1, 7, 8, 5_000])
def test_what_was_compressed_with_a_base_comes_back_with_it(size, base_size):
    data, base = stream("data", size), stream("data", base_size)
    packed = zstd.compress_with_base(data, base, 3)
    assert zstd.decompress_with_base(packed, size, base) == data


def test_a_base_of_a_whole_block_is_reached_from_end_to_end():
    base = stream("base", BLOCK_BYTES_MAX)
    data = base[:MIB] + b"!" + base[MIB:-1]
    packed = zstd.compress_with_base(data, base, 1)
    assert len(packed) < 1_000
    assert zstd.decompress_with_base(packed, len(data), base) == data


def test_a_frame_that_claims_more_is_refused_without_spending_memory():
    bomb = zstd.compress(bytes(200 * MIB), 3)
    tracemalloc.start()
    try:
        with pytest.raises(zstd.DecompressionBomb):
            zstd.decompress(bomb, 1_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < MIB


def test_a_frame_that_tells_no_size_is_refused():
    stream_compressor = zstd.zstd.ZstdCompressor(3)
    untold = stream_compressor.compress(TEXT) + stream_compressor.flush()
    assert zstd.content_size(untold) is None
    with pytest.raises(zstd.DecompressionBomb):
        zstd.decompress(untold, len(TEXT))


def test_a_frame_that_asks_for_a_huge_window_is_refused():
    # Magic, descriptor, window of 32 MiB, content of 256 bytes, one raw block.
    frame = bytes.fromhex("28b52ffd 40 78 0000 010800") + bytes(256)
    # Whole, it is read without a window; broken off, its reader would have to make one.
    assert zstd.decompress(frame, 256) == bytes(256)
    with pytest.raises(zstd.BadCompression) as caught:
        zstd.decompress(frame[:-1], 256)
    assert "memory" in str(caught.value.__cause__)


PACKED = zstd.compress(TEXT, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        PACKED[:3],
        PACKED[:-1],
        PACKED[: len(PACKED) // 2],
        PACKED + b"x",
        PACKED + PACKED,
        b"X" + PACKED[1:],
        PACKED[:20] + bytes(20) + PACKED[40:],
    ],
)
def test_damaged_frames_are_refused(data):
    with pytest.raises((zstd.BadCompression, zstd.DecompressionBomb)):
        zstd.decompress(data, len(TEXT))


@pytest.mark.parametrize("size", [0, 1, len(TEXT) - 1, len(TEXT) + 1])
def test_another_length_than_told_is_refused(size):
    with pytest.raises(zstd.DecompressionBomb):
        zstd.decompress(PACKED, size)
