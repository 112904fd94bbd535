# SPDX-License-Identifier: Apache-2.0
"""Hashing: the content hash by its definition, and its short cuts."""

from hashlib import sha256

import pytest

from drystone.core.content.content import EMPTY_CONTENT
from drystone.core.content.hashing import (
    HOLE,
    ContentHasher,
    block_id,
    content_hash_of_block_id,
    zeros,
    zeros_id,
)

SLICE = 4 * 1024 * 1024


def content_hash(data):
    """Dropbox's description, word by word."""
    slices = [data[i : i + SLICE] for i in range(0, len(data), SLICE)]
    return sha256(b"".join(sha256(piece).digest() for piece in slices)).digest()


SIZES = [0, 1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, 2 * SLICE + 5]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1_000_000, SLICE, SLICE + 7, 20_000_000])
def test_the_content_hash_does_not_depend_on_the_feed(size, step):
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    hasher = ContentHasher()
    for start in range(0, size, step):
        hasher.feed(data[start : start + step])
    assert hasher.finish() == content_hash(data)


@pytest.mark.parametrize("before", [0, 5, SLICE - 1, SLICE])
@pytest.mark.parametrize("hole", [0, 1, SLICE, 2 * SLICE - 5, 3 * SLICE + 1])
def test_a_hole_is_that_many_zeros(before, hole):
    hasher = ContentHasher()
    hasher.feed(b"x" * before)
    hasher.feed_zeros(hole)
    hasher.feed(b"end")
    assert hasher.finish() == content_hash(b"x" * before + bytes(hole) + b"end")


def test_known_slices_need_not_be_hashed():
    data = [b"a" * SLICE, b"b" * SLICE, b"c"]
    hasher = ContentHasher()
    for piece in data:
        hasher.feed_slice_digest(block_id(piece))
    assert hasher.finish() == content_hash(b"".join(data))


def test_a_known_slice_in_the_middle_of_one_is_a_bug():
    hasher = ContentHasher()
    hasher.feed(b"x")
    with pytest.raises(AssertionError):
        hasher.feed_slice_digest(block_id(b"y"))


def test_one_block_gives_the_content_hash_without_its_bytes():
    assert content_hash_of_block_id(block_id(b"abc")) == content_hash(b"abc")
    assert content_hash_of_block_id(EMPTY_CONTENT.root) == content_hash(b"")
    assert EMPTY_CONTENT.content_hash == content_hash(b"")


def test_zeros_have_the_ids_of_zeros():
    assert zeros_id(5) == zeros_id(5) == block_id(bytes(5))
    assert zeros_id(SLICE) == block_id(HOLE) == block_id(bytes(SLICE))
    assert bytes(zeros(3)) == bytes(3)
    with pytest.raises(AssertionError):
        zeros(SLICE + 1)
