# SPDX-License-Identifier: Apache-2.0
"""Verify: look again at what a power loss may have taken back.

    while doubts := verify.find():          # State
        verdicts = verify.look(doubts)      # disk only
        verify.note(verdicts)               # State

Rows that were settled after the last flush describe a disk that may not be there any more. One
that proves true is settled again. One that does not is forgotten, as if this device had never
had the entry: the server's version is placed anew, and what the disk has instead is kept beside
it. So neither a lost file nor a torn one is ever taken for a wish. A mode or time that is not the
row's was lost if the entry was last changed before the row was settled, else it is a wish.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from drystone.client.ports import Disk, DiskProblem, Stat, State, SyncedRow
from drystone.core.content.content import Content
from drystone.core.content.hashing import ContentHasher
from drystone.core.errors import Unavailable
from drystone.core.ids import FileId
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.limits import MIB
from drystone.core.tree.entry import Kind

_ROWS_AT_ONCE: Final = 500
_PIECE_BYTES: Final = 4 * MIB


class Doubt(NamedTuple):
    """A row that may be untrue, and where its entry should stand; None: nowhere any more."""

    row: SyncedRow
    path: str | None


class Verdict(NamedTuple):
    """What was found: the fingerprint of what the row says, or None if something else."""

    row: SyncedRow
    stat: Stat | None


class Verify:
    """Looks again at doubtful rows.

    Args:
        disk: The synced folder.
        state: Its trees.
    """

    def __init__(self, disk: Disk, state: State) -> None:
        self._disk = disk
        self._state = state

    def find(self) -> list[Doubt]:
        """Returns some doubtful rows; empty in the usual case. Uses State."""
        rows = self._state.list_doubtful(_ROWS_AT_ONCE)
        synced = self._state.synced
        return [Doubt(row, self._state.path_of(synced, row.entry.file_id)) for row in rows]

    def look(self, doubts: Sequence[Doubt]) -> list[Verdict]:
        """Compares rows with the disk, reading files wholly. Disk only."""
        return [Verdict(doubt.row, self._look(doubt)) for doubt in doubts]

    def note(self, verdicts: Sequence[Verdict]) -> None:
        """Settles again what is true and forgets what is not. Uses State."""
        for row, stat in verdicts:
            if stat is None:
                self._forget(row.entry.file_id)
            elif _is_dressed_alike(row.stat, stat):
                self._state.settle(row.entry.file_id, row._replace(stat=stat))
            elif stat.ctime_ns > row.stat.ctime_ns:
                # Somebody has given it another mode or time since: the next scan is to see that.
                seen = stat._replace(mode=row.stat.mode, mtime_ns=row.stat.mtime_ns)
                self._state.settle(row.entry.file_id, row._replace(stat=seen))
            else:
                self._undress(row, stat)

    def _look(self, doubt: Doubt) -> Stat | None:
        row, path = doubt
        if path is None:
            return None
        try:
            stat = self._disk.find_stat(path)
            if stat is None or stat.kind != row.entry.kind:
                return None
            if row.entry.content is not None and not self._holds(path, row.entry.content):
                return None
        except (DiskProblem, Unavailable):
            return None
        if stat.kind == Kind.SYMLINK and stat.mtime_ns != row.stat.mtime_ns:
            return None
        return stat

    def _holds(self, path: str, content: Content) -> bool:
        with self._disk.open_file(path) as file:
            if file.stat.size_bytes != content.size_bytes:
                return False
            hasher = ContentHasher()
            buffer = memoryview(bytearray(min(_PIECE_BYTES, content.size_bytes)))
            offset = 0
            while count := file.read_into(buffer, offset):
                hasher.feed(buffer[:count])
                offset += count
        return hasher.finish() == content.content_hash

    def _undress(self, row: SyncedRow, stat: Stat) -> None:
        """The disk has lost a mode or time that it was given: it is to get it again."""
        found = row.entry
        if stat.mode != row.stat.mode:
            found = found._replace(mode=stat.mode)
        if found.kind == Kind.FILE and stat.mtime_ns != row.stat.mtime_ns:
            found = found._replace(mtime_ns=stat.mtime_ns)
        self._state.settle(row.entry.file_id, row._replace(entry=found, stat=stat))
        self._state.note_remote(StoredEntry(row.entry, row.seq, Action.EDIT))

    def _forget(self, file_id: FileId) -> None:
        """Forgets an entry and all below it: where a folder is missing, so are they."""
        waiting = [file_id]
        while waiting:
            folder_id = waiting.pop()
            waiting += [row.entry.file_id for row in self._state.synced_rows(folder_id).values()]
            self._state.renew_remote(folder_id)


def _is_dressed_alike(one: Stat, other: Stat) -> bool:
    """Tells whether mode and time are the same, where they count."""
    return one.mode == other.mode and (one.mtime_ns == other.mtime_ns or one.kind == Kind.FOLDER)
