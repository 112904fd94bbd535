# SPDX-License-Identifier: Apache-2.0
"""Placing: staged content becomes visible, and what it replaces goes to the trash."""

import os
from collections.abc import Collection
from typing import Final

from drystone.client.adapters.disk.reading import find_open_stat, make_stat
from drystone.client.adapters.disk.staging import Stage, file_mode
from drystone.client.adapters.disk.system import dress_open, exchange, open_any, rename_new
from drystone.client.adapters.disk.trash import Trash
from drystone.client.adapters.disk.trouble import changed
from drystone.client.ports import NewFile, Stat
from drystone.core.tree.entry import Kind

_FOLDER_MODE: Final = 0o755
_FOLDER_MODE_KEPT: Final = 0o700


def folder_mode(mode: int) -> int:
    """Returns the permission bits that a folder gets for an entry's mode."""
    return (mode | _FOLDER_MODE_KEPT) & 0o777 if mode else _FOLDER_MODE


def is_expected(stat: Stat | None, expected: Stat) -> bool:
    """Tells whether what stands there is what was observed last."""
    if stat is None or stat.kind != expected.kind:
        return False
    if stat.kind == Kind.FOLDER:
        return _is_same_inode(stat, expected)
    return stat[:6] == expected[:6]


def is_still(stat: Stat | None, expected: Stat) -> bool:
    """The same after a rename, which changes the ctime."""
    if stat is None or stat.kind != expected.kind or not _is_same_inode(stat, expected):
        return False
    return stat.kind == Kind.FOLDER or stat[1:3] == expected[1:3]


class Placing:
    """Puts what is staged in its place. Methods raise ``OSError`` or ours."""

    def __init__(self, stage: Stage, trash: Trash, root_dev: int) -> None:
        self._stage = stage
        self._trash = trash
        self._root_dev = root_dev

    def write(self, fd: int, path: str, file: NewFile, expected: Stat | None) -> Stat:
        """Stages a whole small file and puts it in its place; returns its fingerprint.

        Cost: six system calls where nothing is replaced.
        """
        name, data, mode, mtime_ns = file
        wanted = file_mode(mode)
        file_fd, staged = self._stage.write(data, wanted, mtime_ns)
        try:
            self.put(staged, fd, name, path, expected)
            found = os.fstat(file_fd)
            if found.st_mode & 0o777 != wanted:
                found = dress_open(file_fd, wanted, None)
        except BaseException:
            self._stage.remove(staged)
            raise
        finally:
            os.close(file_fd)
        stat = make_stat(found, self._root_dev)
        assert stat is not None
        return stat

    def dress(self, fd: int, name: str, expected: Stat, mode: int, mtime_ns: int | None) -> Stat:
        """Sets attributes of what stands under a name, if it is what is expected."""
        entry_fd = open_any(fd, name)
        try:
            if not is_expected(make_stat(os.fstat(entry_fd), self._root_dev), expected):
                raise changed(name)
            stat = make_stat(dress_open(entry_fd, mode, mtime_ns), self._root_dev)
        finally:
            os.close(entry_fd)
        assert stat is not None
        return stat

    def put(self, staged: str, fd: int, name: str, path: str, expected: Stat | None) -> None:
        """Makes staged content visible where ``expected`` stands; None: where nothing does.

        Raises:
            ChangedMeanwhile: Something else stands there; then nothing has happened.
            FileExistsError: Something stands there and nothing was expected.
        """
        if expected is None:
            rename_new(staged, name, self._stage.fd, fd)
            return
        self.check(fd, name, path, expected)
        if expected.kind == Kind.FOLDER:
            raise changed(path)  # Content never takes the place of a folder.
        old = f"x-{staged}"
        stage_fd = self._stage.fd
        # From here on this name may hold old content, and says so to whoever cleans up.
        os.rename(staged, old, src_dir_fd=stage_fd, dst_dir_fd=stage_fd)
        try:
            is_exchanged = exchange(old, name, stage_fd, fd)
            if not is_exchanged:
                self._replace_in_two_moves(old, fd, name, path)
        except BaseException:
            os.rename(old, staged, src_dir_fd=stage_fd, dst_dir_fd=stage_fd)
            raise
        if not is_exchanged:
            return
        try:
            if not is_still(find_open_stat(stage_fd, old, self._root_dev), expected):
                raise changed(path)
            self._trash.take(stage_fd, old, path)
        except BaseException:
            # Somebody was quicker, or the trash is closed to us: back to how it was.
            exchange(old, name, stage_fd, fd)
            os.rename(old, staged, src_dir_fd=stage_fd, dst_dir_fd=stage_fd)
            raise

    def check(self, fd: int, name: str, path: str, expected: Stat) -> None:
        """Raises ``ChangedMeanwhile`` if something else than ``expected`` stands there."""
        if not is_expected(find_open_stat(fd, name, self._root_dev), expected):
            raise changed(path)

    def discard(
        self, fd: int, name: str, path: str, expected: Stat, stock: Collection[int] | None
    ) -> None:
        """Moves what is expected to the trash, or nothing at all."""
        self.check(fd, name, path, expected)
        taken = self._trash.take(fd, name, path)
        is_same = is_still(self._trash.find_stat(taken, self._root_dev), expected)
        # From here on nobody finds it by its name; what was put there before is looked for.
        if not is_same or (stock is not None and not self._trash.is_within(taken, stock)):
            self._trash.give_back(taken, name)
            raise changed(path)

    def move(self, source: tuple[int, str], target: tuple[int, str], expected: Stat) -> Stat:
        """Renames what is expected, or nothing at all; returns its fingerprint after it."""
        fd, name = source
        new_fd, new_name = target
        rename_new(name, new_name, fd, new_fd)
        stat = find_open_stat(new_fd, new_name, self._root_dev)
        if stat is None or not is_still(stat, expected):
            rename_new(new_name, name, new_fd, fd)
            raise changed(name)
        return stat

    def clean_up(self, now_ns: int) -> None:
        """Removes what an earlier client left unfinished and nobody goes on with; old content
        goes to the trash.
        """
        unfinished, old = self._stage.list_left_over(now_ns)
        for name in unfinished:
            self._stage.remove(name)
        for name in old:
            self._trash.take(self._stage.fd, name, f"unfinished/{name}")

    def _replace_in_two_moves(self, staged: str, fd: int, name: str, path: str) -> None:
        """For systems that cannot exchange names: for a moment nothing stands there."""
        taken = self._trash.take(fd, name, path)
        try:
            rename_new(staged, name, self._stage.fd, fd)
        except BaseException:
            self._trash.give_back(taken, name)
            raise


def _is_same_inode(stat: Stat, expected: Stat) -> bool:
    return stat.ino == expected.ino and stat.dev == expected.dev
