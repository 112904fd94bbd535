# SPDX-License-Identifier: Apache-2.0
"""Bundles: read however they come apart, and never believed to be whole without their end."""

import tracemalloc

import pytest

from drystone.core.content.coding import decode_frame, encode_block, encode_delta
from drystone.core.content.frame import (
    HEADER,
    HEADER_BYTES,
    MARKER,
    Codec,
    Frame,
    absent_frame,
    encode_end,
    encode_frame,
)
from drystone.core.content.hashing import BUNDLE_TAG, block_id
from drystone.core.limits import BLOCK_BYTES_MAX
from drystone.wire.bundle import (
    BundleReader,
    BundleTooLarge,
    BundleWriter,
    MalformedBundle,
    TruncatedBundle,
)

BLOCKS = [b"first", b"second block " * 100, b"third", b"first"]
FRAMES = [
    *[encode_block(block_id(block), block) for block in BLOCKS],
    encode_delta(block_id(b"second!" * 50), b"second!" * 50, block_id(BLOCKS[1]), BLOCKS[1]),
    absent_frame(block_id(b"gone"), "corrupt-pack", "it is damaged"),
]


def write_bundle(frames):
    writer = BundleWriter()
    parts = [writer.begin()]
    for frame in frames:
        parts += writer.frame(frame)
    parts.append(writer.end())
    whole = b"".join(parts)
    assert writer.frames_count == len(frames)
    assert writer.length_bytes == len(whole)
    return whole


BUNDLE = write_bundle(FRAMES)


def plain(frames):
    """Frames with payloads that compare."""
    return [frame._replace(payload=bytes(frame.payload)) for frame in frames]


@pytest.mark.parametrize("step", [1, 2, 3, 43, 44, 45, 100, len(BUNDLE)])
def test_a_bundle_is_read_in_pieces_of_any_size(step):
    reader = BundleReader()
    found = []
    for start in range(0, len(BUNDLE), step):
        found += plain(reader.feed(BUNDLE[start : start + step]))
    reader.finish()
    assert found == FRAMES
    assert reader.frames_count == len(FRAMES)
    assert reader.length_bytes == len(BUNDLE)


@pytest.mark.parametrize("cut", range(len(BUNDLE)))
def test_a_bundle_that_breaks_off_anywhere_is_truncated(cut):
    reader = BundleReader()
    found = plain(reader.feed(BUNDLE[:cut]))
    with pytest.raises(TruncatedBundle):
        reader.finish()
    assert found == FRAMES[: len(found)]


def test_an_empty_bundle_is_whole():
    reader = BundleReader()
    assert reader.feed(write_bundle([])) == []
    reader.finish()


def test_blocks_come_out_of_a_bundle():
    found = [decode_frame(frame, None) for frame in BundleReader().feed(BUNDLE)[: len(BLOCKS)]]
    assert found == BLOCKS


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>it works!</body></html>",
        b"DSBNDL2\n" + BUNDLE[8:],
        BUNDLE_TAG + bytes(HEADER_BYTES),
        BUNDLE + b"x",
        BUNDLE_TAG + encode_end(1),
        BUNDLE_TAG + encode_frame(FRAMES[0]) + encode_end(0),
        BUNDLE_TAG + HEADER.pack(MARKER, Codec.RAW, 2**32 - 1, 2**32 - 1, bytes(32)),
        BUNDLE_TAG + HEADER.pack(MARKER, Codec.DELTA, 2**32 - 1, 4_096, bytes(32)),
        BUNDLE_TAG + HEADER.pack(MARKER, 99, 5, 5, bytes(32)),
    ],
)
def test_what_is_no_bundle_is_refused_at_once(data):
    with pytest.raises(MalformedBundle):
        BundleReader().feed(data)


def test_nothing_may_follow_the_end():
    reader = BundleReader()
    reader.feed(BUNDLE)
    reader.feed(b"")
    with pytest.raises(MalformedBundle):
        reader.feed(b"x")


def test_more_than_allowed_is_refused():
    with pytest.raises(BundleTooLarge):
        BundleReader(blocks_max=len(FRAMES) - 1).feed(BUNDLE)
    BundleReader(blocks_max=len(FRAMES)).feed(BUNDLE)
    with pytest.raises(BundleTooLarge):
        BundleReader(bytes_max=len(BUNDLE) - 1).feed(BUNDLE)
    BundleReader(bytes_max=len(BUNDLE)).feed(BUNDLE)


def test_a_reader_holds_no_more_than_a_frame_and_a_piece():
    block = bytes(BLOCK_BYTES_MAX)
    frame = encode_frame(Frame(block_id(block), len(block), Codec.RAW, block))
    reader = BundleReader()
    reader.feed(BUNDLE_TAG)
    pieces = [frame[start : start + 65_536] for start in range(0, len(frame), 65_536)]
    tracemalloc.start()
    try:
        for _ in range(5):
            for piece in pieces:
                reader.feed(piece)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.frames_count == 5
    assert peak_bytes < 3 * BLOCK_BYTES_MAX


def test_many_small_frames_are_not_copied_again_and_again():
    small = encode_frame(FRAMES[0])
    reader = BundleReader()
    reader.feed(BUNDLE_TAG + small[:10])
    # Were the pending bytes joined for each piece, this would copy gigabytes.
    count = len(reader.feed(small[10:] + small * 15_000))
    for start in range(0, len(small) * 1_000, 7):
        count += len(reader.feed((small * 1_001)[start : start + 7][: len(small) * 1_000 - start]))
    assert count == reader.frames_count == 16_001
