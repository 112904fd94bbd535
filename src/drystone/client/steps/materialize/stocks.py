# SPDX-License-Identifier: Apache-2.0
"""Stocks: what was in folders before they were looked into for the last time."""

from collections.abc import Mapping
from contextlib import suppress

from drystone.client.ports import Disk, DiskProblem
from drystone.core.ids import FileId


class Stocks:
    """Stocks of folders that are to be discarded: what is not in them does not go with them.

    Args:
        disk: Where the folders are.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._found: dict[FileId, frozenset[int]] = {}

    def take(self, folders: Mapping[FileId, str]) -> None:
        """Takes the stocks of folders, before they are scanned. Disk only.

        Args:
            folders: Their paths by file id.
        """
        for file_id, path in folders.items():
            # One that is not there is not discarded either.
            with suppress(DiskProblem):
                self._found[file_id] = self._disk.take_stock(path)

    def find(self, file_id: FileId) -> frozenset[int] | None:
        """Returns the stock of a folder, if one was taken."""
        return self._found.get(file_id)

    def forget(self) -> None:
        """What was discarded until now needs no stock any more, and all else a new one."""
        self._found.clear()
