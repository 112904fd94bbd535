# SPDX-License-Identifier: Apache-2.0
"""Laws of content: what is cut tiles, what is encoded comes back, and junk changes nothing."""

from contextlib import suppress
from functools import cache
from hashlib import sha256, shake_256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drystone.core.content import zstd
from drystone.core.content.assembly import Seed, plan_assembly
from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.coding import (
    RAW_ONLY,
    STANDARD,
    decode_frame,
    encode_block,
    encode_delta,
)
from drystone.core.content.digest import Digester, digest_whole, new_chunker
from drystone.core.content.frame import Codec, Frame
from drystone.core.content.hashing import block_id
from drystone.core.content.manifest import (
    Manifest,
    check_manifest,
    decode_manifest,
    encode_manifest,
)
from drystone.core.content.outline import decode_outline, encode_outline
from drystone.core.content.patch import apply_patch, make_patch
from drystone.core.errors import Corrupt, Refused
from drystone.core.limits import BLOCK_BYTES_MAX, KIB

MEANT_ERRORS = (Corrupt, Refused)


@cache
def noise(length_bytes):
    return shake_256(b"laws").digest(length_bytes)


# --- cutting ----------------------------------------------------------------------------------


class Part(tuple):
    """A stretch of a stream: (is it a hole, where in the noise it begins, its length)."""

    __slots__ = ()

    def bytes(self):
        is_hole, start, length = self
        return bytes(length) if is_hole else noise(6_000_000)[start : start + length]


PARTS = st.tuples(
    st.booleans(),
    st.integers(0, 2_000_000),
    st.integers(0, 300) | st.integers(0, 3_000_000) | st.just(256 * KIB) | st.just(4_194_304),
).map(Part)


@pytest.mark.parametrize("chunker_id", list(ChunkerId))
@given(parts=st.lists(PARTS, max_size=4), steps=st.lists(st.integers(1, 5_000_000), min_size=1))
@example(parts=[Part((True, 0, 9_000_000)), Part((False, 0, 3_000_000))], steps=[1_000_001])
@settings(max_examples=40)
def test_chunks_tile_the_file_however_it_is_fed(chunker_id, parts, steps):
    whole = b"".join(part.bytes() for part in parts)
    expected = digest_whole(whole, new_chunker(chunker_id))

    digester = Digester(new_chunker(chunker_id))
    turn = 0
    for part in parts:
        if part[0]:
            digester.feed_zeros(part[2])
            continue
        data = part.bytes()
        start = 0
        while start < len(data):
            length = max(steps[turn % len(steps)], len(data) // 30)
            turn += 1
            # The feeder's buffer is its own: it is overwritten as soon as feed returns.
            buffer = bytearray(data[start : start + length])
            digester.feed(buffer)
            buffer[:] = b"\xff" * len(buffer)
            start += length
    assert digester.finish() == expected

    position = 0
    for offset, length, name in expected.chunks:
        assert offset == position
        assert 0 < length <= BLOCK_BYTES_MAX
        assert block_id(whole[offset : offset + length]) == name
        position += length
    assert position == len(whole) == expected.content.size_bytes
    slices = [whole[i : i + 4_194_304] for i in range(0, len(whole), 4_194_304)]
    digests = b"".join(sha256(piece).digest() for piece in slices)
    assert expected.content.content_hash == sha256(digests).digest()


# --- manifests --------------------------------------------------------------------------------

BLOCK_IDS = st.integers(0, 5).map(lambda number: bytes([number]) * 32)


@st.composite
def manifests(draw):
    rows = draw(
        st.lists(st.tuples(st.integers(1, BLOCK_BYTES_MAX), BLOCK_IDS), min_size=2, max_size=20)
    )
    chunks = []
    offset = 0
    for length, name in rows:
        chunks.append(Chunk(offset, length, name))
        offset += length
    return Manifest(
        draw(st.integers(2, 255)), draw(st.integers(1, 255)), offset, b"h" * 32, tuple(chunks)
    )


@given(manifests())
def test_a_manifest_survives_its_one_encoding(manifest):
    encoded = encode_manifest(manifest)
    assert decode_manifest(encoded) == manifest
    assert encode_manifest(decode_manifest(encoded)) == encoded


@given(manifests(), st.integers(0, 3 * BLOCK_BYTES_MAX), st.integers(0, 5 * BLOCK_BYTES_MAX))
def test_spans_tile_the_range(manifest, start, length):
    position = start
    for span in manifest.spans(start, length):
        assert span.offset_bytes == position
        assert span.length_bytes > 0
        holder = next(
            chunk
            for chunk in manifest.chunks
            if chunk.offset_bytes <= position < chunk.offset_bytes + chunk.length_bytes
        )
        assert span.block_id == holder.block_id
        assert holder.offset_bytes + span.start_bytes == position
        assert span.start_bytes + span.length_bytes <= holder.length_bytes
        position += span.length_bytes
    assert position == max(min(start + length, manifest.size_bytes), start)


@given(manifests(), st.binary(min_size=1, max_size=40), st.integers(0, 200))
def test_a_damaged_manifest_is_another_sound_one_or_refused(manifest, junk, position):
    encoded = encode_manifest(manifest)
    damaged = encoded[:position] + junk + encoded[position + len(junk) :]
    try:
        check_manifest(decode_manifest(damaged))
    except MEANT_ERRORS:
        return
    assert encode_manifest(decode_manifest(damaged)) == damaged


@given(manifests(), manifests(), st.sets(BLOCK_IDS))
def test_an_assembly_covers_the_file_exactly(new, old, held):
    seeds = {name: Seed("file", 7 * number) for number, name in enumerate(sorted(held))}
    plan = plan_assembly(new.chunks, seeds, old.chunks)
    regions = [(copy.offset_bytes, copy.length_bytes) for copy in plan.copies]
    regions += [(hole.offset_bytes, hole.length_bytes) for hole in plan.holes]
    # A block id names one length; these made-up manifests do not know that.
    lengths = {chunk.offset_bytes: chunk.length_bytes for chunk in new.chunks}
    for fetch in plan.fetches:
        assert fetch.block_id not in held
        assert fetch.base is None or fetch.base in {chunk.block_id for chunk in old.chunks}
        regions += [(offset, lengths[offset]) for offset in fetch.offsets_bytes]
    position = 0
    for offset, length in sorted(regions):
        assert offset == position
        position += length
    assert position == new.size_bytes


# --- coding -----------------------------------------------------------------------------------

BLOCKS = st.binary(min_size=1, max_size=2_000) | st.builds(
    lambda start, length, times: (noise(100_000)[start : start + length]) * times,
    st.integers(0, 50_000),
    st.integers(1, 50_000),
    st.integers(1, 3),
)


@st.composite
def edited(draw, blocks=BLOCKS):
    """A block and another version of it."""
    base = draw(blocks)
    new = bytearray(base)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(new)))
        new[start : start + draw(st.integers(0, 300))] = draw(st.binary(max_size=300))
    return base, bytes(new) or b"x"


