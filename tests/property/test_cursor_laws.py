# SPDX-License-Identifier: Apache-2.0
"""Laws of cursors: merging is a join, advancing is monotone, texts are signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.errors import Refused
from drystone.core.ids import AccountId, FileId, NamespaceId, Seq
from drystone.core.journal.cursor import (
    Cursor,
    advance,
    covers,
    decode_cursor,
    encode_cursor,
    merge,
    needs_reset,
)

KEY = b"k" * 32
ACCOUNT = AccountId(b"a" * 16)

namespace_ids = st.integers(0, 4).map(lambda n: NamespaceId(bytes([n]) * 16))
seqs = st.integers(0, 2**64 - 1).map(Seq) | st.integers(0, 5).map(Seq)
heads = st.dictionaries(namespace_ids, seqs, max_size=5)
cursors = heads.map(lambda known: Cursor(ACCOUNT, tuple(sorted(known.items()))))


@given(cursors, cursors, cursors)
def test_merging_is_a_join(one: Cursor, two: Cursor, three: Cursor) -> None:
    assert merge(one, one) == one
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, merge(one, two)) == merge(one, two)


@given(cursors, namespace_ids, seqs)
def test_advancing_is_monotone(cursor: Cursor, namespace_id: NamespaceId, seq: Seq) -> None:
    after = advance(cursor, namespace_id, seq)

    assert merge(cursor, after) == after
    assert after.seq_of(namespace_id) == max(seq, cursor.seq_of(namespace_id))
    assert advance(after, namespace_id, seq) == after


@given(cursors, cursors, heads)
def test_what_one_covers_both_together_cover(
    one: Cursor, two: Cursor, known: dict[NamespaceId, Seq]
) -> None:
    assert covers(merge(one, two), dict(one.seqs))
    assert not covers(one, known) or covers(merge(one, two), known)
    # Whoever has read beyond the end has read something else.
    is_beyond = any(seq > known.get(namespace_id, -1) for namespace_id, seq in one.seqs)
    assert needs_reset(one, ACCOUNT, None, known) == is_beyond


@given(cursors, st.none() | st.binary(min_size=16, max_size=16).map(FileId))
def test_a_cursor_comes_back_from_its_text(cursor: Cursor, under: FileId | None) -> None:
    cursor = cursor._replace(under=under)

    assert decode_cursor(encode_cursor(cursor, KEY), KEY) == cursor


@given(st.one_of(st.text(), st.text("ABab01-_", min_size=60)))
def test_junk_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(Refused):
        decode_cursor(text, KEY)


@given(cursors, st.data())
def test_a_changed_text_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    text = encode_cursor(cursor, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.characters().filter(lambda c: c != text[at]))

    with pytest.raises(Refused):
        decode_cursor(text[:at] + char + text[at + 1 :], KEY)
