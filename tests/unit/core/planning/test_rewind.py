# SPDX-License-Identifier: Apache-2.0
"""Rewind: what a server that was put back says, against what was agreed on."""

import pytest

from drystone.core.ids import ROOT_ID, Rev, Seq
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.planning.rewind import Standing, is_lost, judge
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.strategies import make_content, make_file_id

FIRST, SECOND = make_content("first"), make_content("second")
ENTRY = Entry(make_file_id(1), ROOT_ID, "a", Kind.FILE, FIRST, 0o644, 7, "", Rev(5))
TO = Seq(10)


@pytest.mark.parametrize(
    ("rev", "seq", "rewound_to", "lost"),
    [
        (5, 5, 10, False),
        (5, 11, 10, True),
        (11, 0, 10, True),
        (10, 0, 10, False),
        (99, 99, None, 0),
    ],
)
def test_state_is_lost_if_it_came_after_the_common_seq(
    rev: int, seq: int, rewound_to: int | None, lost: bool
) -> None:
    known = ENTRY._replace(rev=Rev(rev))

    assert is_lost(known, Seq(seq), None if rewound_to is None else Seq(rewound_to)) == lost


def told(seq: int, action: Action = Action.EDIT, **changes: object) -> StoredEntry:
    return StoredEntry(ENTRY._replace(**changes), Seq(seq), action)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known_seq", "there", "standing"),
    [
        (5, told(5), Standing.KNOWN),
        (5, told(12, content=SECOND), Standing.KNOWN),
        (5, told(12, Action.DELETE), Standing.KNOWN),
        (12, told(11), Standing.SAME),
        (12, told(5, rev=Rev(3)), Standing.SAME),
        (12, told(5, content=SECOND), Standing.OLDER),
        (12, told(5, name="before"), Standing.OLDER),
        (12, told(5, mode=0o600), Standing.OLDER),
        (12, told(11, content=SECOND), Standing.PARTED),
        (12, told(11, name="other"), Standing.KNOWN),
        (12, told(9, Action.DELETE), Standing.LOST),
        (12, told(11, Action.DELETE, content=SECOND), Standing.LOST),
        (12, told(11, Action.DELETE), Standing.KNOWN),
    ],
)
def test_standing_follows_from_what_the_server_lost_and_what_it_has(
    known_seq: int, there: StoredEntry, standing: Standing
) -> None:
    assert judge(ENTRY, Seq(known_seq), there, TO) == standing
    assert judge(ENTRY, Seq(known_seq), there, None) == Standing.KNOWN