@given(BLOCKS, st.sampled_from([RAW_ONLY, STANDARD]), st.booleans())
def test_a_block_survives_its_frame(data, policy, is_packed):
    frame = encode_block(block_id(data), data, policy, is_packed=is_packed)
    assert decode_frame(frame, lambda _: None) == data
    assert len(frame.payload) <= len(data)


@given(edited())
def test_a_version_survives_its_delta(versions):
    base, new = versions
    frame = encode_delta(block_id(new), new, block_id(base), base)
    assert decode_frame(frame, {block_id(base): base}.get) == new


@given(edited())
def test_a_version_survives_its_patch(versions):
    base, new = versions
    frame = make_patch(block_id(new), new, block_id(base), encode_outline(base))
    if frame is not None:
        assert decode_frame(frame, {block_id(base): base}.get) == new
        assert len(frame.payload) < len(new)


@given(edited(), edited())
def test_a_patch_against_another_base_is_refused_or_right(versions, others):
    base, new = versions
    frame = make_patch(block_id(new), new, block_id(base), encode_outline(base))
    if frame is None:
        return
    with suppress(Corrupt):
        assert decode_frame(frame, lambda _: others[0]) == new


@given(
    st.sampled_from([Codec.ZSTD, Codec.DELTA, Codec.PATCH]),
    st.binary(max_size=200),
    st.integers(1, 5_000),
)
def test_junk_in_a_frame_is_refused(codec, payload, plain_bytes):
    frame = Frame(block_id(b"x"), plain_bytes, codec, payload, block_id(b"base"))
    with pytest.raises(MEANT_ERRORS):
        decode_frame(frame, lambda _: noise(5_000))


@given(edited(), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_damaged_payload_is_refused_or_harmless(versions, position, junk):
    base, new = versions
    patch = make_patch(block_id(new), new, block_id(base), encode_outline(base))
    frames = [
        encode_block(block_id(new), new),
        encode_delta(block_id(new), new, block_id(base), base),
        *([patch] if patch else []),
    ]
    for frame in frames:
        payload = bytes(frame.payload)
        damaged = payload[:position] + junk + payload[position + len(junk) :]
        try:
            found = decode_frame(frame._replace(payload=damaged), lambda _: base)
        except MEANT_ERRORS:
            continue
        assert found == new


@given(st.binary(max_size=300))
def test_junk_is_no_outline_no_patch_no_manifest(data):
    for read in (
        decode_outline,
        decode_manifest,
        lambda junk: apply_patch(junk, noise(5_000), 100),
        lambda junk: zstd.decompress(junk, 100),
    ):
        with suppress(*MEANT_ERRORS):
            read(data)
