# SPDX-License-Identifier: Apache-2.0
"""Measuring: what a server counts of itself, without knowing who reads it.

Whoever counts asks ``Measures`` once, when it is made, for a ``Counter``, ``Gauge`` or
``Histogram`` and keeps that; the same name and labels give the same one. What can be looked up
at any time (a queue's length, open listeners) is not counted but watched: it is read when
somebody asks, and costs nothing in between. Labels are few and chosen by the program, never by
a caller: a route's template, not a path; a code, not a message.

Every name is told of in docs/reference/metrics.md.
"""

import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeVar

import structlog

log = structlog.get_logger()

SECONDS_BOUNDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Upper bounds of the buckets of what takes time: from an index lookup to a slow upload."""

LABEL_SETS_MAX: Final = 1_000
"""Of one name. Each is a time series for ever in whatever gathers them; more are a bug."""

_NAME = re.compile(r"(drystone|process)_[a-z][a-z0-9_]*")


class Counter:
    """A number that only grows. Safe to use from any thread. Cost: under 1 µs."""

    kind: Final = "counter"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count: float = 0

    def add(self, count: float = 1) -> None:
        """Adds to it; ``count`` is not negative."""
        with self._lock:
            self.count += count

    def samples(self) -> "Iterable[tuple[str, dict[str, str], float]]":
        """Yields what a reader is told: the end of the name, more labels, the value."""
        yield "", {}, self.count


class Gauge:
    """A number that somebody sets. Safe to use from any thread."""

    kind: Final = "gauge"

    def __init__(self) -> None:
        self.value: float = 0

    def set(self, value: float) -> None:
        """Replaces it."""
        self.value = value

    def samples(self) -> "Iterable[tuple[str, dict[str, str], float]]":
        """As those of ``Counter``."""
        yield "", {}, self.value


class Histogram:
    """How often values fell between bounds, and their sum. Safe to use from any thread.

    Cost: under 1 µs.
    """

    kind: Final = "histogram"

    def __init__(self, bounds: Sequence[float]) -> None:
        assert list(bounds) == sorted(set(bounds)), "bounds ascend"
        self._lock = threading.Lock()
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum: float = 0

    def note(self, value: float) -> None:
        """Counts a value into the first bucket whose bound it does not exceed."""
        index = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[index] += 1
            self.sum += value

    @property
    def count(self) -> int:
        """How many values were noted."""
        return sum(self._counts)

    def samples(self) -> "Iterable[tuple[str, dict[str, str], float]]":
        """As those of ``Counter``; buckets hold all that is below their bound."""
        with self._lock:
            counts, total = list(self._counts), self.sum
        below = 0
        for bound, count in zip((*map(_show_bound, self._bounds), "+Inf"), counts, strict=True):
            below += count
            yield "_bucket", {"le": bound}, below
        yield "_count", {}, below
        yield "_sum", {}, total


class _Watched:
    """A value that is read when it is asked for."""

    def __init__(self, kind: "Kind", read: Callable[[], float | None]) -> None:
        self.kind = kind
        self._read = read

    def samples(self) -> "Iterable[tuple[str, dict[str, str], float]]":
        """As those of ``Counter``; nothing if it cannot be read now."""
        try:
            value = self._read()
        except Exception:  # One thing that cannot be told must not hide all others.
            log.warning("metric.unreadable", exc_info=True)
        else:
            if value is not None:
                yield "", {}, value


Kind = Literal["counter", "gauge", "histogram"]
_Item = Counter | Gauge | Histogram | _Watched
_I = TypeVar("_I", Counter, Gauge, Histogram, _Watched)


class Sample(NamedTuple):
    """One number as it is told: its full name, its labels and its value."""

    name: str
    labels: dict[str, str]
    value: float


class Family(NamedTuple):
    """All samples of one metric.

    Attributes:
        name: Without the endings that a histogram's samples have.
        kind: What its samples mean.
        text: What it is, in a sentence.
        samples: In no order that means anything.
    """

    name: str
    kind: Kind
    text: str
    samples: list[Sample]


class _Metric(NamedTuple):
    kind: Kind
    text: str
    label_names: frozenset[str]
    items: dict[tuple[tuple[str, str], ...], _Item]


class Measures:
    """All that one process counts. Safe to use from any thread.

    Names are those of Prometheus: ``drystone_`` and words, units last and never scaled
    (``_seconds``, ``_bytes``), ``_total`` at the end of what is counted. A name has one kind,
    one text and one set of label names; anything else is an ``AssertionError``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: dict[str, _Metric] = {}

    def counter(self, name: str, text: str, **labels: str) -> Counter:
        """Returns the counter of this name and these labels; 0 the first time."""
        assert name.endswith("_total"), name
        return self._item(name, text, labels, Counter)

    def gauge(self, name: str, text: str, **labels: str) -> Gauge:
        """Returns the gauge of this name and these labels; 0 until it is set."""
        return self._item(name, text, labels, Gauge)

    def histogram(
        self, name: str, text: str, bounds: Sequence[float] = SECONDS_BOUNDS, **labels: str
    ) -> Histogram:
        """Returns the histogram of this name and these labels.

        Args:
            name: Of the metric.
            text: What it is, in a sentence.
            bounds: Upper bounds of its buckets, ascending; one more has no bound.
            labels: Few, and chosen by the program.
        """
        return self._item(name, text, labels, lambda: Histogram(bounds))

    def watch(self, name: str, text: str, read: Callable[[], float | None], **labels: str) -> None:
        """Tells what ``read`` returns whenever somebody asks; a name ending in ``_total``
        promises that it only grows. The last one given for a name and labels counts.

        ``read`` is called from any thread and must be quick. Nothing is told if it returns None:
        there is nothing to tell; or raises, which is logged.
        """
        kind: Kind = "counter" if name.endswith("_total") else "gauge"
        with self._lock:
            self._items_of(name, text, kind, labels)[_key(labels)] = _Watched(kind, read)

    def read(self) -> list[Family]:
        """Returns everything as it stands now, by name. Cost: about 1 µs per sample."""
        with self._lock:
            metrics = [(n, m.kind, m.text, list(m.items.items())) for n, m in self._metrics.items()]
        return [
            Family(
                name,
                kind,
                text,
                [
                    Sample(name + end, {**dict(labels), **more}, value)
                    for labels, item in items
                    for end, more, value in item.samples()
                ],
            )
            for name, kind, text, items in sorted(metrics)
        ]

    def _item(self, name: str, text: str, labels: Mapping[str, str], make: Callable[[], _I]) -> _I:
        fresh = make()
        with self._lock:
            items = self._items_of(name, text, fresh.kind, labels)
            found = items.setdefault(_key(labels), fresh)
        assert type(found) is type(fresh), f"{name} is watched and counted"
        return found

    def _items_of(
        self, name: str, text: str, kind: Kind, labels: Mapping[str, str]
    ) -> dict[tuple[tuple[str, str], ...], _Item]:
        metric = self._metrics.get(name)
        if metric is None:
            assert _NAME.fullmatch(name), name
            metric = self._metrics[name] = _Metric(kind, text, frozenset(labels), {})
        told = metric.kind, metric.text, metric.label_names
        assert told == (kind, text, frozenset(labels)), f"{name} means two things"
        assert len(metric.items) < LABEL_SETS_MAX, f"{name} has too many label sets"
        return metric.items


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _show_bound(bound: float) -> str:
    return repr(float(bound))
