# SPDX-License-Identifier: Apache-2.0
"""Reading: fingerprints, listings and files, with few system calls each."""

import os
import stat as modes
from contextlib import suppress
from typing import Final

from drystone.client.adapters.disk.folders import CONTROL_NAME
from drystone.client.adapters.disk.system import OPEN_READ, next_data
from drystone.client.adapters.disk.trouble import changed, translated
from drystone.client.ports import FolderListing, NotThere, Observed, Skipped, Stat
from drystone.core import limits
from drystone.core.names.detour import find_detour_bytes
from drystone.core.names.quoting import quoted
from drystone.core.tree.entry import Kind

_KINDS: Final = {
    modes.S_IFREG: Kind.FILE,
    modes.S_IFDIR: Kind.FOLDER,
    modes.S_IFLNK: Kind.SYMLINK,
}
_SPECIAL: Final = {
    modes.S_IFIFO: "a pipe",
    modes.S_IFSOCK: "a socket",
    modes.S_IFCHR: "a device",
    modes.S_IFBLK: "a device",
}
_FORMAT_MASK: Final = 0o170000
_MODE_MASK: Final = 0o777

_NEAR_BOUND_CHARS: Final = (limits.PATH_BYTES_MAX - limits.NAME_BYTES_MAX) // 4
"""Paths of folders up to this long need not be measured: nothing in them can be too long."""


def make_stat(found: os.stat_result, root_dev: int) -> Stat | None:
    """Returns the fingerprint of what the system describes; None for special files.

    Devices get other numbers when they are plugged in again, so the root's is always 0.
    """
    mode = found.st_mode
    kind = _KINDS.get(mode & _FORMAT_MASK)
    if kind is None:
        return None
    dev = found.st_dev
    return Stat(
        kind,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        0 if dev == root_dev else dev,
        mode & _MODE_MASK,
    )


def list_open_folder(fd: int, path: str, root_dev: int) -> FolderListing:
    """Lists an open folder completely, or raises ``OSError``. Moves the descriptor's position.

    Cost: about 5 microseconds per name, 4 of them the system's.
    """
    observed: list[Observed] = []
    skipped: list[Skipped] = []
    is_near_bound = len(path) > _NEAR_BOUND_CHARS
    # Bound to names of their own, because all this runs for every file at every scan; reading a
    # member of an enum takes as long as the comparison it is for.
    kinds, new, symlink = _KINDS, tuple.__new__, Kind.SYMLINK
    with os.scandir(fd) as entries:
        for entry in entries:
            name = entry.name
            if not path and name == CONTROL_NAME:
                continue
            if (not name.isascii() or is_near_bound) and (fault := _find_fault(name, path)):
                skipped.append(fault._replace(stat=_find_skipped_stat(entry, root_dev)))
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # Removed since the folder was read.
            mode = found.st_mode
            kind = kinds.get(mode & _FORMAT_MASK)
            if kind is None:
                what = _SPECIAL.get(mode & _FORMAT_MASK, "no file, folder or symlink")
                skipped.append(Skipped(name, "special-file", f"it is {what}"))
                continue
            dev = found.st_dev
            # As make_stat does, without the calls.
            stat = new(
                Stat,
                (
                    kind,
                    found.st_size,
                    found.st_mtime_ns,
                    found.st_ctime_ns,
                    found.st_ino,
                    0 if dev == root_dev else dev,
                    mode & _MODE_MASK,
                ),
            )
            if kind is not symlink:
                observed.append(new(Observed, (name, stat, "")))
                continue
            try:
                target = os.readlink(name, dir_fd=fd)
                target.encode()
            except FileNotFoundError:
                continue
            except UnicodeEncodeError:
                reason = "what it points to is not valid UTF-8"
                skipped.append(Skipped(name, "name-not-utf8", reason))
                continue
            observed.append(Observed(name, stat, target))
    return FolderListing(observed, skipped)


def find_open_stat(fd: int, name: str, root_dev: int) -> Stat | None:
    """Returns the fingerprint of a name in an open folder; None for nothing or special files.

    Raises ``OSError`` other than for absence.
    """
    try:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return make_stat(found, root_dev)


