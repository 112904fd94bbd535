# SPDX-License-Identifier: Apache-2.0
"""Reread: the server's whole tree is told anew, because its changes cannot be gone on from.

    reread = Reread(state, rewound_to)
    reread.note(stored)        # for each entry told, tombstones too
    reread.end()               # when all are told

What the server does not tell of was never deleted there, or it would tell of a tombstone: it does
not know it, because it was put back to an earlier state. That is news to it, and sent again.
All methods use State; what they note is saved together with the cursor, or told once more.
"""

from typing import Final

from drystone.client.ports import LocalChange, Stat, State, SyncedRow
from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.journal.record import StoredEntry
from drystone.core.planning.rewind import Standing, is_lost, judge
from drystone.core.tree.entry import Kind


class Reread:
    """Compares what is told with what was agreed on.

    Args:
        state: The three trees.
        rewound_to: Up to which seq the server's journal is as this device knows it; None: all
            of it.

    Attributes:
        told: Ids of all that was told, tombstones too.
    """

    def __init__(self, state: State, rewound_to: Seq | None) -> None:
        self._state = state
        self.told: set[FileId] = set()
        self._put_off: list[tuple[Standing, StoredEntry]] = []
        """Until all is told. What synced says of these is needed as long as it is walked through:
        where they stand, and what is in them.
        """
        self.rewound_to: Final = rewound_to

    def note(self, stored: StoredEntry) -> None:
        """Notes what the server says of an entry."""
        state, file_id = self._state, stored.file_id
        row = state.find_synced_row(file_id)
        if row is None or file_id in self.told:
            # Agreed on since then, if at all.
            if file_id not in self.told:
                self._forget(file_id)
            self.told.add(file_id)
            state.note_remote(stored)
            return
        self.told.add(file_id)
        standing = judge(row.entry, row.seq, stored, self.rewound_to)
        if standing == Standing.KNOWN:
            self._note_known(row, stored)
        elif standing == Standing.SAME:
            state.settle(file_id, SyncedRow(stored.entry, row.stat, stored.seq))
        else:
            self._put_off.append((standing, stored))

    def end(self) -> None:
        """All was told: what was not is unknown to the server."""
        state = self._state
        waiting = [(ROOT_ID, False)]
        while waiting:
            folder_id, is_dead = waiting.pop()
            for row in list(state.synced_rows(folder_id).values()):
                file_id = row.entry.file_id
                is_gone = is_dead or state.remote.find(file_id) is None
                if row.entry.kind == Kind.FOLDER:
                    waiting.append((file_id, is_gone))
                if file_id in self.told:
                    continue
                # What was in a deleted folder went with it, if the server knew of it.
                if not is_gone or is_lost(row.entry, row.seq, self.rewound_to):
                    self._note_lost(row)
        for file_id in [*state.remote_changes]:
            if file_id not in self.told:
                self._forget(file_id)
        for standing, stored in self._put_off:
            known = state.find_synced_row(stored.file_id)
            if known is None:
                # It went with a folder that was deleted here.
                state.note_remote(stored)
            elif standing == Standing.OLDER:
                self._note_older(known, stored)
            elif standing == Standing.PARTED:
                self._note_parted(known, stored)
            else:
                self._note_lost(known)

    # --- inside ------------------------------------------------------------------------------

    def _forget(self, file_id: FileId) -> None:
        """What was agreed on and is lost here (a power loss) counted as the server's since then:
        but the server may not have it either.
        """
        if self._state.find_synced_row(file_id) is None:
            self._state.drop_remote(file_id)

    def _note_known(self, row: SyncedRow, stored: StoredEntry) -> None:
        if row.seq > stored.seq:
            self._state.settle(stored.file_id, row._replace(seq=Seq(0)))
        self._state.note_remote(stored)

    def _note_older(self, row: SyncedRow, stored: StoredEntry) -> None:
        """What the server has is agreed on, and what was agreed on is a change of the disk."""
        state, file_id = self._state, stored.file_id
        change = state.local_changes.get(file_id)
        is_folder = row.entry.kind == Kind.FOLDER
        stat = row.stat if is_folder else _make_strange(row.stat)
        state.settle(file_id, SyncedRow(stored.entry, stat, stored.seq))
        state.note_local(file_id, change or LocalChange(row.entry, row.stat))

    def _note_parted(self, row: SyncedRow, stored: StoredEntry) -> None:
        """Nothing is agreed on: each side has what is new to the other."""
        state, file_id = self._state, stored.file_id
        change = state.local_changes.get(file_id, LocalChange(row.entry, row.stat))
        state.settle(file_id, row._replace(seq=Seq(0)))
        state.note_remote(stored)
        state.renew_remote(file_id)
        if change.entry is not None:
            state.note_local(file_id, change)

    def _note_lost(self, row: SyncedRow) -> None:
        """The disk's entry is new to the server; under its own id, as other devices know it."""
        state, file_id = self._state, row.entry.file_id
        change = state.local_changes.get(file_id, LocalChange(row.entry, row.stat))
        if change.entry is None:
            state.settle(file_id, None)
            return
        state.renew_local(file_id, file_id)
        entry = change.entry._replace(rev=Rev(0))
        state.note_local(file_id, change._replace(entry=entry))


def _make_strange(stat: Stat) -> Stat:
    """Returns a fingerprint that no file has: should the program end before the disk's change was
    sent, the next scan looks at the bytes.
    """
    return stat._replace(mtime_ns=0, ctime_ns=0)
