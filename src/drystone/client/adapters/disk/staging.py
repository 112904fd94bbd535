# SPDX-License-Identifier: Apache-2.0
"""Staging: new content, built where nobody looks, on the same filesystem."""

import os
from contextlib import suppress
from itertools import count
from typing import Final

from drystone.client.adapters.disk.system import OPEN_FOLDER, OPEN_NEW
from drystone.client.adapters.disk.trouble import disk_full, translated
from drystone.client.ports import DiskProblem
from drystone.core import limits
from drystone.core.instant import NS_PER_S

_KEPT: Final = "k-"
"""Begins the names of what may be gone on with."""

_ROOM_CHECKED_EVERY_BYTES: Final = 16 * limits.MIB
_ROOM_CHECKED_EVERY_FILES: Final = 256

_FILE_MODE: Final = 0o644
_FILE_MODE_KEPT: Final = 0o400
"""What the owner keeps of a file, to go on syncing it. Replacing one needs no right to write."""


def file_mode(mode: int) -> int:
    """Returns the permission bits that a file gets for an entry's mode."""
    return (mode | _FILE_MODE_KEPT) & 0o777 if mode else _FILE_MODE


class BadTime(DiskProblem):
    """An mtime that this system cannot set."""

    code = "bad-time"


class Stage:
    """The folder ``stage``. Safe for several threads. Methods raise ``OSError`` or ours.

    Args:
        control_fd: Descriptor of the control folder.
    """

    def __init__(self, control_fd: int) -> None:
        with suppress(FileExistsError):
            os.mkdir("stage", 0o700, dir_fd=control_fd)
        self.fd = os.open("stage", OPEN_FOLDER, dir_fd=control_fd)
        self._numbers = count(1)
        self._keys: set[str] = set()
        self._bytes_since_check = 0
        self._files_since_check = 0

    def list_left_over(self, now_ns: int) -> tuple[list[str], list[str]]:
        """Returns names of unfinished content that nobody goes on with, and of old content that
        was being replaced.
        """
        names = sorted(os.listdir(self.fd))
        oldest_ns = now_ns - limits.STAGED_KEEP_S * NS_PER_S
        unfinished = [
            name
            for name in names
            if not name.startswith("x-")
            and (
                not name.startswith(_KEPT)
                or os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mtime_ns < oldest_ns
            )
        ]
        return unfinished, [name for name in names if name.startswith("x-")]

    def new_name(self) -> str:
        """Returns a name that is not in use."""
        return f"w-{next(self._numbers)}"

    def take_key(self, key: str) -> bool:
        """Takes a key for one staged file; False if another one has it now."""
        if not key or key in self._keys:
            return False
        self._keys.add(key)
        return True

    def give_key(self, key: str) -> None:
        """Gives a key back."""
        self._keys.discard(key)

    def write(self, data: bytes, mode: int, mtime_ns: int) -> tuple[int, str]:
        """Stages a whole small file.

        Returns:
            Its descriptor, which the caller closes, and its name.

        Raises:
            DiskFull: There is no room; nothing is left behind. As ``OSError`` too.
        """
        self.check_room(len(data))
        name = self.new_name()
        fd = os.open(name, OPEN_NEW, mode, dir_fd=self.fd)
        try:
            written = os.write(fd, data) if data else 0
            while written < len(data):
                written += os.write(fd, memoryview(data)[written:])
            set_time(fd, mtime_ns)
        except BaseException:
            os.close(fd)
            self.remove(name)
            raise
        return fd, name

    def link(self, target: str, mtime_ns: int) -> str:
        """Stages a symlink; returns its name."""
        name = self.new_name()
        os.symlink(target, name, dir_fd=self.fd)
        try:
            set_time(name, mtime_ns, self.fd)
        except BaseException:
            self.remove(name)
            raise
        return name

    def remove(self, name: str) -> None:
        """Removes what is staged under a name, if it is still there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def check_room(self, size_bytes: int, *, is_sure: bool = False) -> None:
        """Raises ``DiskFull`` if a file of this size would eat up the reserve.

        For small files the system is asked once in a while only; it refuses by itself, too.
        """
        self._bytes_since_check += size_bytes
        self._files_since_check += 1
        if (
            not is_sure
            and self._bytes_since_check < _ROOM_CHECKED_EVERY_BYTES
            and 1 < self._files_since_check < _ROOM_CHECKED_EVERY_FILES
        ):
            return
        self._bytes_since_check, self._files_since_check = 0, 1
        found = os.fstatvfs(self.fd)
        has_inodes = found.f_favail > 0 or not found.f_files
        if found.f_bavail * found.f_frsize < size_bytes + limits.DISK_RESERVE_BYTES:
            raise disk_full(f"a file of {size_bytes:,} bytes")
        if not has_inodes:
            raise disk_full("one more file")

    def close(self) -> None:
        """Closes the folder. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Staged:
    """See ``StagedFile``: a large file being built. Its descriptor is closed by ``drop``.

    Args:
        stage: Where it is.
        size_bytes: What it will have.
        key: Under which it may be left and gone on with; empty: none.
    """

    def __init__(self, stage: Stage, size_bytes: int, key: str = "") -> None:
        assert not set(key) - set("0123456789abcdef"), "a key is hexadecimal"
        self._stage = stage
        # Two files with one content may be built at once: one of them then begins anew.
        self._key = key if stage.take_key(key) else ""
        self.size_bytes = size_bytes
        self.name = f"{_KEPT}{key}" if self._key else stage.new_name()
        self.is_continued = False
        self.fd = -1
        try:
            self.fd = self._open()
            held_bytes = os.fstat(self.fd).st_blocks * 512
            self.is_continued = held_bytes > 0
            stage.check_room(max(size_bytes - held_bytes, 0), is_sure=True)
            if os.fstat(self.fd).st_size > size_bytes:
                os.ftruncate(self.fd, size_bytes)
        except BaseException:
            if self.is_continued or self.fd < 0:
                self.keep()
            else:
                self.drop()
            raise

    def _open(self) -> int:
        if not self._key:
            return os.open(self.name, OPEN_NEW, 0o600, dir_fd=self._stage.fd)
        flags = OPEN_NEW & ~os.O_EXCL
        try:
            return os.open(self.name, flags, 0o600, dir_fd=self._stage.fd)
        except PermissionError:
            # Its client was killed between giving it its last mode and its place.
            self._stage.remove(self.name)
            return os.open(self.name, flags, 0o600, dir_fd=self._stage.fd)

    def write_at(self, offset_bytes: int, data: bytes | memoryview) -> None:
        with translated(self.name, is_writing=True):
            written = os.pwrite(self.fd, data, offset_bytes)
            while written < len(data):
                rest = memoryview(data)[written:]
                written += os.pwrite(self.fd, rest, offset_bytes + written)

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        with translated(self.name):
            return os.pread(self.fd, length_bytes, offset_bytes)

    def finish(self, mode: int, mtime_ns: int) -> None:
        """Gives it its size (what was never written is a hole), mode and time."""
        if os.fstat(self.fd).st_size < self.size_bytes:
            os.ftruncate(self.fd, self.size_bytes)
        os.fchmod(self.fd, mode)
        set_time(self.fd, mtime_ns)

    def close(self) -> None:
        """Lets go of a file that has its place now. Idempotent."""
        self._stage.give_key(self._key)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def keep(self) -> None:
        if self._key:
            self.close()
        else:
            self.drop()

    def drop(self) -> None:
        if self.fd >= 0:
            self.close()
            with translated(self.name, is_writing=True):
                self._stage.remove(self.name)


def set_time(what: int | str, mtime_ns: int, dir_fd: int | None = None) -> None:
    """Sets the mtime (and atime) of an open file, or of a symlink by its name in a folder."""
    try:
        if isinstance(what, int):
            os.utime(what, ns=(mtime_ns, mtime_ns))
        else:
            os.utime(what, ns=(mtime_ns, mtime_ns), dir_fd=dir_fd, follow_symlinks=False)
    except OverflowError as error:
        raise BadTime(
            f"an mtime of {mtime_ns} ns since 1970 cannot be set here",
            advice="Touch the file where it was made.",
        ) from error