def read_whole(fd: int, name: str, path: str, bytes_max: int, root_dev: int) -> tuple[Stat, bytes]:
    """Reads a small file of an open folder: see ``Disk.read_small``. Raises ``OSError``, too."""
    file_fd = os.open(name, OPEN_READ, dir_fd=fd)
    try:
        found = os.fstat(file_fd)
        size_bytes = found.st_size
        if not modes.S_ISREG(found.st_mode):
            raise not_a_file(path)
        if size_bytes > bytes_max:
            raise changed(path)
        # One byte more than there should be tells whether it grew.
        data = os.read(file_fd, size_bytes + 1)
        while 0 < len(data) < size_bytes:
            more = os.read(file_fd, size_bytes + 1 - len(data))
            if not more:
                break
            data += more
        after = os.fstat(file_fd)
    finally:
        os.close(file_fd)
    if len(data) != size_bytes or not _is_same(found, after):
        raise changed(path)
    stat = make_stat(after, root_dev)
    assert stat is not None
    return stat, data


class OpenFile:
    """See ``ReadFile``. Made by ``open_regular``; closed by whoever opened it."""

    def __init__(self, fd: int, stat: Stat, path: str, root_dev: int) -> None:
        self.fd = fd
        self.stat = stat
        self._path = path
        self._root_dev = root_dev

    def read_into(self, buffer: memoryview, offset_bytes: int) -> int:
        with translated(self._path):
            return os.preadv(self.fd, [buffer], offset_bytes)

    def next_data(self, offset_bytes: int) -> int:
        with translated(self._path):
            return next_data(self.fd, offset_bytes, self.stat.size_bytes)

    def is_unchanged(self) -> bool:
        with translated(self._path):
            stat = make_stat(os.fstat(self.fd), self._root_dev)
        known = self.stat
        return stat is not None and stat[1:4] == known[1:4]

    def close(self) -> None:
        """Closes the file. Idempotent."""
        if self.fd >= 0:
            with suppress(OSError):
                os.close(self.fd)
            self.fd = -1


def open_regular(fd: int, name: str, path: str, root_dev: int) -> OpenFile:
    """Opens a regular file of an open folder for reading."""
    with translated(path):
        file_fd = os.open(name, OPEN_READ, dir_fd=fd)
        try:
            found = os.fstat(file_fd)
            stat = make_stat(found, root_dev)
            if stat is None or stat.kind != Kind.FILE:
                raise not_a_file(path)
        except BaseException:
            os.close(file_fd)
            raise
    return OpenFile(file_fd, stat, path, root_dev)


def not_a_file(path: str) -> NotThere:
    """Returns the error for something else than a file at a path."""
    return NotThere(f"{quoted(path)} is no file", advice="Nothing to do: it is looked at again.")


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (
        one.st_size == other.st_size
        and one.st_mtime_ns == other.st_mtime_ns
        and one.st_ctime_ns == other.st_ctime_ns
    )


def _find_skipped_stat(entry: "os.DirEntry[str]", root_dev: int) -> Stat | None:
    try:
        return make_stat(entry.stat(follow_symlinks=False), root_dev)
    except OSError:
        return None


def _find_fault(name: str, path: str) -> Skipped | None:
    """Returns why a name cannot be taken in, or None."""
    try:
        length_bytes = len(name.encode())
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        return Skipped(shown, "name-not-utf8", "its name is not valid UTF-8")
    if length_bytes > limits.NAME_BYTES_MAX:
        # Some disks count characters.
        return Skipped(
            name, "name-too-long", f"its name has {length_bytes} bytes, at most 255 are synced"
        )
    whole_bytes = len(path.encode()) + 1 + length_bytes
    if whole_bytes > limits.PATH_BYTES_MAX + find_detour_bytes(f"{path}/{name}"):
        return Skipped(
            name, "path-too-long", f"its path has {whole_bytes} bytes, at most 4,000 are synced"
        )
    if path.count("/") >= limits.DEPTH_MAX:
        return Skipped(name, "path-too-long", f"it is more than {limits.DEPTH_MAX} folders deep")
    return None
