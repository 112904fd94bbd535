# SPDX-License-Identifier: Apache-2.0
"""Frames: what their headers may say."""

import pytest

from drystone.core.content.frame import (
    ABSENT_BYTES_MAX,
    BASED_HEADER_BYTES,
    HEADER,
    HEADER_BYTES,
    MARKER,
    NO_BLOCK,
    Codec,
    Frame,
    MalformedFrame,
    absent_frame,
    decode_header,
    encode_end,
    encode_frame,
    encode_header,
    read_absent,
)
from drystone.core.limits import BLOCK_BYTES_MAX

NAME = b"n" * 32
BASE = b"b" * 32


def test_a_header_survives_its_encoding():
    frame = Frame(NAME, 10, Codec.ZSTD, b"12345")
    header = decode_header(encode_header(frame))
    assert header == (Codec.ZSTD, 5, 10, NAME)
    assert not header.is_based
    assert encode_frame(frame) == encode_header(frame) + b"12345"
    assert len(encode_header(frame)) == HEADER_BYTES == 44


@pytest.mark.parametrize("codec", [Codec.DELTA, Codec.PATCH])
def test_a_frame_made_against_a_base_names_it(codec):
    encoded = encode_header(Frame(NAME, 10, codec, b"12345", BASE))
    assert len(encoded) == BASED_HEADER_BYTES == 76
    assert encoded.endswith(BASE)
    assert decode_header(encoded).is_based


def test_an_end_tells_how_many_frames_there_were():
    assert decode_header(encode_end(70_000)) == (Codec.END, 70_000, 0, NO_BLOCK)


def test_a_header_is_read_at_an_offset():
    encoded = encode_frame(Frame(NAME, 3, Codec.RAW, b"abc"))
    assert decode_header(b"12345" + encoded, 5).block_id == NAME


@pytest.mark.parametrize("length", [5, ABSENT_BYTES_MAX * 3])
def test_a_block_that_does_not_come_says_why(length):
    frame = absent_frame(NAME, "corrupt-pack", "ä" * length)
    assert decode_header(encode_header(frame)).codec == Codec.ABSENT
    code, message = read_absent(frame)
    assert code == "corrupt-pack"
    assert message.startswith("ä" * 5)


@pytest.mark.parametrize(
    ("codec", "stored_bytes", "plain_bytes", "name"),
    [
        (Codec.RAW, 0, 0, NAME),
        (Codec.RAW, 5, 6, NAME),
        (Codec.RAW, BLOCK_BYTES_MAX + 1, BLOCK_BYTES_MAX + 1, NAME),
        (Codec.ZSTD, 0, 10, NAME),
        (Codec.ZSTD, 11, 10, NAME),
        (Codec.ZSTD, 10, 2**32 - 1, NAME),
        (Codec.DELTA, 2**32 - 1, 10, NAME),
        (Codec.PATCH, 10, 0, NAME),
        (Codec.ABSENT, ABSENT_BYTES_MAX + 1, 0, NAME),
        (Codec.ABSENT, 5, 5, NAME),
        (Codec.END, 5, 1, NO_BLOCK),
        (Codec.END, 5, 0, NAME),
        (4, 5, 10, NAME),
        (253, 5, 10, NAME),
    ],
)
def test_an_impossible_header_is_refused(codec, stored_bytes, plain_bytes, name):
    with pytest.raises(MalformedFrame):
        decode_header(HEADER.pack(MARKER, codec, stored_bytes, plain_bytes, name))


def test_another_marker_is_refused():
    with pytest.raises(MalformedFrame):
        decode_header(HEADER.pack(0x1234, Codec.RAW, 5, 5, NAME))
