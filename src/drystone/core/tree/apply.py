# SPDX-License-Identifier: Apache-2.0
"""Apply: a tree and changes give a tree. ``apply(base, diff(base, target)) == target``."""

from collections.abc import Iterable
from typing import assert_never

from drystone.core.ids import FileId
from drystone.core.tree.diff import Added, Altered, Removed, TreeChange
from drystone.core.tree.entry import Entry
from drystone.core.tree.tree import Tree


def apply(tree: Tree, changes: Iterable[TreeChange]) -> Tree:
    """Returns ``tree`` with all changes made at once, in whatever order they come.

    A change that does not fit (what it replaces or removes is not what stands there, what it
    adds is there already) is a broken invariant: ``AssertionError``, and no tree.

    Cost: as ``Tree.replace``.
    """
    put: list[Entry] = []
    dropped: list[FileId] = []
    for change in changes:
        match change:
            case Added(entry):
                assert entry.file_id not in tree, f"is there already: {entry}"
                put.append(entry)
            case Altered(before, entry):
                assert tree.find(before.file_id) == before, f"is not there: {before}"
                assert before.file_id == entry.file_id
                put.append(entry)
            case Removed(before):
                assert tree.find(before.file_id) == before, f"is not there: {before}"
                dropped.append(before.file_id)
            case _:
                assert_never(change)
    return tree.replace(put, frozenset(dropped))
