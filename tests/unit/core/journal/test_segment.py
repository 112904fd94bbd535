# SPDX-License-Identifier: Apache-2.0
"""Segments: what is encoded comes back, and what is damaged is told of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.ids import AccountId, NamespaceId, Seq
from drystone.core.journal.checkpoint import CheckpointEnd, decode_end, encode_end
from drystone.core.journal.eras import NO_MARK, Era, make_mark
from drystone.core.journal.record import Record
from drystone.core.journal.segment import (
    SEGMENT_TAG,
    CorruptSegment,
    Segment,
    SegmentKind,
    decode_segment,
    encode_segment,
)
from drystone.testing.journal import ListedJournal
from drystone.testing.strategies import commits

OWNER, SPACE = AccountId(b"a" * 16), NamespaceId(b"n" * 16)


def make(records: list[Record], kind: SegmentKind = SegmentKind.STRETCH) -> Segment:
    return Segment(
        kind,
        SPACE,
        OWNER,
        records[0].seq,
        records[-1].seq,
        NO_MARK,
        make_mark(records[-1]),
        (Era(b"e" * 8, records[0].seq),),
        tuple(records),
    )


@st.composite
def journals(draw: st.DrawFn) -> list[Record]:
    journal = ListedJournal()
    for _ in range(draw(st.integers(1, 4))):
        commit = draw(commits(journal.see()))
        journal.commit(*commit.changes, seen_seq=commit.seen_seq)
    return journal.records


@given(journals())
def test_decoded_is_what_was_encoded(records: list[Record]) -> None:
    if not records:
        return
    whole, some = make(records), make(records[::2], SegmentKind.CUT)

    assert decode_segment(encode_segment(whole)) == whole
    assert decode_segment(encode_segment(some)) == some
    if len(records) > 2:
        with pytest.raises(CorruptSegment):
            decode_segment(encode_segment(make(records[::2])))


@given(journals(), st.data())
def test_damage_is_never_read(records: list[Record], data: st.DataObject) -> None:
    if not records:
        return
    encoded = encode_segment(make(records))
    at = data.draw(st.integers(0, len(encoded) - 1))
    flipped = bytearray(encoded)
    flipped[at] ^= data.draw(st.integers(1, 255))

    for damaged in (bytes(flipped), encoded[:at], encoded + b"x", b""):
        with pytest.raises(CorruptSegment):
            decode_segment(damaged)


@given(st.binary(max_size=200))
def test_junk_is_only_ever_corrupt(junk: bytes) -> None:
    for data in (junk, SEGMENT_TAG + junk):
        with pytest.raises(CorruptSegment):
            decode_segment(data)
        with pytest.raises(CorruptSegment):
            decode_end(data)


def test_end_of_a_checkpoint_comes_back() -> None:
    end = CheckpointEnd(SPACE, Seq(12), b"m" * 8, 3, 9_000)
    encoded = encode_end(end)

    assert decode_end(encoded) == end
    for damaged in (encoded[:-1], encoded + b"x", b"X" + encoded[1:], encoded[:20] + b"xxxx"):
        with pytest.raises(CorruptSegment):
            decode_end(damaged)
