# SPDX-License-Identifier: Apache-2.0
"""Lists of block ids, packed."""

import pytest

from drystone.core.limits import ASK_BLOCKS_MAX
from drystone.wire.block_lists import (
    decode_missing,
    encode_missing,
    join_bases,
    join_ids,
    split_bases,
    split_ids,
)
from drystone.wire.codec import MalformedMessage, MessageTooLarge

IDS = [bytes([number]) * 32 for number in range(1, 12)]


def test_ids_survive():
    assert split_ids(join_ids(IDS)) == IDS
    assert split_ids(b"") == []


def test_impossible_lists_are_refused():
    with pytest.raises(MalformedMessage):
        split_ids(bytes(33))
    with pytest.raises(MessageTooLarge):
        split_ids(bytes(32 * (ASK_BLOCKS_MAX + 1)))
    assert len(split_ids(bytes(32 * ASK_BLOCKS_MAX))) == ASK_BLOCKS_MAX


def test_bases_survive():
    bases = [None, IDS[0], None, IDS[1]]
    assert split_bases(join_bases(bases), 4) == bases
    assert join_bases([None, None]) == b""
    assert split_bases(b"", 2) == [None, None]


@pytest.mark.parametrize("packed", [bytes(32), bytes(96), bytes(63)])
def test_another_number_of_bases_than_blocks_is_refused(packed):
    with pytest.raises(MalformedMessage):
        split_bases(packed, 2)


@pytest.mark.parametrize("count", range(12))
def test_what_is_missing_survives(count):
    asked = IDS[:count]
    missing = set(IDS[::3])
    bits = encode_missing(asked, missing)
    assert decode_missing(asked, bits) == [name for name in asked if name in missing]


def test_the_first_id_is_the_lowest_bit():
    assert encode_missing(IDS[:9], {IDS[0], IDS[8]}) == b"\x01\x01"


def test_a_block_asked_for_twice_is_missing_once():
    assert decode_missing([IDS[0], IDS[1], IDS[0]], b"\x07") == [IDS[0], IDS[1]]


@pytest.mark.parametrize("bits", [b"", b"\0\0"])
def test_another_number_of_bits_is_refused(bits):
    with pytest.raises(MalformedMessage):
        decode_missing(IDS[:8], bits)
