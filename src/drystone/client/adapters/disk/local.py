# SPDX-License-Identifier: Apache-2.0
"""LocalDisk: the ``Disk`` port on a folder of this machine."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from drystone.client.adapters.disk import root
from drystone.client.adapters.disk.folders import CONTROL_NAME, Folders, check_safe
from drystone.client.adapters.disk.placing import Placing, folder_mode
from drystone.client.adapters.disk.probing import probe
from drystone.client.adapters.disk.reading import (
    find_open_stat,
    list_open_folder,
    make_stat,
    open_regular,
    read_whole,
)
from drystone.client.adapters.disk.staging import Stage, Staged, file_mode
from drystone.client.adapters.disk.stock import take_stock
from drystone.client.adapters.disk.system import OPEN_FOLDER, find_birth_ns, sync_filesystem
from drystone.client.adapters.disk.trash import Trash
from drystone.client.adapters.disk.trouble import (
    FlushFailed,
    changed,
    disk_full,
    translate,
    translated,
)
from drystone.client.ports import (
    DiskFull,
    DiskProblem,
    FolderListing,
    NewFile,
    NoSymlinks,
    NotThere,
    ReadFile,
    ReadOutcome,
    RootGone,
    StagedFile,
    Stat,
    UnsafeName,
    WriteOutcome,
)
from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.names.quoting import quoted
from drystone.core.tree.entry import Kind


class LocalDisk:
    """See ``Disk``. Made by ``open_disk``; safe for several threads.

    Args:
        path: The synced folder.
        root_id: What its marker must hold.
        now_ns: The clock, for the trash.
        lock: That of the root; released by ``close``.
    """

    def __init__(
        self, path: Path, root_id: str, now_ns: Callable[[], int], lock: root.RootLock
    ) -> None:
        self._lock = lock
        self._path = path
        self._root_id = root_id
        self._root_fd = os.open(path, OPEN_FOLDER & ~os.O_NOFOLLOW)
        self._control_fd = os.open(CONTROL_NAME, OPEN_FOLDER, dir_fd=self._root_fd)
        self._root_dev = os.fstat(self._root_fd).st_dev
        self.traits = probe(self._control_fd, str(path))
        self._folders = Folders(self._root_fd)
        self._stage = Stage(self._control_fd)
        self._trash = Trash(self._control_fd, now_ns)
        self._placing = Placing(self._stage, self._trash, self._root_dev)
        self._placing.clean_up(now_ns())

    def __repr__(self) -> str:
        return f"LocalDisk({str(self._path)!r})"

    def true_path(self, standing: str) -> str:
        return standing

    def standing_path(self, path: str) -> str:
        return path

    # --- looking -----------------------------------------------------------------------------

    def check_root(self) -> None:
        root.check_root(self._path, self._root_fd, self._root_id)
        # Whoever asks is about to look closely: trust no path walked before.
        self._folders.forget("")

    def list_folder(self, path: str) -> FolderListing:
        with translated(path):
            # A listing moves the position that all duplicates of a descriptor share.
            if path:
                fd = self._folders.open_fresh(path)
            else:
                fd = os.open(".", OPEN_FOLDER, dir_fd=self._root_fd)
            try:
                listing = list_open_folder(fd, path, self._root_dev)
            except BaseException:
                os.close(fd)
                raise
            if path:
                self._folders.keep(path, fd)
            else:
                os.close(fd)
        return listing

    def find_stat(self, path: str) -> Stat | None:
        try:
            with self._open_above(path) as (fd, name):
                return find_open_stat(fd, name, self._root_dev)
        except NotThere:
            return None

    def find_birth_ns(self, path: str) -> int:
        try:
            with self._open_above(path) as (fd, name):
                return find_birth_ns(fd, name)
        except NotThere:
            return 0

    @contextmanager
    def open_file(self, path: str) -> Iterator[ReadFile]:
        with self._open_above(path) as (fd, name):
            file = open_regular(fd, name, path, self._root_dev)
        try:
            yield file
        finally:
            file.close()

    def read_small(self, path: str, bytes_max: int) -> tuple[Stat, bytes]:
        with self._open_above(path) as (fd, name):
            return read_whole(fd, name, path, bytes_max, self._root_dev)

    def read_many(
        self, folder_path: str, names: Sequence[str], bytes_max: int
    ) -> list[ReadOutcome]:
        outcomes: list[ReadOutcome] = []
        root_dev = self._root_dev
        prefix = f"{folder_path}/" if folder_path else ""
        with translated(folder_path), self._folders.open(folder_path) as fd:
            for name in names:
                path = prefix + name
                try:
                    check_safe(name, path)
                    outcomes.append(read_whole(fd, name, path, bytes_max, root_dev))
                except OSError as error:
                    outcomes.append(_as_outcome(translate(error, path)))
                except (DiskProblem, Unavailable) as error:
                    outcomes.append(error)
        return outcomes

    # --- making ------------------------------------------------------------------------------

    def make_folder(self, path: str, mode: int) -> Stat:
        wanted = folder_mode(mode)
        is_made = False
        with self._open_above(path, is_writing=True) as (fd, name):
            with suppress(FileExistsError):
                os.mkdir(name, wanted, dir_fd=fd)
                is_made = True
            stat = find_open_stat(fd, name, self._root_dev)
            if stat is None or stat.kind != Kind.FOLDER:
                raise changed(path)
            if stat.mode != wanted and (is_made or mode):
                stat = self._placing.dress(fd, name, stat, wanted, None)
        return stat

    def make_symlink(self, path: str, target: str, mtime_ns: int, expected: Stat | None) -> Stat:
        check_target(target, path)
        with self._open_above(path, is_writing=True) as (fd, name):
            if not self.traits.holds_symlinks:
                raise NoSymlinks(
                    f"{path!r} is a symlink, and this disk cannot hold one",
                    advice="It stays on the server and on other devices; or delete it there.",
                )
            staged = self._stage.link(target, mtime_ns)
            try:
                self._placing.put(staged, fd, name, path, expected)
            except BaseException:
                self._stage.remove(staged)
                raise
            stat = find_open_stat(fd, name, self._root_dev)
        if stat is None:
            raise changed(path)
        return stat

    def write_small(
        self, path: str, data: bytes, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        with self._open_above(path, is_writing=True) as (fd, name):
            if expected is not None:
                self._placing.check(fd, name, path, expected)
            return self._placing.write(fd, path, NewFile(name, data, mode, mtime_ns), expected)

    def write_many_new(self, folder_path: str, files: Sequence[NewFile]) -> list[WriteOutcome]:
        outcomes: list[WriteOutcome] = []
        prefix = f"{folder_path}/" if folder_path else ""
        with translated(folder_path, is_writing=True), self._folders.open(folder_path) as fd:
            for file in files:
                path = prefix + file.name
                outcome: WriteOutcome
                try:
                    check_safe(file.name, path)
                    outcome = self._placing.write(fd, path, file, None)
                except OSError as error:
                    outcome = _as_outcome(translate(error, path, is_writing=True))
                except (DiskProblem, Unavailable) as error:
                    outcome = error
                outcomes.append(outcome)
                if isinstance(outcome, DiskFull):
                    rest = files[len(outcomes) :]
                    outcomes += [disk_full(quoted(prefix + file.name)) for file in rest]
                    break
        return outcomes

    def stage(self, size_bytes: int, key: str = "") -> StagedFile:
        with translated("a large file", is_writing=True):
            return Staged(self._stage, size_bytes, key)

    def swap_in(
        self, staged: StagedFile, path: str, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        assert isinstance(staged, Staged), "files of this disk only"
        wanted = file_mode(mode)
        with self._open_above(path, is_writing=True) as (fd, name):
            staged.finish(wanted, mtime_ns)
            self._placing.put(staged.name, fd, name, path, expected)
            stat = make_stat(os.fstat(staged.fd), self._root_dev)
            staged.close()
        assert stat is not None
        return stat

    # --- changing ----------------------------------------------------------------------------

    def move(self, path: str, new_path: str, expected: Stat) -> Stat:
        with (
            self._open_above(path, is_writing=True) as (fd, name),
            self._open_above(new_path, is_writing=True) as (new_fd, new_name),
        ):
            self._placing.check(fd, name, path, expected)
            stat = self._placing.move((fd, name), (new_fd, new_name), expected)
        if stat.kind == Kind.FOLDER:
            self._folders.forget(path)
            self._folders.forget(new_path)
        return stat

    def discard(self, path: str, expected: Stat, stock: Collection[int] | None = None) -> None:
        with self._open_above(path, is_writing=True) as (fd, name):
            self._placing.discard(fd, name, path, expected, stock)
        if expected.kind == Kind.FOLDER:
            self._folders.forget(path)

    def take_stock(self, path: str) -> frozenset[int]:
        with translated(path):
            return take_stock(self._folders, path)

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        is_folder = expected.kind == Kind.FOLDER
        wanted = folder_mode(mode) if is_folder else file_mode(mode)
        with self._open_above(path, is_writing=True) as (fd, name):
            self._placing.check(fd, name, path, expected)
            return self._placing.dress(fd, name, expected, wanted, None if is_folder else mtime_ns)

    # --- the whole ---------------------------------------------------------------------------

    def flush(self) -> None:
        # Now it is quiet: let go of folders, so that what is mounted in one can be unmounted.
        self._folders.forget("")
        try:
            sync_filesystem(self._root_fd)
        except OSError as error:
            raise FlushFailed(
                f"the disk of {quoted(str(self._path))} did not take what was written:"
                f" {error.strerror}",
                advice="Check the disk; what was not flushed is verified at the next start.",
            ) from error

    def purge_trash(self, now_ns: int) -> int:
        with translated("the local trash", is_writing=True):
            return self._trash.purge(now_ns)

    def close(self) -> None:
        self._folders.forget("")
        self._trash.close()
        self._stage.close()
        for fd in (self._control_fd, self._root_fd):
            if fd >= 0:
                os.close(fd)
        self._control_fd = self._root_fd = -1
        self._lock.release()

    # --- inside ------------------------------------------------------------------------------

    @contextmanager
    def _open_above(self, path: str, *, is_writing: bool = False) -> Iterator[tuple[int, str]]:
        """Opens the folder that holds a path; gives its descriptor and the path's name."""
        above, _, name = path.rpartition("/")
        check_safe(name, path)
        with translated(path, is_writing=is_writing), self._folders.open(above) as fd:
            yield fd, name


