# SPDX-License-Identifier: Apache-2.0
"""Records: the journal's lines, and entries as the server keeps them."""

from enum import IntEnum
from typing import NamedTuple

from drystone.core.ids import AccountId, DeviceId, FileId, Seq
from drystone.core.tree.entry import Entry


class Action(IntEnum):
    """What a record did to its entry. The numbers are part of every format."""

    CREATE = 1
    EDIT = 2
    MOVE = 3
    DELETE = 4
    RESTORE = 5
    """The entry, and all that was deleted with it, lives again: whoever follows the
    journal and no longer has what is below a restored folder lists it."""


class Record(NamedTuple):
    """One change to one entry, at one seq. Immutable, never rewritten.

    Attributes:
        seq: Its place in the namespace's journal, gap-free from 1.
        action: What was done.
        entry: The entry's whole state after it (for DELETE: its last state), so that a
            fold needs no other record.
        account_id: Who did it.
        device_id: From where.
        at_ns: When, by the server's clock, UTC nanoseconds.
    """

    seq: Seq
    action: Action
    entry: Entry
    account_id: AccountId
    device_id: DeviceId
    at_ns: int


class StoredEntry(NamedTuple):
    """An entry of the current tree as its last record left it, tombstones included.

    Attributes:
        entry: Its state.
        seq: Of its last record.
        action: Of its last record.
    """

    entry: Entry
    seq: Seq
    action: Action

    @property
    def is_deleted(self) -> bool:
        """True if the entry itself was deleted (a deleted ancestor does not show here)."""
        return self.action == Action.DELETE

    @property
    def file_id(self) -> FileId:
        """The entry's id."""
        return self.entry.file_id
