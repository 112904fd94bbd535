# SPDX-License-Identifier: Apache-2.0
"""One file per object; temporary names in ``.incoming`` on the same filesystem."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from drystone.server.ports.objects import ObjectParts, ObjectStat, is_object_name
from drystone.server.storage.objects_files.reading import is_same, read_ranges
from drystone.server.storage.objects_files.staging import Staging
from drystone.server.storage.objects_files.trouble import translated
from drystone.server.storage.objects_files.writing import write_durably


class FileObjects:
    """Implements ``server.ports.objects.Objects`` on a folder, for several processes at once.

    Args:
        root: The folder; made (readable by its owner only) if it is not there. What
            those who live no more left unfinished in it is removed.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        with translated("open", self._root):
            os.makedirs(self._root, mode=0o700, exist_ok=True)
            self._staging = Staging(self._root)
            _flush_folder(self._root)

    def put(self, name: str, parts: ObjectParts) -> None:
        self.put_many([(name, parts)])

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        assert all(is_object_name(name) for name, _ in objects)
        staged: list[tuple[str, str]] = []
        try:
            for name, parts in objects:
                if not is_same(self._path(name), parts):
                    path = self._staging.next_path()
                    staged.append((path, name))
                    with translated("write", name):
                        write_durably(path, parts)
            names = [name for name, _ in objects]
            with translated("write", ", ".join(names)), self._staging.publishing():
                self._publish(staged, names)
        finally:
            for path, _ in staged:
                with suppress(OSError):
                    os.unlink(path)

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        with translated("read", name):
            return read_ranges(self._path(name), ranges)

    def find_length(self, name: str) -> int | None:
        with translated("look at", name):
            try:
                return os.stat(self._path(name)).st_size
            except FileNotFoundError:
                return None

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        folder, _, _ = prefix.rpartition("/")
        with translated("list", prefix):
            yield from self._iter_below(folder, prefix)

    def delete(self, name: str) -> None:
        with translated("delete", name), suppress(FileNotFoundError):
            os.unlink(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _publish(self, staged: Sequence[tuple[str, str]], names: Sequence[str]) -> None:
        """Gives staged files their names, durably; on an error takes the names back."""
        published: list[str] = []
        try:
            for path, name in staged:
                target = self._path(name)
                self._make_folders(os.path.dirname(name))
                # Replaces what is damaged, or the same that somebody else put meanwhile.
                is_new = not os.path.exists(target)
                os.rename(path, target)
                if is_new:
                    published.append(target)
            for name in names:
                if not os.path.exists(self._path(name)):
                    # It was there when it was looked at. Whoever named it took that back.
                    raise FileNotFoundError(errno.ENOENT, "it was removed meanwhile", name)
            for folder in {os.path.dirname(self._path(name)) for name in names}:
                _flush_folder(folder)
        except OSError:
            for target in published:
                with suppress(OSError):
                    os.unlink(target)
            raise

    def _make_folders(self, name: str) -> None:
        """Makes a folder and those above it, each durably named by the one above."""
        if not name or os.path.isdir(self._path(name)):
            return
        above = os.path.dirname(name)
        self._make_folders(above)
        os.mkdir(self._path(name), mode=0o700)
        _flush_folder(self._path(above) if above else self._root)

    def _iter_below(self, folder: str, prefix: str) -> Iterator[ObjectStat]:
        try:
            found = list(os.scandir(self._path(folder)))
        except FileNotFoundError:
            return
        for item in found:
            name = f"{folder}/{item.name}" if folder else item.name
            if item.name.startswith("."):
                continue
            if item.is_dir(follow_symlinks=False):
                if name.startswith(prefix) or prefix.startswith(f"{name}/"):
                    yield from self._iter_below(name, prefix)
            elif name.startswith(prefix):
                try:
                    stat = item.stat(follow_symlinks=False)
                except FileNotFoundError:  # deleted since it was listed
                    continue
                yield ObjectStat(name, stat.st_size, stat.st_mtime_ns)


def _flush_folder(path: str) -> None:
    """Waits until the names in a folder are on the medium."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
