# SPDX-License-Identifier: Apache-2.0
"""Eras: which journal a reader has read, and up to where it is this one."""

import pytest

from drystone.core.ids import ROOT_ID, AccountId, DeviceId, Rev, Seq
from drystone.core.journal.eras import (
    ERAS_TOLD_MAX,
    NO_PAST,
    Era,
    Past,
    find_common_seq,
    is_same_past,
    make_mark,
)
from drystone.core.journal.record import Action, Record
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.strategies import make_file_id

ENTRY = Entry(make_file_id(1), ROOT_ID, "a", Kind.FOLDER, None, 0o755, 0, "", Rev(1))
RECORD = Record(Seq(1), Action.CREATE, ENTRY, AccountId(b"a" * 16), DeviceId(b"d" * 16), 5)
RUNNING = b"running."


def era(name: str, first_seq: int) -> Era:
    return Era(name.encode().ljust(8, b"."), Seq(first_seq))


@pytest.mark.parametrize(
    "other",
    [
        RECORD._replace(seq=Seq(2)),
        RECORD._replace(action=Action.DELETE),
        RECORD._replace(entry=ENTRY._replace(file_id=make_file_id(2))),
        RECORD._replace(entry=ENTRY._replace(rev=Rev(2))),
        RECORD._replace(device_id=DeviceId(b"e" * 16)),
        RECORD._replace(at_ns=6),
        RECORD._replace(at_ns=-1),
    ],
)
def test_another_record_has_another_mark(other: Record) -> None:
    assert make_mark(RECORD) == make_mark(RECORD._replace())
    assert make_mark(other) != make_mark(RECORD)


def test_pasts_are_the_same_if_marks_and_eras_are() -> None:
    past = Past(make_mark(RECORD), (era("A", 1),))

    assert is_same_past(past, past)
    assert is_same_past(NO_PAST, Past(make_mark(RECORD))), "what has no mark is not asked for one"
    assert not is_same_past(past, past._replace(eras=(era("B", 1),)))
    assert not is_same_past(past, past._replace(eras=()))
    assert not is_same_past(past, past._replace(mark=b"another."))


@pytest.mark.parametrize(
    ("seq", "theirs", "head", "ours", "common"),
    [
        (12, [era("A", 1)], 8, [era("A", 1)], 8),
        (12, [era("A", 1)], 20, [era("B", 9), era("A", 1)], 8),
        (12, [era("B", 9), era("A", 1)], 20, [era("A", 1)], 8),
        (12, [era("B", 9), era("A", 1)], 20, [era("C", 6), era("A", 1)], 5),
        (12, [era("C", 6), era("A", 1)], 20, [era("B", 9), era("A", 1)], 5),
        (12, [era("C", 6)], 20, [era("B", 9)], 5),
        (12, [], 20, [era("B", 9)], 8),
        (12, [], 8, [], 8),
        (12, [era("A", 1)], 20, [era("B", 1)], 0),
        (12, [era("A", 1)], 0, [], 0),
        (12, [Era(RUNNING, Seq(6)), era("A", 1)], 9, [Era(RUNNING, Seq(6)), era("A", 1)], 5),
        (99, [era(f"{n}", n) for n in range(90, 90 - ERAS_TOLD_MAX, -1)], 9, [era("A", 1)], 0),
    ],
    ids=range(12),
)
def test_common_seq_is_where_two_journals_part(
    seq: int, theirs: list[Era], head: int, ours: list[Era], common: int
) -> None:
    assert find_common_seq(Seq(seq), theirs, Seq(head), ours, RUNNING) == common
