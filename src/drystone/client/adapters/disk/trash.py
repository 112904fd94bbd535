# SPDX-License-Identifier: Apache-2.0
"""Trash: what was replaced or deleted, by day, at the path it had."""

import os
import re
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from itertools import count
from typing import Final

from drystone.client.adapters.disk.folders import Folders
from drystone.client.adapters.disk.reading import find_open_stat
from drystone.client.adapters.disk.stock import take_stock
from drystone.client.adapters.disk.system import OPEN_FOLDER, rename_new
from drystone.client.ports import Stat
from drystone.core import limits

_DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(\.\d+)?")
_S_PER_DAY: Final = 24 * 3600
_BRANCHES_MAX: Final = 100


class Trash:
    """The local trash. Methods raise ``OSError``.

    Args:
        control_fd: Descriptor of the control folder.
        now_ns: The clock, for the day.
    """

    def __init__(self, control_fd: int, now_ns: Callable[[], int]) -> None:
        with suppress(FileExistsError):
            os.mkdir("trash", 0o700, dir_fd=control_fd)
        self._fd = os.open("trash", OPEN_FOLDER, dir_fd=control_fd)
        self._folders = Folders(self._fd, is_making=True)
        self._now_ns = now_ns

    def take(self, fd: int, name: str, path: str) -> tuple[int, str, str]:
        """Moves a name of an open folder into the trash, where it keeps ``path``.

        Returns:
            What ``give_back`` needs.
        """
        day = _format_day(self._now_ns())
        above, _, kept_name = path.rpartition("/")
        # A file of today may be where a folder is needed: then there is another branch.
        for branch in count(1):
            top = day if branch == 1 else f"{day}.{branch}"
            place = f"{top}/{above}" if above else top
            try:
                with self._folders.open(place) as place_fd:
                    found = self._put(fd, name, place_fd, kept_name)
            except (NotADirectoryError, FileNotFoundError):
                # What was to be taken is gone, or somebody emptied the trash under us, or a file
                # is in the way.
                os.stat(name, dir_fd=fd, follow_symlinks=False)
                self._folders.forget("")
                if branch >= _BRANCHES_MAX:
                    raise
            else:
                return fd, place, found
        raise AssertionError("count never ends")

    def give_back(self, taken: tuple[int, str, str], name: str) -> None:
        """Undoes ``take``; raises ``FileExistsError`` if the name is in use again."""
        fd, place, found = taken
        with self._folders.open(place) as place_fd:
            rename_new(found, name, place_fd, fd)

    def find_stat(self, taken: tuple[int, str, str], root_dev: int) -> Stat | None:
        """Returns the fingerprint of what was taken."""
        _, place, found = taken
        with self._folders.open(place) as place_fd:
            return find_open_stat(place_fd, found, root_dev)

    def is_within(self, taken: tuple[int, str, str], stock: Collection[int]) -> bool:
        """Tells whether all below a folder that was taken is in a stock."""
        _, place, found = taken
        path = f"{place}/{found}"
        try:
            return take_stock(self._folders, path) <= set(stock)
        except OSError:
            return False
        finally:
            # It may go back, and another folder come to this place.
            self._folders.forget(path)

    def purge(self, now_ns: int) -> int:
        """See ``Disk.purge_trash``."""
        gone_count = 0
        bound_s = now_ns // 1_000_000_000 - limits.TRASH_KEEP_S - _S_PER_DAY
        for name in sorted(os.listdir(self._fd)):
            day = _DAY.fullmatch(name)
            # Names sort as their days do. A day is kept until its last moment is old enough.
            if day is None or name[:10] > _format_day(bound_s * 1_000_000_000):
                continue
            self._folders.forget(name)
            shutil.rmtree(name, ignore_errors=True, dir_fd=self._fd)
            try:
                os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            except FileNotFoundError:
                gone_count += 1
        return gone_count

    def close(self) -> None:
        """Closes all descriptors. Idempotent."""
        self._folders.forget("")
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _put(self, fd: int, name: str, place_fd: int, kept_name: str) -> str:
        """Moves it to a name that is free; returns that."""
        try:
            rename_new(name, kept_name, fd, place_fd)
        except FileExistsError:
            pass
        else:
            return kept_name
        moment_ns = self._now_ns()
        at = time.strftime("%H%M%S", time.gmtime(moment_ns // 1_000_000_000))
        stem = kept_name
        while len(os.fsencode(stem)) > limits.NAME_BYTES_MAX - 32:
            stem = stem[:-1]
        for number in count(moment_ns % 1_000_000_000):
            free_name = f"{stem}~{at}.{number}"
            try:
                rename_new(name, free_name, fd, place_fd)
            except FileExistsError:
                continue
            return free_name
        raise AssertionError("count never ends")


def _format_day(at_ns: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_ns // 1_000_000_000))
