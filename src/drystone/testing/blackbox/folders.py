# SPDX-License-Identifier: Apache-2.0
"""Folders: what a sync service must offer to be tested from outside."""

from collections.abc import Sequence
from typing import Protocol


class Folders(Protocol):
    """One folder on each of some devices, kept in step by somebody.

    Devices are numbers from 0 on; paths are ``name`` or ``folder/name``.

    Attributes:
        devices_count: How many there are, at least two.
    """

    devices_count: int

    def read(self, device: int, path: str) -> bytes | None:
        """Returns what a file holds; None if there is none."""
        ...

    def write(self, device: int, path: str, content: bytes) -> bytes | None:
        """Writes a file, with the folder above it; returns what it held at that moment."""
        ...

    def delete(self, device: int, path: str) -> bytes | None:
        """Deletes a file if there is one; returns what it held at that moment."""
        ...

    def go_on(self, device: int, much: int) -> None:
        """Gives a device the occasion to do something, from 0 (a moment) to 3 (as it likes)."""
        ...

    def leave(self, device: int) -> None:
        """Takes a device off, until it comes back or everything is to rest."""
        ...

    def come_back(self, device: int) -> None:
        """Lets a device take part again."""
        ...

    def rest(self) -> Sequence[dict[str, bytes]]:
        """Returns all files of each device once nothing happens any more.

        Raises:
            AssertionError: It does not come to that.
        """
        ...

    def close(self) -> None:
        """Ends everything."""
        ...
