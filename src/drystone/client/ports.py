# SPDX-License-Identifier: Apache-2.0
"""What the client needs from the world: disk, watcher, server, state, clock.

Relative paths are ``str``, ``/``-separated, ``""`` for the synced folder itself, and hold
names as the disk has them. Methods of ``Disk`` and ``State`` block; steps run them in
threads. Methods of ``Remote`` are async.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from drystone.core.content.content import Content
from drystone.core.errors import Refused, Unavailable
from drystone.core.ids import BlockId, FileId, NamespaceId, Seq
from drystone.core.journal.change import Change, Outcome
from drystone.core.journal.record import StoredEntry
from drystone.core.planning.plan import Conflict
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView

# --- disk ------------------------------------------------------------------------------------


class Stat(NamedTuple):
    """The fingerprint of something on the disk. Equal fingerprints: not changed since,
    unless it was written within one tick of the clock that stamped it (see scan).
    """

    kind: Kind
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    ino: int
    dev: int
    mode: int
    """The nine permission bits."""


class Observed(NamedTuple):
    """One name in a folder, as listed. ``target`` is set for symlinks only."""

    name: str
    stat: Stat
    target: str = ""


class Skipped(NamedTuple):
    """A name that cannot be synced, and why (``code`` as in docs/reference/errors.md):
    ``name-not-utf8``, ``special-file``, ``name-too-long``, ``path-too-long``, ``unreadable``.
    """

    name: str
    """Printable; undecodable bytes are shown as ``\\xNN``."""
    code: str
    detail: str


class FolderListing(NamedTuple):
    """A complete listing of one folder. An incomplete one is never returned."""

    observed: list[Observed]
    skipped: list[Skipped]


class DiskProblem(Refused):
    """Trouble with one path on this device's disk; other paths go on. ``code`` says which."""

    code = "disk-problem"


class DiskFull(Unavailable):
    """This device's disk has no room; what was being written was removed again."""

    code = "disk-full"


class ChangedMeanwhile(Unavailable):
    """What stands at the path is not what was expected: left alone, to be scanned again."""

    code = "changed-meanwhile"


class Unreadable(DiskProblem):
    """A file or folder may not be read by this user, or the medium failed."""

    code = "unreadable"


class ReadFile(Protocol):
    """An open regular file, read in pieces. Not for several threads at once."""

    stat: Stat
    """Taken from the open descriptor, so it belongs to these bytes."""

    def read_into(self, buffer: memoryview, offset_bytes: int) -> int:
        """Reads at an offset; returns how many bytes came, 0 at the end."""
        ...

    def next_data(self, offset_bytes: int) -> int:
        """Returns the start of the next stored region at or after the offset (its size at
        the end): what lies between is a hole of a sparse file and reads as zeros.
        """
        ...

    def is_unchanged(self) -> bool:
        """Tells whether size, mtime and ctime are still those of ``stat``."""
        ...


