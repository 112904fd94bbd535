# SPDX-License-Identifier: Apache-2.0
"""NarrowDisk: the ``Disk`` port on a disk that cannot hold every name."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final

from drystone.client.adapters.narrow.housing import Housing
from drystone.client.adapters.narrow.places import Places, join, split
from drystone.client.ports import (
    ChangedMeanwhile,
    Disk,
    DiskProblem,
    DiskTraits,
    FolderListing,
    NameTooLong,
    NewFile,
    NotThere,
    Observed,
    ReadFile,
    ReadOutcome,
    StagedFile,
    Stat,
    UnsafeName,
    WriteOutcome,
)
from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.names.standing import standing_name, true_name, true_path


class NarrowDisk:
    """See ``Disk``. Paths are those of the journal; ``disk`` gets those that it can hold.

    An entry goes on standing under the name it has until somebody renames it: when its twin goes
    away, it does not move. Where two names in a folder come to mean the same one (somebody put
    ``a (twin‛2)`` beside ``a``), the less plain one is what it looks like from then on: it is
    renamed so that it means itself.

    Args:
        disk: Of which ``traits`` tell what it cannot hold.
    """

    def __init__(self, disk: Disk) -> None:
        self.traits: DiskTraits = disk.traits
        self._disk = disk
        self._names = disk.traits.names
        self._places = Places(disk, self._names)
        self._housing = Housing(disk, self._places, self._names)

    def __repr__(self) -> str:
        return f"NarrowDisk({self._disk!r})"

    def true_path(self, standing: str) -> str:
        return true_path(self._disk.true_path(standing), self._names)

    def standing_path(self, path: str) -> str:
        try:
            return self._disk.standing_path(self._places.find(path))
        except DiskProblem:
            names = path.split("/")
            return "/".join(standing_name(name, self._names) if name else "" for name in names)

    # --- looking -----------------------------------------------------------------------------

    def check_root(self) -> None:
        self._disk.check_root()

    def list_folder(self, path: str) -> FolderListing:
        with self._places.lock:
            folder = self._places.folder(path)
            listing = self._disk.list_folder(folder)
            names = self._places.learn(folder, (one.name for one in listing.observed))
            parted = self._housing.part(folder, names, listing.observed) if names.doubles else {}
        true = {standing: name for name, standing in names.standing.items()}
        found = FolderListing([], [])
        for skipped in listing.skipped:
            found.skipped.append(skipped._replace(name=true_name(skipped.name, self._names)))
        for one in listing.observed:
            other = parted.get(one.name)
            if other is None:
                found.observed.append(one._replace(name=true[one.name]))
            elif isinstance(other, Observed):
                found.observed.append(other)
            else:
                found.skipped.append(other)
        return found

    def find_stat(self, path: str) -> Stat | None:
        with self._places.lock:
            try:
                standing = self._places.find(path)
            except NotThere:
                return None
            stat = self._disk.find_stat(standing)
            if stat is None or not path:
                return stat
            # Something is there; but a twin would answer, too.
            folder, _ = split(standing)
            name = split(path)[1]
            if self._places.names(folder).find(name) is not None:
                return stat
            found = self._places.relearn(folder).find(name)
            return None if found is None else self._disk.find_stat(join(folder, found))

    def find_birth_ns(self, path: str) -> int:
        try:
            return self._disk.find_birth_ns(self._find_standing(path))
        except NotThere:
            return 0

    def open_file(self, path: str) -> AbstractContextManager[ReadFile]:
        return self._disk.open_file(self._find_standing(path))

    def read_small(self, path: str, bytes_max: int) -> tuple[Stat, bytes]:
        return self._disk.read_small(self._find_standing(path), bytes_max)

    def read_many(
        self, folder_path: str, names: Sequence[str], bytes_max: int
    ) -> list[ReadOutcome]:
        with self._places.lock:
            folder = self._places.folder(folder_path)
            known = self._places.names(folder).standing
            standing = [known[name] for name in names if name in known]
        found = iter(self._disk.read_many(folder, standing, bytes_max))
        outcomes: list[ReadOutcome] = []
        for name in names:
            if name in known:
                outcomes.append(next(found))
                continue
            try:
                if "/" in name:
                    raise UnsafeName(f"{name!r} is no name", advice="Rename it where it was made.")
                outcomes.append(self.read_small(join(folder_path, name), bytes_max))
            except (DiskProblem, Unavailable) as error:
                outcomes.append(error)
        return outcomes

    # --- making ------------------------------------------------------------------------------

    def make_folder(self, path: str, mode: int) -> Stat:
        def make(standing: str) -> Stat:
            # One that stands here would be taken for the one that is to be made.
            if self._disk.find_stat(standing) is not None:
                raise ChangedMeanwhile(f"something stands at {path!r}", advice=_AGAIN)
            return self._disk.make_folder(standing, mode)

        with self._places.lock:
            folder, name = self._places.open_above(path)
            if self._places.names(folder).find(name) is None:
                try:
                    return self._housing.put_new(path, make)
                except ChangedMeanwhile:
                    if self._places.names(folder).find(name) is None:
                        raise
            return self._disk.make_folder(self._places.find(path), mode)

    def make_symlink(self, path: str, target: str, mtime_ns: int, expected: Stat | None) -> Stat:
        def make(standing: str) -> Stat:
            return self._disk.make_symlink(standing, target, mtime_ns, expected)

        return self._put(path, expected, make)

    def write_small(
        self, path: str, data: bytes, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        def write(standing: str) -> Stat:
            return self._disk.write_small(standing, data, mode, mtime_ns, expected)

        return self._put(path, expected, write)

    def write_many_new(self, folder_path: str, files: Sequence[NewFile]) -> list[WriteOutcome]:
        with self._places.lock:
            folder = self._places.folder(folder_path)
            names = self._places.names(folder)
            outcomes: list[WriteOutcome | None] = [None] * len(files)
            batch: list[tuple[int, NewFile]] = []
            for index, file in enumerate(files):
                if names.find(file.name) is None:
                    with suppress(NameTooLong):
                        standing = names.choose(file.name)
                        names.add(file.name, standing)
                        batch.append((index, file._replace(name=standing)))
            try:
                written = self._disk.write_many_new(folder, [file for _, file in batch])
            except DrystoneError:
                self._places.forget(folder)
                raise
            for (index, file), outcome in zip(batch, written, strict=True):
                if not isinstance(outcome, Stat):
                    names.remove(files[index].name, file.name)
                if not isinstance(outcome, ChangedMeanwhile):
                    outcomes[index] = outcome
            # One by one what the disk did not take, though it looked as if it could.
            return [
                outcome or self._write_new(folder_path, file)
                for outcome, file in zip(outcomes, files, strict=True)
            ]

    def stage(self, size_bytes: int, key: str = "") -> StagedFile:
        return self._disk.stage(size_bytes, key)

    def swap_in(
        self, staged: StagedFile, path: str, mode: int, mtime_ns: int, expected: Stat | None
    ) -> Stat:
        def swap(standing: str) -> Stat:
            return self._disk.swap_in(staged, standing, mode, mtime_ns, expected)

        return self._put(path, expected, swap)

    # --- changing ----------------------------------------------------------------------------

    def move(self, path: str, new_path: str, expected: Stat) -> Stat:
        with self._places.lock:
            source = self._places.find(path)
            folder, old = split(source)
            new_folder, new_name = self._places.open_above(new_path)

            def move(standing: str) -> Stat:
                return self._disk.move(source, standing, expected)

            # Where only its case changes, its own old name is a twin's: it gets a number, by
            # which it is what it is to be, whatever happens next.
            stat = self._housing.put_new(new_path, move)
            self._places.forget(source)
            self._places.names(folder).remove(split(path)[1], old)
            if folder == new_folder:
                stat = self._housing.make_plain(folder, new_name, stat)
        return stat

    def take_stock(self, path: str) -> frozenset[int]:
        return self._disk.take_stock(self._places.find(path))

    def discard(self, path: str, expected: Stat, stock: Collection[int] | None = None) -> None:
        with self._places.lock:
            standing = self._places.find(path)
            self._disk.discard(standing, expected, stock)
            self._places.forget(standing)
            folder, old = split(standing)
            self._places.names(folder).remove(split(path)[1], old)

    def set_attributes(self, path: str, mode: int, mtime_ns: int, expected: Stat) -> Stat:
        return self._disk.set_attributes(self._places.find(path), mode, mtime_ns, expected)

    # --- the whole ---------------------------------------------------------------------------

    def flush(self) -> None:
        self._disk.flush()

    def purge_trash(self, now_ns: int) -> int:
        return self._disk.purge_trash(now_ns)

    def close(self) -> None:
        self._disk.close()

    # --- inside ------------------------------------------------------------------------------

    def _find_standing(self, path: str) -> str:
        """Returns where something stands that is to be read, or raises ``NotThere``."""
        with self._places.lock:
            return self._places.folder(path)

    def _put(self, path: str, expected: Stat | None, put: Callable[[str], Stat]) -> Stat:
        with self._places.lock:
            if expected is None:
                return self._housing.put_new(path, put)
            return put(self._places.find(path))

    def _write_new(self, folder_path: str, file: NewFile) -> WriteOutcome:
        try:
            if "/" in file.name:
                raise UnsafeName(f"{file.name!r} is no name", advice="Rename it where it was made.")
            path = join(folder_path, file.name)
            return self.write_small(path, file.data, file.mode, file.mtime_ns, None)
        except (DiskProblem, Unavailable) as error:
            return error


def widen(disk: Disk) -> Disk:
    """Returns a disk that takes every legal name: the same one, if it does by itself."""
    return NarrowDisk(disk) if disk.traits.names.is_narrow else disk


_AGAIN: Final = "Nothing to do: it is looked at again."
