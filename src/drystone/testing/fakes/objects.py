# SPDX-License-Identifier: Apache-2.0
"""A store of objects that misbehaves when it is told to."""

from collections.abc import Callable, Iterator, Sequence

from drystone.core.errors import DrystoneError
from drystone.server.ports.objects import ObjectParts, Objects, ObjectStat


class FaultyObjects:
    """Implements ``server.ports.objects.Objects`` over another store.

    Attributes:
        put_errors: Raised by the next puts, in order; nothing is stored then.
        read_error: Raised by every read while it is set.
        puts_count: Puts that were tried.
        before_put: Called by each put before anything is stored, in its thread.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.put_errors: list[DrystoneError | None] = []
        self.read_error: DrystoneError | None = None
        self.puts_count = 0
        self.before_put: Callable[[], None] = lambda: None

    def put(self, name: str, parts: ObjectParts) -> None:
        self.put_many([(name, parts)])

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        self.puts_count += 1
        self.before_put()
        error = self.put_errors.pop(0) if self.put_errors else None
        if error is not None:
            raise error
        self._objects.put_many(objects)

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        if self.read_error is not None:
            raise self.read_error
        return self._objects.read(name, ranges)

    def find_length(self, name: str) -> int | None:
        return self._objects.find_length(name)

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        return self._objects.iter_names(prefix)

    def delete(self, name: str) -> None:
        self._objects.delete(name)

    def change(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Does what no engine does to an object: changes its bytes."""
        length_bytes = self._objects.find_length(name)
        assert length_bytes is not None
        [content] = self._objects.read(name, [(0, length_bytes)])
        self._objects.delete(name)
        self._objects.put(name, [change(content)])
