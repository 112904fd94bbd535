# SPDX-License-Identifier: Apache-2.0
"""The engine in memory: one lock, and an undo list per work."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from drystone.server.ports.metadata import Unit
from drystone.server.storage.metadata_memory.tables import Tables
from drystone.server.storage.metadata_memory.units import MemoryAccounts, MemoryBlocks, MemoryTree

T = TypeVar("T")


class _MemoryUnit:
    """One unit of work."""

    def __init__(self, tables: Tables) -> None:
        self.accounts = MemoryAccounts(tables)
        self.tree = MemoryTree(tables)
        self.blocks = MemoryBlocks(tables)


class MemoryMetadata:
    """Implements the port ``Metadata``. A work must not begin another one."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._lock = threading.Lock()

    def write(self, work: Callable[[Unit], T]) -> T:
        with self._lock:
            return self._run(work)

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        results: list[object] = []
        with self._lock:
            for work in works:
                try:
                    results.append(self._run(work))
                except Exception as error:  # noqa: BLE001  whatever it was goes to its caller
                    results.append(error)
        return results

    def read(self, work: Callable[[Unit], T]) -> T:
        with self._lock:
            result = work(_MemoryUnit(self._tables))
            if self._tables.undo.has_steps():
                self._tables.undo.roll_back()
                raise AssertionError("a reading work has written")
            return result

    def close(self) -> None:
        """Ends nothing: there are no connections."""

    def _run(self, work: Callable[[Unit], T]) -> T:
        undo = self._tables.undo
        try:
            result = work(_MemoryUnit(self._tables))
        except BaseException:
            undo.roll_back()
            raise
        undo.forget()
        return result
