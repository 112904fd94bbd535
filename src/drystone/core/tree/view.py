# SPDX-License-Identifier: Apache-2.0
"""TreeView: how pure code reads a tree, whatever holds it."""

from collections.abc import Mapping
from typing import Protocol

from drystone.core.ids import FileId
from drystone.core.tree.entry import Entry


class TreeView(Protocol):
    """A readable tree. It does not change while somebody plans over it.

    The root folder itself is in no view: its id is only ever a ``parent_id``.
    """

    def find(self, file_id: FileId) -> Entry | None:
        """Returns the entry with this id, or None. O(1), perhaps one query."""
        ...

    def children(self, parent_id: FileId) -> Mapping[str, Entry]:
        """Returns the entries of a folder by name; empty for an unknown id. One query."""
        ...
