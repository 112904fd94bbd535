# SPDX-License-Identifier: Apache-2.0
"""What a scan hands out, and what it keeps in mind on its way."""

from typing import Final, NamedTuple

from drystone.client.ports import Observed, SyncedRow, Unread
from drystone.core.ids import FileId
from drystone.core.names.ignore import IgnoreRules
from drystone.core.tree.entry import Entry

CONTROL_NAME: Final = ".drystone"
"""The control folder of a synced folder."""


class ScanBatch(NamedTuple):
    """What one stretch of a scan noted in State.

    Attributes:
        created: Entries nobody knew, parents before children: they cannot be moves, and may
            be planned at once.
        unread: Files, new or changed, whose bytes must be read before they can be planned.
        is_complete: All that was noted so far may be planned, moves and deletions too.
        folders_count: Folders listed so far.
        files_count: Files and symlinks seen so far.
    """

    created: tuple[FileId, ...]
    unread: tuple[Unread, ...]
    is_complete: bool
    folders_count: int
    files_count: int


class Visit(NamedTuple):
    """A folder to be listed.

    Attributes:
        path: Where it is.
        file_id: Who it is; None if nobody knows it yet.
        rules: The ignore rules of the folders above it.
        parent_id: Of a folder nobody knows: where it is.
        observed: Of a folder nobody knows: how it was seen.
        source: Of a folder nobody knows: the synced folder that had its inode.
        occupant: Of a folder with a source: the folder that was known to be here.
    """

    path: str
    file_id: FileId | None
    rules: IgnoreRules
    parent_id: FileId
    observed: Observed | None = None
    source: SyncedRow | None = None
    occupant: Entry | None = None
