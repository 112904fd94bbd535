# SPDX-License-Identifier: Apache-2.0
"""Fold: records give a tree. The tree of a namespace is the fold of its whole journal."""

from collections.abc import Iterable

from drystone.core.ids import FileId
from drystone.core.journal.record import Action, Record
from drystone.core.tree.entry import Entry
from drystone.core.tree.tree import Tree


def fold(tree: Tree, records: Iterable[Record]) -> Tree:
    """Returns ``tree`` after these records, which are in the order of their seqs.

    A folder's deletion leaves what is below it buried in the tree, and its restoration brings
    that back to life: neither names it. Folding a journal in parts gives the same as at once,
    and folding its last records once more changes nothing.

    Cost: O(tree + records).
    """
    last: dict[FileId, Entry | None] = {}
    for record in records:
        is_deletion = record.action is Action.DELETE
        last[record.entry.file_id] = None if is_deletion else record.entry
    put = [entry for entry in last.values() if entry is not None]
    return tree.replace(put, frozenset(f for f, entry in last.items() if entry is None))
