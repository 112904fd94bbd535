# SPDX-License-Identifier: Apache-2.0
"""Sealed objects: what lies below tells nothing, and no change to it goes unnoticed."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.errors import Corrupt, Unavailable
from drystone.core.limits import KIB, MIB
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.objects_sealed import (
    MasterKey,
    SealBroken,
    SealedObjects,
    StoreKeyMissing,
    drop_keyrings_before,
    make_keyring,
    save_keyring,
)
from drystone.server.storage.objects_sealed.layout import (
    HEADER_BYTES,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    content_length,
    sealed_length,
)
from drystone.testing.fakes.objects import FaultyObjects

NAME = "packs/ab/abcd"
OTHER = "packs/cd/cdef"
MASTER = MasterKey(bytes(range(32)))
CONTENT = Random(1).randbytes(5 * SEGMENT_BYTES + 1_000)


@pytest.fixture
def inner():
    return FaultyObjects(MemoryObjects())


@pytest.fixture
def keyring():
    return make_keyring(MASTER, holds_plain=False)


@pytest.fixture
def objects(inner, keyring):
    return SealedObjects(inner, keyring, lambda: keyring)


def read_raw(inner, name=NAME):
    [raw] = inner.read(name, [(0, 99 * MIB)])
    return raw


def read_anew(inner, keyring, name=NAME, ranges=((0, 99 * MIB),)):
    """Reads as a server does that was just started."""
    return SealedObjects(inner, keyring, lambda: keyring).read(name, list(ranges))


def flip(raw, at):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_nothing_of_the_content_lies_below(objects, inner):
    objects.put(NAME, [b"a well known sentence " * 9_000])

    assert b"known" not in read_raw(inner)
    assert inner.find_length(NAME) == sealed_length(22 * 9_000)


def test_same_content_is_sealed_differently_each_time(objects, inner):
    objects.put(NAME, [CONTENT])
    first = read_raw(inner)
    objects.delete(NAME)
    objects.put(NAME, [CONTENT])

    second = read_raw(inner)
    assert first[:24] == second[:24]
    assert first[24:HEADER_BYTES] != second[24:HEADER_BYTES]
    assert first[HEADER_BYTES:][:64] != second[HEADER_BYTES:][:64]


@pytest.mark.parametrize(
    "at",
    [
        *(0, 7, 8, 15, 16, 23, 24, 35, 36, 67, 83, 84, 91),
        *(HEADER_BYTES, HEADER_BYTES + SEGMENT_BYTES - 1, HEADER_BYTES + SEGMENT_BYTES),
        *(HEADER_BYTES + SEALED_SEGMENT_BYTES - 1, sealed_length(len(CONTENT)) - 1),
    ],
)
def test_one_flipped_bit_is_noticed(objects, inner, keyring, at):
    objects.put(NAME, [CONTENT])
    inner.change(NAME, lambda raw: flip(raw, at))

    with pytest.raises(Corrupt, match=NAME):
        read_anew(inner, keyring)
    objects.put(NAME, [CONTENT])
    assert read_anew(inner, keyring) == [CONTENT]


def test_flipped_bit_costs_its_segment_and_no_other(objects, inner, keyring):
    objects.put(NAME, [CONTENT])
    inner.change(NAME, lambda raw: flip(raw, HEADER_BYTES + 2 * SEALED_SEGMENT_BYTES + 5))

    assert objects.read(NAME, [(0, 2 * SEGMENT_BYTES)]) == [CONTENT[: 2 * SEGMENT_BYTES]]
    assert objects.read(NAME, [(3 * SEGMENT_BYTES, MIB)]) == [CONTENT[3 * SEGMENT_BYTES :]]
    with pytest.raises(SealBroken, match="between its bytes 131,072 and 196,608"):
        objects.read(NAME, [(3 * SEGMENT_BYTES - 1, 1)])


@pytest.mark.parametrize(
    "length",
    [
        *(1, 8, 9, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 5),
        *(HEADER_BYTES + SEALED_SEGMENT_BYTES, sealed_length(len(CONTENT)) - 1),
    ],
)
def test_object_that_is_cut_off_is_noticed(objects, inner, keyring, length):
    objects.put(NAME, [CONTENT])
    inner.change(NAME, lambda raw: raw[:length])

    with pytest.raises(SealBroken):
        read_anew(inner, keyring)


def test_segments_that_changed_places_are_noticed(objects, inner, keyring):
    objects.put(NAME, [CONTENT])

    def swap(raw):
        first = HEADER_BYTES + SEALED_SEGMENT_BYTES
        second = first + SEALED_SEGMENT_BYTES
        end = second + SEALED_SEGMENT_BYTES
        return raw[:first] + raw[second:end] + raw[first:second] + raw[end:]

    inner.change(NAME, swap)
    with pytest.raises(SealBroken):
        read_anew(inner, keyring)


def test_objects_that_changed_places_are_noticed(objects, inner, keyring):
    objects.put(NAME, [CONTENT])
    objects.put(OTHER, [CONTENT[::-1]])
    one, two = read_raw(inner), read_raw(inner, OTHER)
    inner.change(NAME, lambda _: two)
    inner.change(OTHER, lambda _: one)

    for name in (NAME, OTHER):
        with pytest.raises(SealBroken, match="another one"):
            read_anew(inner, keyring, name)


def test_body_of_another_object_is_noticed(objects, inner, keyring):
    objects.put(NAME, [CONTENT])
    objects.put(OTHER, [CONTENT[::-1]])
    two = read_raw(inner, OTHER)
    inner.change(NAME, lambda raw: raw[:HEADER_BYTES] + two[HEADER_BYTES:])

    with pytest.raises(SealBroken):
        read_anew(inner, keyring)


def test_object_may_be_moved_to_another_folder_as_it_is(objects, inner, keyring):
    objects.put(NAME, [CONTENT])
    inner.put("quarantine/ab/abcd", [read_raw(inner)])

    assert read_anew(inner, keyring, "quarantine/ab/abcd") == [CONTENT]


def test_object_that_is_not_sealed_is_refused_where_all_are(objects, inner, keyring):
    inner.put(NAME, [b"smuggled in"])

    with pytest.raises(SealBroken, match="does not begin as one"):
        read_anew(inner, keyring)


def test_objects_from_before_are_read_and_listed_and_can_be_sealed(inner):
    keyring = make_keyring(MASTER, holds_plain=True)
    objects = SealedObjects(inner, keyring, lambda: keyring)
    inner.put(NAME, [CONTENT])
    objects.put(OTHER, [CONTENT])
    lengths = {NAME: len(CONTENT), OTHER: len(CONTENT)}

    assert objects.read(NAME, [(5, 9)]) == [CONTENT[5:14]]
    assert {stat.name: stat.length_bytes for stat in objects.iter_names()} == lengths
    assert objects.seal_plain(NAME) == len(CONTENT)
    assert objects.seal_plain(NAME) == 0
    assert objects.read(NAME, [(5, 9)]) == [CONTENT[5:14]]
    assert {stat.name: stat.length_bytes for stat in objects.iter_names()} == lengths
    sealed_only = keyring.without_plain()
    assert read_anew(inner, sealed_only) == read_anew(inner, sealed_only, OTHER) == [CONTENT]


def test_object_from_before_that_is_put_again_is_sealed(inner):
    keyring = make_keyring(MASTER, holds_plain=True)
    inner.put(NAME, [CONTENT])
    SealedObjects(inner, keyring, lambda: keyring).put(NAME, [CONTENT])

    assert read_anew(inner, keyring.without_plain()) == [CONTENT]


def test_object_that_another_server_replaced_is_read_all_the_same(objects, inner, keyring):
    objects.put(NAME, [CONTENT])
    assert objects.read(NAME, [(0, 5)]) == [CONTENT[:5]]
    again = SealedObjects(inner, keyring, lambda: keyring)
    again.delete(NAME)
    again.put(NAME, [CONTENT])

    assert objects.read(NAME, [(0, 5)]) == [CONTENT[:5]]


def test_unknown_store_key_is_no_damage_and_nothing_is_replaced(objects, inner, keyring):
    other = make_keyring(MasterKey(bytes(32)), holds_plain=False)
    SealedObjects(inner, other, lambda: other).put(NAME, [CONTENT])
    before = read_raw(inner)

    for work in (lambda: objects.read(NAME, [(0, 1)]), lambda: objects.put(NAME, [CONTENT])):
        with pytest.raises(StoreKeyMissing) as caught:
            work()
        assert isinstance(caught.value, Unavailable)
    assert read_raw(inner) == before


def test_store_key_of_a_newer_keyring_is_found_without_a_new_start(inner, keyring):
    save_keyring(inner, keyring)
    rotated = keyring.rotate([MASTER])
    reloads = []

    def reload():
        reloads.append(1)
        return rotated

    old = SealedObjects(inner, keyring, reload)
    save_keyring(inner, rotated)
    drop_keyrings_before(inner, rotated.generation)
    SealedObjects(inner, rotated, lambda: rotated).put(NAME, [CONTENT])

    assert old.read(NAME, [(0, 5)]) == [CONTENT[:5]]
    old.put(OTHER, [CONTENT])
    assert read_anew(inner, rotated, OTHER) == [CONTENT]
    assert len(reloads) == 1


def test_trouble_with_the_newer_keyring_is_told(inner, keyring):
    save_keyring(inner, keyring)
    rotated = keyring.rotate([MASTER])

    def reload():
        raise Corrupt("the key service is away")

    save_keyring(inner, rotated)
    SealedObjects(inner, rotated, lambda: rotated).put(NAME, [CONTENT])
    with pytest.raises(StoreKeyMissing, match="the key service is away"):
        SealedObjects(inner, keyring, reload).read(NAME, [(0, 1)])


def test_keyring_is_not_seen_through_the_store(objects, inner, keyring):
    save_keyring(inner, keyring)

    assert list(objects.iter_names()) == []
    with pytest.raises(AssertionError):
        objects.put("keyring/00000009-a", [b""])


def test_scattered_small_ranges_cost_one_read_of_each_segment(objects, inner, monkeypatch):
    objects.put(NAME, [CONTENT])
    asked = []
    real = inner.read
    monkeypatch.setattr(inner, "read", lambda name, r: (asked.extend(r), real(name, r))[1])
    ranges = [(i * 1_000, 10) for i in range(300)]

    assert objects.read(NAME, ranges) == [CONTENT[o : o + n] for o, n in ranges]
    assert sum(n for _, n in asked) <= HEADER_BYTES + 5 * SEALED_SEGMENT_BYTES


@given(length=st.integers(0, 40 * MIB))
def test_lengths_are_told_from_lengths(length):
    assert content_length(sealed_length(length)) == length


@given(
    cuts=st.lists(st.integers(0, 3 * SEGMENT_BYTES), max_size=9),
    ranges=st.lists(
        st.tuples(st.integers(0, 4 * SEGMENT_BYTES), st.integers(0, 200 * KIB)), max_size=9
    ),
)
def test_any_parts_and_any_ranges(cuts, ranges):
    keyring = make_keyring(MASTER, holds_plain=False)
    objects = SealedObjects(MemoryObjects(), keyring, lambda: keyring)
    edges = [0, *sorted(cuts)]
    content = CONTENT[: edges[-1]]
    objects.put(NAME, [content[a:b] for a, b in pairwise(edges)])

    assert objects.read(NAME, ranges) == [content[o : o + n] for o, n in ranges]
    assert objects.find_length(NAME) == len(content)