class StagedFile(Protocol):
    """A file being built out of sight, on the same filesystem as the synced folder."""

    def write_at(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Writes at an offset; regions never written are holes. Raises ``DiskFull``."""
        ...

    def copy_from(
        self, source: ReadFile, source_offset: int, offset_bytes: int, length: int
    ) -> None:
        """Copies a region of another file, in the kernel where that is possible."""
        ...

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Reads back what was written."""
        ...

    def drop(self) -> None:
        """Removes it. Idempotent; called for every staged file that is not swapped in."""
        ...


class Disk(Protocol):
    """One synced folder on this device's disk.

    Every path is opened component by component without following links. All methods raise
    ``DiskProblem`` (or a subclass) or ``Unavailable``, never ``OSError``.
    """

    def check_root(self) -> None:
        """Raises ``RootGone`` if the folder or its marker is missing or replaced."""
        ...

    def list_folder(self, path: str) -> FolderListing:
        """Lists a folder completely, own control folder left out, or raises."""
        ...

    def find_stat(self, path: str) -> Stat | None:
        """Returns the fingerprint of what stands at a path, or None."""
        ...

    def open_file(self, path: str) -> AbstractContextManager[ReadFile]:
        """Opens a regular file for reading."""
        ...

    def read_small(self, path: str, bytes_max: int) -> tuple[Stat, bytes]:
        """Reads a whole file of at most ``bytes_max`` bytes with few system calls.

        Raises ``ChangedMeanwhile`` if it is larger or changed while it was read.
        """
        ...

    def make_folder(self, path: str, mode: int) -> Stat:
        """Makes a folder; if there is one already, that is fine."""
        ...

    def make_symlink(self, path: str, target: str, mtime_ns: int, expected: Stat | None) -> Stat:
        """Puts a symlink in place atomically, where ``expected`` stands (None: nothing)."""
        ...

    def write_small(
        self, path: str, data: bytes, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        """Stages a whole file and swaps it in where ``expected`` stands (None: nothing).

        What it replaces goes to the trash. Raises ``ChangedMeanwhile`` if something else
        stands there; then nothing has happened. Returns the new fingerprint.
        """
        ...

    def stage(self, size_bytes: int) -> StagedFile:
        """Begins a large file; raises ``DiskFull`` if there is clearly no room for it."""
        ...

    def swap_in(
        self, staged: StagedFile, path: str, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        """Makes a staged file visible, as ``write_small`` does."""
        ...

    def move(self, path: str, new_path: str, expected: Stat) -> Stat:
        """Renames without ever replacing; raises ``ChangedMeanwhile`` if the target exists
        or the source is not ``expected`` (for folders: same inode). Returns the new stat.
        """
        ...

    def discard(self, path: str, expected: Stat) -> None:
        """Moves a file, symlink or whole folder to the trash (``expected`` as for move)."""
        ...

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        """Sets permission bits, and the mtime of files; returns the new fingerprint."""
        ...

    def flush(self) -> None:
        """Makes everything written so far durable, with one filesystem sync."""
        ...


class RootGone(Refused):
    """The synced folder or its marker is missing or not the one it was: nothing is done."""

    code = "root-gone"


class Watcher(Protocol):
    """Tells that something may have changed below the synced folder. Claims, not truth."""

    def hints(self) -> AsyncIterator["Hints"]:
        """Yields batches of hints until cancelled; the first once watching has begun."""
        ...


class Hints(NamedTuple):
    """Folders worth listing again. ``all`` says: anything may have changed, scan fully."""

    folders: frozenset[str]
    all: bool = False


# --- state -----------------------------------------------------------------------------------


class SyncedRow(NamedTuple):
    """An entry both sides agreed on, and its fingerprint on this disk at that moment."""

    entry: Entry
    stat: Stat


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

    def note_local(self, file_id: FileId, change: LocalChange | None) -> None:
        """Records an observation of the disk; None: it is as synced says."""
        ...

    def note_remote(self, stored: StoredEntry) -> None:
        """Records an observation of the server; kept only while it differs from synced and
        is not older than what is known.
        """
        ...

    def settle(self, file_id: FileId, row: SyncedRow | None) -> None:
        """Both sides now agree on an entry (None: it is gone, a folder with all below it).

        Overlay entries that say the same as the new synced state vanish.
        """
        ...

    def rename_id(self, file_id: FileId, new_id: FileId) -> None:
        """A local entry turned out to be another one: replaces its id in the local overlay,
        as a parent too.
        """
        ...

    def synced_rows(self, parent_id: FileId) -> Mapping[str, SyncedRow]:
        """Returns a folder's synced entries by name. One query."""
        ...

    def find_synced_row(self, file_id: FileId) -> SyncedRow | None:
        """Returns the synced entry with this id and its fingerprint, or None."""
        ...

    def find_by_inode(self, dev: int, ino: int) -> SyncedRow | None:
        """Returns the synced entry that had this inode when it was agreed on, or None."""
        ...

    def path_of(self, view: TreeView, file_id: FileId) -> str | None:
        """Returns the path of an entry in one of the trees; None if it or a folder above it
        is not there.
        """
        ...

    def count_synced(self) -> int:
        """Returns how many entries are synced."""
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

    def close(self) -> None:
        """Ends all connections and files. Idempotent."""
        ...


# --- remote ----------------------------------------------------------------------------------


class RemotePage(NamedTuple):
    """A page of changes; see ``wire.messages.ChangesPage``."""

    entries: Sequence[StoredEntry]
    gone: Sequence[FileId]
    cursor: str
    head: Seq
    has_more: bool
    reset: bool


class CommitResult(NamedTuple):
    """What became of a commit; see ``wire.messages.CommitAnswer``."""

    head_before: Seq
    head: Seq
    cursor: str
    outcomes: Sequence[Outcome]


class OutgoingBlock(NamedTuple):
    """A block ready to travel: a frame of ``core.content.frame``."""

    block_id: BlockId
    plain_bytes: int
    codec: int
    payload: bytes | memoryview
    base: BlockId | None = None


class Remote(Protocol):
    """One namespace on the server. Async; safe for several calls at once.

    Raises ``Unavailable`` (server away, asked to wait: try later), ``Refused`` (with the
    server's code), ``Corrupt`` (bytes did not match their name).
    """

    namespace_id: NamespaceId

    async def ask(self, block_ids: Sequence[BlockId]) -> list[BlockId]:
        """Returns those the server lacks, in order, each once."""
        ...

    async def put_blocks(self, blocks: AsyncIterator[OutgoingBlock]) -> int:
        """Sends one bundle as it is made; returns how many blocks were taken."""
        ...

    def fetch_blocks(
        self,
        wanted: Sequence[tuple[BlockId, BlockId | None]],
        find_base: Callable[[BlockId], bytes],
    ) -> AsyncIterator[tuple[BlockId, bytes]]:
        """Yields verified blocks in the order wanted; with each a base that the server may
        use, whose bytes ``find_base`` gives when they are needed.
        """
        ...

    async def fetch_outlines(self, block_ids: Sequence[BlockId]) -> list[bytes]:
        """Returns one outline per block, in order; empty for those the namespace does not hold."""
        ...

    async def commit(self, changes: Sequence[Change], seen_seq: Seq, key: str) -> CommitResult:
        """Commits changes; repeated with the same key it changes nothing more."""
        ...

    async def read_changes(self, cursor: str, under: FileId | None) -> RemotePage:
        """Returns a page of what changed since the cursor (`""`: everything)."""
        ...

    async def list_below(self, folder_id: FileId, after: str) -> tuple[list[StoredEntry], str]:
        """Returns a page of all that lives below a folder, and where to go on (`""`: end)."""
        ...

    def listen(self) -> AsyncIterator[Seq]:
        """Yields heads as the bell rings (WebSocket, else long poll), reconnecting for ever
        with jittered delays; yields 0 after each reconnection: something may be missed.
        """
        ...

    async def close(self) -> None:
        """Ends all connections and files. Idempotent."""
        ...


# --- notices ---------------------------------------------------------------------------------


class Notices(Protocol):
    """Tells whoever watches how a sync goes. Called from any thread, at most once per batch.

    Nothing depends on it: an implementation returns at once and raises nothing.
    """

    def phase(self, name: str) -> None:
        """A stage begins: ``connect``, ``scan``, ``transfer``, ``settle``, ``idle``; several
        rounds of a sync go through them again.
        """
        ...

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        """Says how far a kind of work has come since the sync began; sums, not differences.

        Args:
            kind: ``scan`` (entries seen), ``upload`` (files committed, content bytes), or
                ``download`` (files put in place, content bytes).
            files_done: Entries finished so far.
            files_total: How many there are as far as is known; None while nothing is known.
                It may grow.
            bytes_done: Content bytes finished so far, before compression and deltas.
            bytes_total: As ``files_total``.
        """
        ...

    def problem(self, row: ProblemRow) -> None:
        """There is trouble with one path; other paths go on."""
        ...

    def conflict(self, conflict: Conflict, path: str) -> None:
        """Both sides changed the entry at ``path``; it was settled as ``conflict`` says."""
        ...

    def message(self, text: str) -> None:
        """One sentence worth showing: the server is away, a folder waits for permission."""
        ...
