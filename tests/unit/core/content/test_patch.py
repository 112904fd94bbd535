# SPDX-License-Identifier: Apache-2.0
"""Outlines and patches: small for small edits, exact or refused."""

import pytest

from drystone.core.content.coding import CorruptBlock, decode_frame
from drystone.core.content.frame import Codec
from drystone.core.content.hashing import block_id
from drystone.core.content.outline import (
    AVERAGE_LOG2_MAX,
    AVERAGE_LOG2_MIN,
    MalformedOutline,
    choose_average_log2,
    cut_pieces,
    decode_outline,
    encode_outline,
    short_hash,
)
from drystone.core.content.patch import MalformedPatch, apply_patch, make_patch
from drystone.core.content.zstd import BadCompression, DecompressionBomb
from drystone.core.errors import Corrupt
from drystone.core.limits import BLOCK_BYTES_MAX
from tests.unit.core.content.streams import stream

NOISE = stream("patch", 1_260_000)
LINES = [f"\tstatus_{i} = read_register(dev, {i * i % 977});\n".encode() for i in range(800)]
TEXT = b"".join(LINES)


def patched(base, new):
    """Sends ``new`` to somebody who holds ``base``: outline and patch travel."""
    outline = encode_outline(base)
    frame = make_patch(block_id(new), new, block_id(base), outline)
    assert decode_frame(frame, {block_id(base): base}.get) == new
    return len(outline) + len(frame.payload)


def test_one_byte_in_a_block_of_noise_costs_a_few_pieces():
    middle = len(NOISE) // 2
    overwritten = NOISE[:middle] + bytes([NOISE[middle] ^ 1]) + NOISE[middle + 1 :]
    assert patched(NOISE, overwritten) < 10_000
    assert patched(NOISE, NOISE[:100] + b"!" + NOISE[100:]) < 10_000
    assert patched(NOISE, NOISE[100:]) < 10_000


def test_one_byte_in_the_largest_block_costs_little_too():
    base = stream("largest", BLOCK_BYTES_MAX)
    assert patched(base, base[:2_000_000] + b"!" + base[2_000_001:]) < 20_000


def test_an_edited_line_costs_less_than_the_text_around_it():
    assert len(TEXT) > 30_000
    edited = LINES.copy()
    edited[400] = b"\tif (dev == NULL)\n\t\treturn -EINVAL;\n"
    assert patched(TEXT, b"".join(edited)) < 1_200


@pytest.mark.parametrize(
    "new",
    [
        TEXT[:-1],
        TEXT + b"more\n",
        TEXT[5_000:],
        TEXT * 2,
        b"".join(reversed(LINES[:400])) + b"".join(LINES[400:]),
        TEXT[20_000:] + TEXT[:20_000],
    ],
    ids=["cut", "appended", "beheaded", "twice", "turned", "swapped"],
)
def test_other_edits_come_out_right(new):
    patched(TEXT, new)


def test_what_has_nothing_in_common_gets_no_patch():
    assert make_patch(block_id(NOISE), NOISE, block_id(TEXT), encode_outline(TEXT)) is None
    assert make_patch(block_id(TEXT), TEXT, block_id(b"x"), encode_outline(b"x")) is None
    assert make_patch(block_id(TEXT), TEXT, block_id(b""), encode_outline(b"")) is None


def test_pieces_grow_with_the_block_within_bounds():
    logs = [choose_average_log2(size) for size in (0, 1, 1_000, 300_000, BLOCK_BYTES_MAX)]
    assert logs == [AVERAGE_LOG2_MIN, AVERAGE_LOG2_MIN, AVERAGE_LOG2_MIN, 9, AVERAGE_LOG2_MAX]
    assert len(encode_outline(stream("size", BLOCK_BYTES_MAX))) < 24_000
    assert 4_000 < len(encode_outline(NOISE)) < 8_000


def test_an_outline_lists_the_hashes_of_the_pieces():
    outline = decode_outline(encode_outline(TEXT))
    pieces = cut_pieces(TEXT, outline.average_log2)
    assert b"".join(pieces) == TEXT
    assert outline.short_hashes == tuple(short_hash(p, outline.average_log2) for p in pieces)


@pytest.mark.parametrize(
    "outline",
    [
        b"",
        b"\1",
        b"\2\x08",
        b"\1\x07",
        b"\1\x0c",
        b"\1\x08abc",
        b"\1\x0babcd",
        b"\1\x08" + bytes(4 * (BLOCK_BYTES_MAX // 64 + 2)),
    ],
)
def test_junk_is_no_outline(outline):
    with pytest.raises(MalformedOutline):
        make_patch(block_id(TEXT), TEXT, block_id(b"x"), outline)


def test_an_outline_cannot_make_its_reader_spend_memory():
    piece = max(cut_pieces(NOISE, AVERAGE_LOG2_MAX), key=len)
    repeated = bytes([1, AVERAGE_LOG2_MAX]) + short_hash(piece, AVERAGE_LOG2_MAX) * 8_000
    with pytest.raises(MalformedOutline):
        make_patch(block_id(NOISE), NOISE, block_id(b"x"), repeated)


EDITED = TEXT[:10_000] + b"!" + TEXT[10_000:]
PATCH = bytes(make_patch(block_id(EDITED), EDITED, block_id(TEXT), encode_outline(TEXT)).payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\1\x08",
        b"\2" + PATCH[1:],
        b"\1\x0c" + PATCH[2:],
        b"\1\x08\x01\x00\xff\xff\x7f" + PATCH[5:],
        b"\1\x08\x01\x00\x00" + PATCH[5:],
        b"\1\x08\xff\xff\xff\xff",
        b"\1\x08\xff",
        PATCH[:4],
        PATCH[:-1],
        PATCH + b"x",
    ],
)
def test_junk_is_no_patch(payload):
    with pytest.raises((MalformedPatch, BadCompression, DecompressionBomb)):
        apply_patch(payload, TEXT, len(EDITED))


@pytest.mark.parametrize("run", [b"\x00\xff\xff\x7f", b"\xff\xff\x7f\x01", b"\x00\x00"])
def test_pieces_that_the_base_does_not_have_are_refused(run):
    with pytest.raises(MalformedPatch, match="does not have"):
        apply_patch(b"\1\x08\x01" + run + PATCH[5:], TEXT, len(EDITED))


def test_a_patch_yields_no_more_than_announced():
    assert apply_patch(PATCH, TEXT, len(EDITED)) == EDITED
    with pytest.raises(DecompressionBomb):
        apply_patch(PATCH, TEXT, len(EDITED) - 1)


def test_a_short_hash_that_agrees_by_chance_is_noticed():
    frame = make_patch(block_id(EDITED), EDITED, block_id(TEXT), encode_outline(TEXT))
    assert frame.codec == Codec.PATCH
    other = TEXT.replace(b"status", b"STATUS")
    with pytest.raises(Corrupt):
        decode_frame(frame, lambda _: other)
    assert issubclass(CorruptBlock, Corrupt)
