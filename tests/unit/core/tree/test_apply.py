# SPDX-License-Identifier: Apache-2.0
"""Applying changes that fit, and refusing those that do not."""

import pytest

from drystone.core.ids import ROOT_ID, Rev
from drystone.core.tree.apply import apply
from drystone.core.tree.diff import Added, Altered, Removed, TreeChange, diff
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.tree import Tree
from drystone.testing.strategies import make_content, make_file_id


def file(number: int, name: str, text: str = "one") -> Entry:
    file_id = make_file_id(number)
    return Entry(file_id, ROOT_ID, name, Kind.FILE, make_content(text), 0o644, 7, "", Rev(1))


BASE = Tree([file(1, "a"), file(2, "b"), file(3, "c")])
TARGET = Tree([file(1, "b"), file(3, "c", "two"), file(4, "a")])


def test_a_diff_names_what_was_added_altered_and_removed() -> None:
    assert diff(BASE, TARGET) == (
        Altered(file(1, "a"), file(1, "b")),
        Removed(file(2, "b")),
        Altered(file(3, "c"), file(3, "c", "two")),
        Added(file(4, "a")),
    )
    assert diff(BASE, BASE) == ()


def test_changes_are_made_at_once_in_whatever_order_they_come() -> None:
    changes = diff(BASE, TARGET)

    assert apply(BASE, changes) == TARGET
    assert apply(BASE, reversed(changes)) == TARGET


@pytest.mark.parametrize(
    "change",
    [
        Added(file(1, "z")),
        Altered(file(1, "z"), file(1, "b")),
        Altered(file(1, "a"), file(9, "b")),
        Removed(file(9, "z")),
        Removed(file(1, "z")),
        Added(file(9, "a")),
    ],
    ids=str,
)
def test_a_change_that_does_not_fit_is_a_broken_invariant(change: TreeChange) -> None:
    with pytest.raises(AssertionError):
        apply(BASE, [change])
