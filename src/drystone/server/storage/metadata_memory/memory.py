# SPDX-License-Identifier: Apache-2.0
"""The engine in memory: one lock, and an undo list per work."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from drystone.server.ports.metadata import Unit
from drystone.server.storage.metadata_memory.arrivals import MemoryArrivals
from drystone.server.storage.metadata_memory.brakes import MemoryBrakes
from drystone.server.storage.metadata_memory.collecting import (
    MemoryHistory,
    MemoryHolders,
    MemoryPacks,
)
from drystone.server.storage.metadata_memory.duties import MemoryDuties, MemoryProjections
from drystone.server.storage.metadata_memory.shared import MemoryShared
from drystone.server.storage.metadata_memory.survey import MemorySurvey
from drystone.server.storage.metadata_memory.tables import Tables
from drystone.server.storage.metadata_memory.units import MemoryAccounts, MemoryBlocks, MemoryTree

T = TypeVar("T")


class _MemoryUnit:
    """One unit of work."""

    def __init__(self, tables: Tables, run: object) -> None:
        self.accounts = MemoryAccounts(tables)
        self.tree = MemoryTree(tables)
        self.blocks = MemoryBlocks(tables)
        self.brakes = MemoryBrakes(tables)
        self.history = MemoryHistory(tables)
        self.holders = MemoryHolders(tables)
        self.packs = MemoryPacks(tables)
        self.survey = MemorySurvey(tables)
        self.duties = MemoryDuties(tables)
        self.projections = MemoryProjections(tables)
        self.shared = MemoryShared(tables, run)
        self.arrivals = MemoryArrivals(tables)


class MemoryMetadata:
    """Implements the port ``Metadata``. A work must not begin another one."""

    writes_at_once: Final = 1
    has_copy: Final = False

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = Tables() if tables is None else tables
        self._lock = threading.Lock()
        self._run = object()

    def write(self, work: Callable[[Unit], T]) -> T:
        with self._lock, self._undoing():
            return work(_MemoryUnit(self._tables, self._run))

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        with self._lock, self._undoing():
            return [self._run_in_group(work) for work in works]

    def read(self, work: Callable[[Unit], T]) -> T:
        with self._lock, self._undoing():
            result = work(_MemoryUnit(self._tables, self._run))
            assert self._tables.undo.mark() == 0, "a reading work has written"
            return result

    def read_copy(self, work: Callable[[Unit], T]) -> T:
        return self.read(work)

    def copy(self) -> "MemoryMetadata":
        """Returns what a backup made now would hold."""
        with self._lock:
            return MemoryMetadata(self._tables.copy())

    def become(self, backup: "MemoryMetadata", *, is_same_run: bool = False) -> None:
        """Puts a backup in place of all there is.

        Args:
            backup: It stays as it is.
            is_same_run: As if the whole machine had been put back, with all that ran on it.
        """
        with self._lock:
            self._tables = backup._tables.copy()  # noqa: SLF001  of its own kind
            if not is_same_run:
                self._run = object()

    def begin_run(self) -> None:
        """Does as if it had been closed and opened: whoever writes next begins an era."""
        self._run = object()

    def close(self) -> None:
        """Ends nothing: there are no connections."""

    def _run_in_group(self, work: Callable[[Unit], object]) -> object:
        mark = self._tables.undo.mark()
        try:
            return work(_MemoryUnit(self._tables, self._run))
        except Exception as error:  # noqa: BLE001  whatever it was goes to its caller
            self._tables.undo.roll_back(mark)
            return error

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        """Inside it, all is done or nothing."""
        try:
            yield
        except BaseException:
            self._tables.undo.roll_back(0)
            raise
        self._tables.undo.forget()
