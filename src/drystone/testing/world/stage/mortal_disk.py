# SPDX-License-Identifier: Apache-2.0
"""The door to a disk for one life of the client: every call takes time, and may be its last."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from drystone.client.ports import (
    DiskFull,
    DiskProblem,
    FolderListing,
    NewFile,
    ReadFile,
    ReadOutcome,
    StagedFile,
    Stat,
    WriteOutcome,
)
from drystone.core.errors import Unavailable
from drystone.testing.world.stage.disk import WorldDisk


class MortalDisk:
    """Implements ``Disk``.

    Args:
        disk: What lasts.
        before: Called before each effect with its name and path: lets time pass and others do
            what is due meanwhile, raises what a bad disk raises, or ``Killed``.
        after: Called after each effect; may raise ``Killed``.
    """

    def __init__(
        self, disk: WorldDisk, before: Callable[[str, str], None], after: Callable[[], None]
    ) -> None:
        self.traits = disk.traits
        self._disk = disk
        self._before = before
        self._after = after

    def true_path(self, standing: str) -> str:
        return self._disk.true_path(standing)

    def standing_path(self, path: str) -> str:
        return self._disk.standing_path(path)

    # --- looking -----------------------------------------------------------------------------

    def check_root(self) -> None:
        self._before("look", "")
        self._disk.check_root()

    def list_folder(self, path: str) -> FolderListing:
        self._before("look", path)
        return self._disk.list_folder(path)

    def find_stat(self, path: str) -> Stat | None:
        self._before("look", path)
        return self._disk.find_stat(path)

    def find_birth_ns(self, path: str) -> int:
        self._before("look", path)
        return self._disk.find_birth_ns(path)

    @contextmanager
    def open_file(self, path: str) -> Iterator[ReadFile]:
        self._before("read", path)
        with self._disk.open_file(path) as file:
            yield _SlowReadFile(file, lambda: self._before("read", path))

    def read_small(self, path: str, bytes_max: int) -> tuple[Stat, bytes]:
        self._before("read", path)
        return self._disk.read_small(path, bytes_max)

    def read_many(
        self, folder_path: str, names: Sequence[str], bytes_max: int
    ) -> list[ReadOutcome]:
        self._before("look", folder_path)
        outcomes: list[ReadOutcome] = []
        for name in names:
            try:
                self._before("read", f"{folder_path}/{name}" if folder_path else name)
            except (DiskProblem, Unavailable) as error:
                outcomes.append(error)
            else:
                outcomes += self._disk.read_many(folder_path, (name,), bytes_max)
        return outcomes

    # --- making ------------------------------------------------------------------------------

    def make_folder(self, path: str, mode: int) -> Stat:
        self._before("write", path)
        stat = self._disk.make_folder(path, mode)
        self._after()
        return stat

    def make_symlink(self, path: str, target: str, mtime_ns: int, expected: Stat | None) -> Stat:
        self._before("write", path)
        stat = self._disk.make_symlink(path, target, mtime_ns, expected)
        self._after()
        return stat

    def write_small(
        self, path: str, data: bytes, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        self._before("write", path)
        stat = self._disk.write_small(path, data, mode, mtime_ns, expected)
        self._after()
        return stat

    def write_many_new(self, folder_path: str, files: Sequence[NewFile]) -> list[WriteOutcome]:
        self._before("look", folder_path)
        outcomes: list[WriteOutcome] = []
        for file in files:
            try:
                self._before("write", f"{folder_path}/{file.name}" if folder_path else file.name)
                outcomes += self._disk.write_many_new(folder_path, (file,))
            except (DiskProblem, Unavailable) as error:
                outcomes.append(error)
            self._after()
            if isinstance(outcomes[-1], DiskFull):
                return outcomes + outcomes[-1:] * (len(files) - len(outcomes))
        return outcomes

    def stage(self, size_bytes: int, key: str = "") -> StagedFile:
        self._before("write", "")
        return self._disk.stage(size_bytes, key)

    def swap_in(
        self, staged: StagedFile, path: str, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        self._before("write", path)
        stat = self._disk.swap_in(staged, path, mode, mtime_ns, expected)
        self._after()
        return stat

    # --- changing ----------------------------------------------------------------------------

    def move(self, path: str, new_path: str, expected: Stat) -> Stat:
        self._before("change", path)
        stat = self._disk.move(path, new_path, expected)
        self._after()
        return stat

    def take_stock(self, path: str) -> frozenset[int]:
        self._before("look", path)
        return self._disk.take_stock(path)

    def discard(self, path: str, expected: Stat, stock: Collection[int] | None = None) -> None:
        self._before("change", path)
        self._disk.discard(path, expected, stock)
        self._after()

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        self._before("change", path)
        stat = self._disk.set_attributes(path, mode, mtime_ns, expected)
        self._after()
        return stat

    # --- the whole ---------------------------------------------------------------------------

    def flush(self) -> None:
        self._before("flush", "")
        self._disk.flush()
        self._after()

    def purge_trash(self, now_ns: int) -> int:
        self._before("change", "")
        return self._disk.purge_trash(now_ns)

    def close(self) -> None:
        pass


class _SlowReadFile:
    """Implements ``ReadFile``: the disk may do anything between two reads."""

    def __init__(self, file: ReadFile, before: Callable[[], None]) -> None:
        self.stat = file.stat
        self._file = file
        self._before = before

    def read_into(self, buffer: memoryview, offset_bytes: int) -> int:
        self._before()
        return self._file.read_into(buffer, offset_bytes)

    def next_data(self, offset_bytes: int) -> int:
        return self._file.next_data(offset_bytes)

    def is_unchanged(self) -> bool:
        self._before()
        return self._file.is_unchanged()
