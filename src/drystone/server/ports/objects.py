# SPDX-License-Identifier: Apache-2.0
"""Objects: immutable byte strings under a name, durable once put."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from drystone.core.errors import Unavailable

ObjectParts = Sequence[bytes | bytearray | memoryview]
"""The bytes of one object, in pieces as they lie in memory; none is changed meanwhile."""

_NAME = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]*(/[0-9A-Za-z_-][0-9A-Za-z_.-]*)*")


def is_object_name(name: str) -> bool:
    """Tells whether an engine may be given this name.

    Parts of a name never begin with a dot, so that engines can keep what is theirs under
    such names.
    """
    return _NAME.fullmatch(name) is not None


class ObjectStoreFull(Unavailable):
    """The store has no room; what was being written is gone, what was there is whole."""

    code = "server-storage-full"


class ObjectStoreAway(Unavailable):
    """The store refused or did not answer, for a reason other than room; nothing was left
    half-done.
    """

    code = "server-storage-away"


class ObjectStat(NamedTuple):
    """What a listing tells of one object."""

    name: str
    length_bytes: int
    written_ns: int


class Objects(Protocol):
    """Immutable objects. Names are relative, ``/``-separated, ASCII, no ``..``.

    Methods block; callers run them in a thread. Safe to call from several threads.
    Anything the engine's medium raises is translated: ``ObjectStoreFull`` (no space),
    ``Unavailable`` (try again), ``Corrupt`` (never for a missing object).
    """

    def put(self, name: str, parts: ObjectParts) -> None:
        """Stores the concatenated parts under ``name``; durable when it returns.

        Atomic: readers see nothing or all of it. Putting an existing name again leaves the
        old object and is no error: names are of contents, so both are the same bytes. If they
        are not, the old object is damaged, and is replaced.
        On any error nothing that is new stays behind under ``name``.
        """
        ...

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        """Like ``put`` for each, made durable together (cheaper than one by one).

        If it raises, none of those that were new is left.
        """
        ...

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Returns the bytes of each ``(offset, length)``, in order.

        Neighbouring ranges cost one read. A range beyond the end yields fewer bytes than
        asked; the caller notices.

        Raises:
            FileNotFoundError: There is no such object.
        """
        ...

    def find_length(self, name: str) -> int | None:
        """Returns the object's length in bytes, or None if there is none."""
        ...

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yields all objects whose name starts with ``prefix``, in no order."""
        ...

    def delete(self, name: str) -> None:
        """Removes an object; no error if there is none."""
        ...
