# SPDX-License-Identifier: Apache-2.0
"""Measured engines: same port in, same port out, and what is asked of them is counted.

They stand around an engine only where somebody reads the numbers or the traces (the settings
``metrics`` and ``tracing``).
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, NamedTuple, TypeVar

from drystone.core.errors import DrystoneError
from drystone.core.ids import NamespaceId
from drystone.server.ports.bell import Bell
from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.objects import ObjectParts, Objects, ObjectStat
from drystone.server.ports.watching.measuring import Counter, Histogram, Measures
from drystone.server.ports.watching.tracing import NO_TRACING, Tracing

T = TypeVar("T")

_WORKS_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64)
_RUNG_MAX: Final = 10_000
"""Namespaces of which the time of the last ring is remembered; then all are forgotten."""


_HEARD_MAX: Final = 100
"""Rings of other workers that are kept to be looked up together: a sample, if there are more."""
_TOLD_MAX: Final = 10_000
"""Listeners of each of them."""


class MeasuredMetadata:
    """Implements ``Metadata`` around another."""

    def __init__(self, inner: Metadata, measures: Measures, tracing: Tracing = NO_TRACING) -> None:
        self._inner = inner
        self._tracing = tracing
        text = "Time of a unit of work in the database, waits for connections and locks included."
        name = "drystone_database_seconds"
        self._read_s = measures.histogram(name, text, kind="read")
        self._write_s = measures.histogram(name, text, kind="write")
        self._copy_s = measures.histogram(name, text, kind="read_copy")
        self._group_works = measures.histogram(
            "drystone_commit_group_works",
            "Units of work that were made durable together.",
            _WORKS_BOUNDS,
        )

    def write(self, work: Callable[[Unit], T]) -> T:
        with _timed(self._write_s):
            return self._inner.write(work)

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        self._group_works.note(len(works))
        with _timed(self._write_s):
            return self._inner.write_group(works)

    def read(self, work: Callable[[Unit], T]) -> T:
        with self._tracing.span("database.read"), _timed(self._read_s):
            return self._inner.read(work)

    @property
    def writes_at_once(self) -> int:
        return self._inner.writes_at_once

    @property
    def has_copy(self) -> bool:
        return self._inner.has_copy

    def read_copy(self, work: Callable[[Unit], T]) -> T:
        with self._tracing.span("database.read_copy"), _timed(self._copy_s):
            return self._inner.read_copy(work)

    def close(self) -> None:
        self._inner.close()


class MeasuredObjects:
    """Implements ``Objects`` around another."""

    def __init__(self, inner: Objects, measures: Measures, tracing: Tracing = NO_TRACING) -> None:
        self._inner = inner
        self._tracing = tracing
        self._measures = measures
        self._seconds: dict[str, Histogram] = {}
        self._outcomes: dict[tuple[str, str], Counter] = {}
        text = "Bytes of objects written to the store and read from it."
        self._put_bytes = self._count_bytes(text, "written")
        self._read_bytes = self._count_bytes(text, "read")

    def put(self, name: str, parts: ObjectParts) -> None:
        with self._asking("put"):
            self._inner.put(name, parts)
        self._put_bytes.add(_length_of(parts))

    def put_many(self, objects: Sequence[tuple[str, ObjectParts]]) -> None:
        with self._asking("put_many"):
            self._inner.put_many(objects)
        self._put_bytes.add(sum(_length_of(parts) for _, parts in objects))

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        with self._asking("read"):
            found = self._inner.read(name, ranges)
        self._read_bytes.add(sum(map(len, found)))
        return found

    def find_length(self, name: str) -> int | None:
        with self._asking("find_length"):
            return self._inner.find_length(name)

    def iter_names(self, prefix: str = "") -> Iterator[ObjectStat]:
        with self._asking("list"):
            yield from self._inner.iter_names(prefix)

    def delete(self, name: str) -> None:
        with self._asking("delete"):
            self._inner.delete(name)

    def _count_bytes(self, text: str, direction: str) -> Counter:
        return self._measures.counter("drystone_store_bytes_total", text, direction=direction)

    @contextmanager
    def _asking(self, operation: str) -> Iterator[None]:
        """Counts one request to the store, however it ends."""
        seconds = self._seconds.get(operation)
        if seconds is None:
            seconds = self._seconds[operation] = self._measures.histogram(
                "drystone_store_request_seconds",
                "Time of a request to the object store, its retries included.",
                operation=operation,
            )
        outcome = "ok"
        try:
            with self._tracing.span(f"store.{operation}"), _timed(seconds):
                yield
        except FileNotFoundError:
            outcome = "missing"
            raise
        except DrystoneError as error:
            outcome = error.code
            raise
        except GeneratorExit:
            raise
        except BaseException:
            outcome = "error"
            raise
        finally:
            self._count(operation, outcome)

    def _count(self, operation: str, outcome: str) -> None:
        counter = self._outcomes.get((operation, outcome))
        if counter is None:
            counter = self._outcomes[operation, outcome] = self._measures.counter(
                "drystone_store_requests_total",
                "Requests to the object store; `outcome` is `ok`, `missing`, or an error's code.",
                operation=operation,
                outcome=outcome,
            )
        counter.add()


class MeasuredCache:
    """Implements ``Cache`` around another.

    A value that is found counts as found, whatever whoever asked makes of it.
    """

    def __init__(self, inner: Cache, measures: Measures, tracing: Tracing = NO_TRACING) -> None:
        self._inner = inner
        self._tracing = tracing
        text = "Values that were looked for in the cache; one that it does not tell is missing."
        name = "drystone_cache_gets_total"
        self._found = measures.counter(name, text, outcome="found")
        self._missing = measures.counter(name, text, outcome="missing")
        self._puts = measures.counter(
            "drystone_cache_puts_total", "Values that were given to the cache."
        )

    def get(self, names: list[bytes]) -> list[bytes | None]:
        with self._tracing.span("cache.get"):
            values = self._inner.get(names)
        missing_count = values.count(None)
        self._missing.add(missing_count)
        self._found.add(len(values) - missing_count)
        return values

    def put(self, name: bytes, value: bytes, lasts_s: int) -> None:
        with self._tracing.span("cache.put"):
            self._inner.put(name, value, lasts_s)
        self._puts.add()

    def close(self) -> None:
        self._inner.close()


class Heard(NamedTuple):
    """A ring that another worker began, as listeners of this one were told it.

    Attributes:
        namespace_id: Whose head moved.
        head: Where to.
        told_ns: When each listener was told, by this worker's clock.
    """

    namespace_id: NamespaceId
    head: int
    told_ns: list[int]


class MeasuredBell:
    """Implements ``Bell`` around another.

    How long a ring took is known at once of those that began in this process. Of those that
    others began it is found out later, from the journal: ``take_heard`` gives them out.
    """

    def __init__(
        self, inner: Bell, measures: Measures, clock: Clock, tracing: Tracing = NO_TRACING
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._tracing = tracing
        self._rings = measures.counter(
            "drystone_bell_rings_total", "Rings that commits of this process began."
        )
        self._told = measures.counter(
            "drystone_bell_told_total", "Rings that listeners of this process were told."
        )
        self._lag_s = measures.histogram(
            "drystone_bell_lag_seconds",
            "From a commit that is durable to a listener of the same process that is told.",
        )
        self._rung: dict[NamespaceId, tuple[int, float]] = {}
        self._heard: dict[tuple[NamespaceId, int], list[int]] = {}

    def take_heard(self) -> list[Heard]:
        """Returns what was heard since it was asked last: of very many rings only the first."""
        heard, self._heard = self._heard, {}
        return [Heard(*key, told_ns) for key, told_ns in heard.items()]

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        with self._tracing.span("bell.ring"):
            self._ring(namespace_id, head)

    def _ring(self, namespace_id: NamespaceId, head: int) -> None:
        self._rings.add()
        if len(self._rung) >= _RUNG_MAX:
            self._rung.clear()
        self._rung[namespace_id] = head, time.perf_counter()
        self._inner.ring(namespace_id, head)

    @asynccontextmanager
    async def listen(
        self, namespace_ids: Collection[NamespaceId]
    ) -> AsyncIterator[AsyncIterator[tuple[NamespaceId, int]]]:
        async with self._inner.listen(namespace_ids) as heads:
            yield _MeasuredHeads(heads, self._note)

    @asynccontextmanager
    async def listen_all(self) -> AsyncIterator[AsyncIterator[tuple[NamespaceId, int]]]:
        # Background work that lags delays no device: it is not counted.
        async with self._inner.listen_all() as heads:
            yield heads

    def _note(self, namespace_id: NamespaceId, head: int) -> None:
        self._told.add()
        rung_head, rung_s = self._rung.get(namespace_id, (-1, 0.0))
        if rung_head == head:
            self._lag_s.note(time.perf_counter() - rung_s)
            return
        told_ns = self._heard.get((namespace_id, head))
        if told_ns is None:
            if len(self._heard) >= _HEARD_MAX:
                return
            told_ns = self._heard[namespace_id, head] = []
        if len(told_ns) < _TOLD_MAX:
            told_ns.append(self._clock.now_ns())


class _MeasuredHeads:
    """The rings of one listener. Like those below, it may be asked again after a cancelled wait."""

    def __init__(
        self,
        inner: AsyncIterator[tuple[NamespaceId, int]],
        note: Callable[[NamespaceId, int], None],
    ) -> None:
        self._inner = inner
        self._note = note

    def __aiter__(self) -> AsyncIterator[tuple[NamespaceId, int]]:
        return self

    async def __anext__(self) -> tuple[NamespaceId, int]:
        namespace_id, head = await anext(self._inner)
        self._note(namespace_id, head)
        return namespace_id, head


@contextmanager
def _timed(seconds: Histogram) -> Iterator[None]:
    began_s = time.perf_counter()
    try:
        yield
    finally:
        seconds.note(time.perf_counter() - began_s)


def _length_of(parts: ObjectParts) -> int:
    return sum(memoryview(part).nbytes for part in parts)
