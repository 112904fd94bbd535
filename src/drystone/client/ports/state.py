# SPDX-License-Identifier: Apache-2.0
"""State: the three trees of one synced folder, and what little else must survive."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from drystone.client.ports.disk import Stat
from drystone.core.content.content import Content
from drystone.core.ids import BlockId, FileId, Seq
from drystone.core.journal.record import StoredEntry
from drystone.core.safety import NOTICE_CODES
from drystone.core.tree.entry import Entry
from drystone.core.tree.view import TreeView


class SyncedRow(NamedTuple):
    """An entry both sides agreed on, and its fingerprint on this disk at that moment.

    ``seq`` is that of the server's record which says so, 0 where it is not known: an older
    observation of the server that arrives late does not count.
    """

    entry: Entry
    stat: Stat
    seq: Seq = Seq(0)


class LocalChange(NamedTuple):
    """How the disk differs from synced in one entry.

    Attributes:
        entry: Its state on the disk; None if it is no longer there. A file whose bytes
            have not been read yet has ``content`` None and cannot be planned.
        stat: Its fingerprint; None if it is no longer there.
    """

    entry: Entry | None
    stat: Stat | None


class ProblemRow(NamedTuple):
    """Trouble with one path, kept until the path is fine again."""

    path: str
    code: str
    message: str
    advice: str
    since_ns: int
    tries: int
    next_try_ns: int
    """When what failed is tried again; 0 where nothing is tried, but looked at again: a scan or a
    reading found the trouble and ends it."""

    @property
    def is_notice(self) -> bool:
        """True for what is told, and is no trouble: nothing of it could ever be synced."""
        return self.code in NOTICE_CODES


class State(Protocol):
    """The three trees of one synced folder, and what little else must survive.

    Synced is a table. Local and remote are kept as what differs from synced: overlays in
    memory, written by ``save`` so far as they are still unsettled by then. All changes
    since the last ``save`` become durable together with it, or not at all.
    """

    @property
    def synced(self) -> TreeView:
        """The last agreed tree."""
        ...

    @property
    def local(self) -> TreeView:
        """Synced with the local overlay on top."""
        ...

    @property
    def remote(self) -> TreeView:
        """Synced with the remote overlay on top."""
        ...

    local_changes: dict[FileId, LocalChange]
    """The local overlay. Change it only through ``note_local`` and ``settle``."""

    remote_changes: dict[FileId, StoredEntry]
    """The remote overlay; a deleted one has ``action`` DELETE. Only through ``note_remote``."""

    def is_local_changed_in(self, folder_id: FileId) -> bool:
        """Tells whether something in the local overlay stands in this folder."""
        ...

    def note_local(self, file_id: FileId, change: LocalChange | None) -> None:
        """Records an observation of the disk; None: it is as synced says."""
        ...

    def note_remote(self, stored: StoredEntry) -> None:
        """Records an observation of the server; kept only while it differs from synced and
        is not older than what is known.
        """
        ...

    def forget_remote(self) -> None:
        """Nothing that the server said since then counts any longer: the remote tree is as
        synced says until it is observed anew.
        """
        ...

    def drop_remote(self, file_id: FileId) -> None:
        """What the server said of one entry counts no longer. What it said of those below it
        still does.
        """
        ...

    def settle(self, file_id: FileId, row: SyncedRow | None, seq: Seq = Seq(0)) -> None:  # noqa: B008
        """Both sides now agree on an entry (None: it is gone, a folder with all below it).

        Overlay entries that say the same as the new synced state vanish, and so do
        observations of the server no newer than ``seq`` (or ``row.seq``): what this device
        committed itself need not be read back. Of what is gone nothing local stays; a newer
        observation of the server stays, as of a new entry.
        """
        ...

    def rename_id(self, file_id: FileId, new_id: FileId) -> None:
        """A local entry turned out to be another one: replaces its id in the local overlay,
        as a parent too.
        """
        ...

    def renew_local(self, file_id: FileId, new_id: FileId) -> None:
        """The server no longer has an entry, the disk keeps it under a new id: synced drops
        this one row; what is in the folder on the disk is now in the new id's. The entry
        itself is noted by the caller.
        """
        ...

    def renew_remote(self, file_id: FileId) -> None:
        """The disk no longer has an entry, the server keeps it: synced drops this one row, not
        what is below it, and the server's entry is as if it were new.
        """
        ...

    def synced_rows(self, parent_id: FileId) -> Mapping[str, SyncedRow]:
        """Returns a folder's synced entries by name. One query."""
        ...

    def synced_stats(self, parent_id: FileId) -> Mapping[str, tuple[FileId, Stat]]:
        """Returns ids and fingerprints of a folder's synced entries by name. One query, a third
        of the cost of ``synced_rows``: a scan needs no more of what has not changed.
        """
        ...

    def find_synced_row(self, file_id: FileId) -> SyncedRow | None:
        """Returns the synced entry with this id and its fingerprint, or None."""
        ...

    def list_by_inode(self, dev: int, ino: int) -> list[SyncedRow]:
        """Returns the synced entries that had this inode when they were agreed on, the latest
        first: several if a file has several names. One query.
        """
        ...

    def find_by_roots(self, roots: Collection[BlockId]) -> dict[BlockId, SyncedRow]:
        """Returns for each content root a synced file that has it, if there is one.

        Reads all roots once: worth it for many files or much content, not for one small file.
        """
        ...

    def find_named(self, part: str) -> list[FileId]:
        """Returns the local entries whose names contain a text. Reads all names."""
        ...

    def path_of(self, view: TreeView, file_id: FileId) -> str | None:
        """Returns the path of an entry in one of the trees; None if it or a folder above it
        is not there.
        """
        ...

    def count_synced(self) -> int:
        """Returns how many entries are synced."""
        ...

    def count_below(self, folder_id: FileId) -> int:
        """Returns how many entries are synced anywhere below a folder."""
        ...

    def find_manifest(self, manifest_id: BlockId) -> bytes | None:
        """Returns the encoding of a manifest kept by ``keep_manifest``."""
        ...

    def keep_manifest(self, manifest_id: BlockId, encoded: bytes) -> None:
        """Keeps a manifest while an entry refers to it."""
        ...

    def find_digest(self, stat: Stat) -> Content | None:
        """Returns what a large file with this fingerprint was found to hold, if noted."""
        ...

    def note_digest(self, stat: Stat, content: Content) -> None:
        """Notes what a large file with this fingerprint holds, so that it is not read again."""
        ...

    def get(self, key: str) -> str:
        """Returns a setting of this synced folder (``cursor``, ``seen_seq``, …) or ``""``."""
        ...

    def put(self, key: str, value: str) -> None:
        """Sets a setting of this synced folder."""
        ...

    def problems(self) -> list[ProblemRow]:
        """Returns what is in trouble, by path."""
        ...

    def note_problem(self, row: ProblemRow) -> None:
        """Records trouble with a path, in place of what was recorded for it."""
        ...

    def clear_problem(self, path: str) -> None:
        """Forgets the trouble with a path; no error if there was none."""
        ...

    def save(self) -> None:
        """Makes all changes since the last save durable against a crash of the program."""
        ...

    def begin_flush(self) -> int:
        """Ends the current batch of synced rows and returns its number. Call it before
        ``Disk.flush``, and ``note_flushed`` with the number after it.
        """
        ...

    def note_flushed(self, batch: int) -> None:
        """What the rows up to this batch say of the disk would survive a power loss."""
        ...

    def list_doubtful(self, limit: int) -> list[SyncedRow]:
        """Returns rows that describe what a power loss may have taken back: settled after
        the last flush before the machine was started anew. Empty in the usual case; a row
        leaves the list when it is settled again.
        """
        ...

    def shrink(self) -> None:
        """Gives back memory that only speeds up work; called when there is nothing to do."""
        ...

    def close(self) -> None:
        """Ends all connections and files. Idempotent."""
        ...
