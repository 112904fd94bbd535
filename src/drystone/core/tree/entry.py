# SPDX-License-Identifier: Apache-2.0
"""Entries: what a tree holds under one name."""

from enum import IntEnum
from typing import NamedTuple

from drystone.core.content.content import Content
from drystone.core.ids import FileId, Rev


class Kind(IntEnum):
    """What an entry is. The numbers are part of every format."""

    FILE = 1
    FOLDER = 2
    SYMLINK = 3


class Entry(NamedTuple):
    """One file, folder or symlink at its place. Immutable; equal if every field is.

    A NamedTuple, not a dataclass: a first sync makes hundreds of thousands of them.

    Attributes:
        file_id: Identity across moves and edits.
        parent_id: File id of the folder it is in.
        name: Its name there, exactly as its maker wrote it.
        kind: File, folder or symlink.
        content: The bytes of a file; None for folders and symlinks.
        mode: The nine permission bits (0o777 at most); 0 where unknown.
        mtime_ns: Time of last modification, UTC nanoseconds; 0 for folders, whose times
            are not carried.
        target: Where a symlink points, as data; ``""`` for others.
        rev: The seq that set the content (for folders: that created it); 0 if never
            committed.
    """

    file_id: FileId
    parent_id: FileId
    name: str
    kind: Kind
    content: Content | None
    mode: int
    mtime_ns: int
    target: str
    rev: Rev

    def is_same_content(self, other: "Entry") -> bool:
        """Tells whether both hold the same bytes (files), target (symlinks) or are folders."""
        if self.kind is not other.kind:
            return False
        if self.kind == Kind.FILE:
            return self.content is not None and self.content.is_same(other.content)
        return self.kind == Kind.FOLDER or self.target == other.target

    def is_at_same_place(self, other: "Entry") -> bool:
        """Tells whether both stand in the same folder under the same name."""
        return self.name == other.name and self.parent_id == other.parent_id

    def is_same_state(self, other: "Entry") -> bool:
        """Tells whether content, mode and mtime agree, wherever the two stand.

        The rev does not count: it says who wrote it when, not what it is.
        """
        return (
            self.is_same_content(other)
            and self.mode == other.mode
            and self.mtime_ns == other.mtime_ns
        )
