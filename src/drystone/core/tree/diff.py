# SPDX-License-Identifier: Apache-2.0
"""Diff: what makes one tree out of another, as values."""

from typing import NamedTuple

from drystone.core.tree.entry import Entry
from drystone.core.tree.tree import Tree


class Added(NamedTuple):
    """An entry that only the target has."""

    entry: Entry


class Altered(NamedTuple):
    """An entry that both have, at another place or with another state."""

    before: Entry
    entry: Entry


class Removed(NamedTuple):
    """An entry that only the base has. What was in a removed folder is named by itself."""

    before: Entry


TreeChange = Added | Altered | Removed


def diff(base: Tree, target: Tree) -> tuple[TreeChange, ...]:
    """Returns what to do to ``base`` to get ``target``: nothing exactly if they are equal.

    In the order of file ids; the changes belong together (see ``apply``). Buried entries count.

    Cost: O(both trees).
    """
    changes: list[TreeChange] = []
    for entry in base:
        after = target.find(entry.file_id)
        if after is None:
            changes.append(Removed(entry))
        elif after != entry:
            changes.append(Altered(entry, after))
    changes += (Added(entry) for entry in target if entry.file_id not in base)
    return tuple(sorted(changes, key=_file_id))


def _file_id(change: TreeChange) -> bytes:
    return change.entry.file_id if isinstance(change, Added) else change.before.file_id
