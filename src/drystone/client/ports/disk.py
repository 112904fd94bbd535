# SPDX-License-Identifier: Apache-2.0
"""Disk and Watcher: the folder that is kept in step, and what was seen there."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from drystone.core.content.content import Content
from drystone.core.errors import Refused, Unavailable
from drystone.core.ids import FileId
from drystone.core.names.standing import ALL_NAMES, NameTraits
from drystone.core.planning.policy import Traits
from drystone.core.tree.entry import Kind


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
    """0 for the disk that the root is on, which may have another number after each start."""
    mode: int
    """The nine permission bits."""


class DiskTraits(NamedTuple):
    """What a disk can hold. The first thing to be known of one: names that it cannot hold would
    otherwise be taken for renamed.

    Attributes:
        names: Which names it cannot hold.
        holds_modes: If not, a mode seen there says nothing.
        holds_symlinks: If not, making one is refused.
        mtime_step_ns: Times are rounded down to multiples of this.
    """

    names: NameTraits = ALL_NAMES
    holds_modes: bool = True
    holds_symlinks: bool = True
    mtime_step_ns: int = 1

    @property
    def for_planning(self) -> Traits:
        """What of it the planner asks for."""
        return Traits(self.holds_modes, self.mtime_step_ns)


class Observed(NamedTuple):
    """One name in a folder, as listed. ``target`` is set for symlinks only."""

    name: str
    stat: Stat
    target: str = ""


class Skipped(NamedTuple):
    """A name that cannot be synced, and why (``code`` as in docs/reference/errors.md):
    ``name-not-utf8``, ``special-file``, ``name-too-long``, ``path-too-long``, ``unreadable``,
    ``name-twice``.
    """

    name: str
    """Printable; undecodable bytes are shown as ``\\xNN``."""
    code: str
    detail: str
    stat: Stat | None = None
    """Its fingerprint, if it is a file, a folder or a symlink."""


class FolderListing(NamedTuple):
    """A complete listing of one folder, in no order. An incomplete one is never returned."""

    observed: list[Observed]
    skipped: list[Skipped]


class NewFile(NamedTuple):
    """A small file to be put where nothing stands; see ``Disk.write_many_new``."""

    name: str
    data: bytes
    mode: int
    mtime_ns: int


class DiskProblem(Refused):
    """Trouble with one path on this device's disk; other paths go on. ``code`` says which."""

    code = "disk-problem"


class NotThere(DiskProblem):
    """Nothing of the wanted kind stands at the path (any more)."""

    code = "not-there"


class NameTooLong(DiskProblem):
    """This disk cannot hold so long a name."""

    code = "name-too-long"


class PathTooLong(DiskProblem):
    """A path is longer or deeper than this system can open."""

    code = "path-too-long"


class UnsafeName(DiskProblem):
    """A name that would lead elsewhere, or into our own folder."""

    code = "unsafe-name"


class NoSymlinks(DiskProblem):
    """This disk cannot hold symlinks."""

    code = "no-symlinks"


class DiskFull(Unavailable):
    """This device's disk has no room; what was being written was removed again."""

    code = "disk-full"


class ChangedMeanwhile(Unavailable):
    """What stands at the path is not what was expected: left alone, to be scanned again."""

    code = "changed-meanwhile"


class Unreadable(DiskProblem):
    """A file or folder may not be read by this user, or the medium failed."""

    code = "unreadable"


WriteOutcome = Stat | DiskProblem | Unavailable
"""What became of one of many files: its new fingerprint, or what kept it from being there."""