def open_disk(path: Path, root_id: str, now_ns: Callable[[], int]) -> LocalDisk:
    """Opens a synced folder made by ``create_root``, and cleans up after an earlier client.

    It holds the root's lock until it is closed.

    Raises:
        RootGone: It is not there, or is not the one with this id.
        RootBusy: Another client syncs it.
        RootUnusable: Its control folder cannot be used.
        DiskProblem, DiskFull: It cannot be cleaned up.
    """
    if not path.is_dir() or root.read_root_id(path) != root_id:
        raise RootGone(
            f"{path} is not the folder that was synced; nothing was taken for deleted",
            advice="Mount or move it back; or, to begin anew by merging both sides: drystone forget"
            " DIR, then drystone sync DIR.",
        )
    lock = root.RootLock(path)
    try:
        with translated(str(path), is_writing=True):
            return LocalDisk(path, root_id, now_ns, lock)
    except BaseException:
        lock.release()
        raise


def check_target(target: str, path: str) -> None:
    """Accepts what a symlink is to point to, or raises. It is data: it may point anywhere."""
    try:
        is_legal = bool(target) and "\0" not in target and bool(target.encode())
    except UnicodeEncodeError:
        is_legal = False
    if not is_legal:
        raise UnsafeName(
            f"the symlink {quoted(path)} points to something that is no path",
            advice="Make it anew where it was made.",
        )


def _as_outcome(error: DrystoneError) -> DiskProblem | Unavailable:
    assert isinstance(error, DiskProblem | Unavailable)
    return error
