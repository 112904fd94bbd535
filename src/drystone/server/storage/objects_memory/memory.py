# SPDX-License-Identifier: Apache-2.0
"""A dictionary of names to bytes."""

import threading
from collections.abc import Iterator, Sequence

from drystone.server.ports.objects import ObjectParts, ObjectStat, is_object_name


class MemoryObjects:
    """Implements ``server.ports.objects.Objects``; lost with the process."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, name: str, parts: ObjectParts) -> None:
        self.put_many([(name, parts)])

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        assert all(is_object_name(name) for name, _ in objects)
        joined = [(name, b"".join(parts)) for name, parts in objects]
        with self._lock:
            for name, content in joined:
                self._objects[name] = content

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        with self._lock:
            if name not in self._objects:
                raise FileNotFoundError(name)
            content = self._objects[name]
        return [content[offset : offset + length] for offset, length in ranges]

    def find_length(self, name: str) -> int | None:
        with self._lock:
            content = self._objects.get(name)
        return None if content is None else len(content)

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        with self._lock:
            found = [(name, len(c)) for name, c in self._objects.items() if name.startswith(prefix)]
        for name, length_bytes in found:
            yield ObjectStat(name, length_bytes, written_ns=0)

    def copy(self) -> "MemoryObjects":
        """Returns what a backup made now would hold."""
        other = MemoryObjects()
        with self._lock:
            other._objects = dict(self._objects)
        return other

    def delete(self, name: str) -> None:
        with self._lock:
            self._objects.pop(name, None)
