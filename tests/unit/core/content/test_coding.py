# SPDX-License-Identifier: Apache-2.0
"""Coding: smaller where that is possible, and verified always."""

import pytest

from drystone.core.content import zstd
from drystone.core.content.coding import (
    FAST,
    RAW_ONLY,
    STANDARD,
    THOROUGH,
    BlockEncoder,
    CorruptBlock,
    MissingBaseBlock,
    choose_policy,
    decode_frame,
    decode_payload,
    encode_block,
    encode_delta,
)
from drystone.core.content.frame import Codec, Frame, absent_frame
from drystone.core.content.hashing import block_id
from tests.unit.core.content.streams import stream

TEXT = b"int main(void) { return 0; }\n" * 40
NOISE = stream("noise", 300_000)


def find_no_base(_):
    return None


def encoded(data, policy=STANDARD, **hints):
    return encode_block(block_id(data), data, policy, **hints)


@pytest.mark.parametrize("policy", [RAW_ONLY, FAST, STANDARD, THOROUGH])
@pytest.mark.parametrize(
    "data", [b"x", TEXT, TEXT * 200, NOISE, NOISE[:1000]], ids=["x", "text", "long", "noise", "n"]
)
def test_a_block_survives_its_frame(policy, data):
    frame = encoded(data, policy)
    assert len(frame.payload) <= len(data)
    assert frame.plain_bytes == len(data)
    assert decode_frame(frame, find_no_base) == data


def test_text_is_compressed_and_noise_is_not():
    assert encoded(TEXT).codec == encoded(TEXT * 5_000).codec == Codec.ZSTD
    assert encoded(NOISE).codec == encoded(NOISE[:500]).codec == Codec.RAW
    assert encoded(TEXT, RAW_ONLY).codec == encoded(TEXT, is_packed=True).codec == Codec.RAW


def test_samples_are_taken_from_the_whole_block():
    half_noise = NOISE[:150_000] + TEXT * 5_000
    assert encoded(half_noise).codec == Codec.ZSTD


def test_an_encoder_makes_what_encode_block_makes():
    encoder = BlockEncoder(STANDARD)
    for data in (TEXT, NOISE, TEXT * 3, b"y"):
        assert encoder.encode(block_id(data), data) == encoded(data)


def test_slower_links_get_more_compression():
    policies = [choose_policy(speed) for speed in (1e5, 5e7, 5e8, 5e9)]
    assert policies == [THOROUGH, STANDARD, FAST, RAW_ONLY]


def test_a_delta_needs_its_base():
    new = NOISE[:100] + b"!" + NOISE[100:]
    frame = encode_delta(block_id(new), new, block_id(NOISE), NOISE)
    assert frame.codec == Codec.DELTA
    assert len(frame.payload) < 500
    assert decode_frame(frame, {block_id(NOISE): NOISE}.get) == new
    with pytest.raises(MissingBaseBlock):
        decode_frame(frame, find_no_base)
    with pytest.raises(MissingBaseBlock):
        decode_frame(frame._replace(base=None), {block_id(NOISE): NOISE}.get)


def test_a_delta_against_something_else_is_sent_raw():
    frame = encode_delta(block_id(NOISE), NOISE, block_id(b"other"), b"other")
    assert (frame.codec, frame.base, frame.payload) == (Codec.RAW, None, NOISE)


def test_another_base_than_named_is_noticed():
    new = TEXT + b"!"
    frame = encode_delta(block_id(new), new, block_id(TEXT), TEXT)
    with pytest.raises((CorruptBlock, zstd.BadCompression)):
        decode_frame(frame, lambda _: TEXT.replace(b"main", b"MAIN"))


@pytest.mark.parametrize("data", [TEXT, NOISE[:1000]])
def test_other_bytes_than_named_are_refused(data):
    frame = encoded(data)._replace(block_id=block_id(b"another block"))
    with pytest.raises(CorruptBlock):
        decode_frame(frame, find_no_base)
    assert decode_payload(frame, find_no_base) == data


def test_a_bomb_is_refused():
    bomb = zstd.compress(bytes(4_000_000), 3)
    with pytest.raises(zstd.DecompressionBomb):
        decode_frame(Frame(block_id(b""), 100, Codec.ZSTD, bomb), find_no_base)


def test_a_frame_without_a_block_yields_none():
    frame = absent_frame(block_id(TEXT), "corrupt-pack", "the pack is damaged")
    with pytest.raises(CorruptBlock, match="the pack is damaged"):
        decode_frame(frame, find_no_base)
    with pytest.raises(CorruptBlock):
        decode_frame(Frame(block_id(TEXT), 5, 77, b"12345"), find_no_base)