ReadOutcome = tuple[Stat, bytes] | DiskProblem | Unavailable
"""What became of reading one of many files."""


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

    is_continued: bool
    """True if somebody began it before: it may hold some of what it is to hold."""

    def write_at(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Writes at an offset; regions never written are holes. Raises ``DiskFull``."""
        ...

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Reads back what was written."""
        ...

    def keep(self) -> None:
        """Lets go of it and leaves it, if it has a key, to whoever stages under that key next;
        without one, removes it. Idempotent.
        """
        ...

    def drop(self) -> None:
        """Removes it. Idempotent; called for every staged file that is neither kept nor
        swapped in.
        """
        ...


class Disk(Protocol):
    """One synced folder on this device's disk.

    Every path is opened component by component without following links; names that a disk
    cannot hold or that lead elsewhere are a ``DiskProblem``. All methods raise
    ``DiskProblem`` (or a subclass) or ``Unavailable``, never ``OSError``. A mode of 0 means
    unknown and becomes what is usual here; the owner always keeps enough to go on syncing
    (reading for files; reading, writing and searching for folders), so that the mode of a
    returned ``Stat`` may differ from what was asked. May be used from several threads.

    ``expected`` matches what stands there if kind, size, mtime, ctime and inode are the same;
    for folders if kind and inode are.

    Names mean on the disk what they mean in the journal, unless ``true_path`` says otherwise.
    """

    traits: DiskTraits
    """Found out when it was opened."""

    def true_path(self, standing: str) -> str:
        """Returns the path by which all other methods know what stands at a path of the
        filesystem. Looks at nothing; relative to the synced folder, as all paths.
        """
        ...

    def standing_path(self, path: str) -> str:
        """Returns the path of the filesystem where something stands, or would stand."""
        ...

    def check_root(self) -> None:
        """Raises ``RootGone`` if the folder or its marker is missing or replaced."""
        ...

    def list_folder(self, path: str) -> FolderListing:
        """Lists a folder completely, own control folder left out, or raises.

        Raises ``NotThere`` if there is no such folder.
        """
        ...

    def find_stat(self, path: str) -> Stat | None:
        """Returns the fingerprint of what stands at a path, or None."""
        ...

    def find_birth_ns(self, path: str) -> int:
        """Returns when what stands at a path was made, by the clock that stamps files; it stays
        through edits and moves. 0 if nothing stands there, or the disk does not tell.
        """
        ...

    def open_file(self, path: str) -> AbstractContextManager[ReadFile]:
        """Opens a regular file for reading."""
        ...

    def read_small(self, path: str, bytes_max: int) -> tuple[Stat, bytes]:
        """Reads a whole file of at most ``bytes_max`` bytes with few system calls.

        Raises ``NotThere``, or ``ChangedMeanwhile`` if it is larger or changed while read.
        """
        ...

    def read_many(
        self, folder_path: str, names: Sequence[str], bytes_max: int
    ) -> list[ReadOutcome]:
        """Does ``read_small`` for many files of one folder: one outcome each, in order.

        Raises only if the folder itself cannot be opened.
        """
        ...

    def make_folder(self, path: str, mode: int) -> Stat:
        """Makes a folder. One that is there already is fine and gets the mode, if it is known
        (not 0).
        """
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

    def write_many_new(self, folder_path: str, files: Sequence[NewFile]) -> list[WriteOutcome]:
        """Does ``write_small`` for many files of one folder where nothing stands: one outcome
        each, in order. Files after one that found the disk full are not tried.

        Raises only if the folder itself cannot be opened.
        """
        ...

    def stage(self, size_bytes: int, key: str = "") -> StagedFile:
        """Begins a large file; raises ``DiskFull`` if there is clearly no room for it.

        With a key (hexadecimal digits) it goes on with what was kept under it, or was left by
        a client that was killed: nothing is known of those bytes, so the caller verifies them.
        What nobody goes on with for ``limits.STAGED_KEEP_S`` is removed.
        """
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

    def discard(self, path: str, expected: Stat, stock: Collection[int] | None = None) -> None:
        """Moves a file, symlink or whole folder to the trash (``expected`` as for move).

        With the ``stock`` that was taken of a folder nothing goes there that it does not have:
        then the folder stays, and ``ChangedMeanwhile`` is raised.
        """
        ...

    def take_stock(self, path: str) -> frozenset[int]:
        """Returns a number for everything below a folder, ignored or not, that is another one when
        that is changed, moved or replaced. What cannot be listed is left out. The numbers mean
        nothing to another process. Cost: a look at each entry.
        """
        ...

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        """Sets permission bits, and the mtime of files; returns the new fingerprint."""
        ...

    def flush(self) -> None:
        """Makes everything written so far durable, with one filesystem sync."""
        ...

    def purge_trash(self, now_ns: int) -> int:
        """Removes what has been in the trash for ``limits.TRASH_KEEP_S``; returns how many
        days' folders went. What cannot be removed is left for the next time.
        """
        ...

    def close(self) -> None:
        """Lets go of all descriptors. Idempotent."""
        ...


class Unread(NamedTuple):
    """A local file whose bytes have not been read yet: who it is and where it was seen.

    ``is_judged``: whoever reads it says whether it looks like noise. So it is with all that
    changes; not with what a first sync finds.
    """

    file_id: FileId
    path: str
    stat: Stat
    is_judged: bool = False


class Digested(NamedTuple):
    """What a local file was found to hold.

    Attributes:
        unread: Which file.
        stat: Its fingerprint when it was read (another one than ``unread.stat`` if it changed
            in between and then stood still).
        content: What it holds.
        data: Its bytes, if it is a single block read in a batch of small files; None if the
            bytes have to be read again to be sent.
        manifest: The encoding of its manifest if ``content.chunked``; else empty.
        is_racy: It was stamped within one tick of the clock before it was read, so that a
            write still going on would not show: these bytes count for nothing, read it again.
        is_noise: It looks as if it were encrypted; only said where ``unread.is_judged``.
    """

    unread: Unread
    stat: Stat
    content: Content
    data: bytes | None
    manifest: bytes
    is_racy: bool
    is_noise: bool = False


class RootGone(Refused):
    """The synced folder or its marker is missing or not the one it was: nothing is done."""

    code = "root-gone"


class Watcher(Protocol):
    """Tells that something may have changed below the synced folder. Claims, not truth."""

    @property
    def is_whole(self) -> bool:
        """True as long as the system tells it of what changes anywhere in the folder: from the
        first batch of hints on, unless some folders cannot be watched.
        """
        ...

    def hints(self) -> AsyncIterator["Hints"]:
        """Yields batches of hints until cancelled; the first, empty, once watching has begun."""
        ...


class Hints(NamedTuple):
    """Folders worth listing again. ``all`` says: anything may have changed, scan fully.

    A folder that is new or was moved is itself in ``folders``; those below it may be missing.
    """

    folders: frozenset[str]
    all: bool = False
