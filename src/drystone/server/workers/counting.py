# SPDX-License-Identifier: Apache-2.0
"""Counting: what runs of upkeep add up to, told while they go on.

A run adds up a tally of its own and knows nothing of this: whoever takes its steps looks at the
tally after each of them, and counts by how much it has grown.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from drystone.core.instant import NS_PER_S
from drystone.server.ports.clock import Clock
from drystone.server.ports.watching.measuring import Counter, Measures

DONE: Final = "done"
BROKEN_OFF: Final = "broken-off"


class Told(NamedTuple):
    """How one field of a tally is told.

    Attributes:
        name: Of the metric.
        text: What it is, in a sentence.
        labels: Few, and always the same.
    """

    name: str
    text: str
    labels: Mapping[str, str] = {}


class UpkeepCounts:
    """Counts the runs of one kind of upkeep, in one process. Safe to use from any thread.

    Args:
        measures: Where they are counted.
        clock: Tells when a run ended.
        kind: What they are told as.
        grown: What is counted, by the tally's field: a number, or a list's length.
        found: What the last whole run has found, by the tally's field.
    """

    def __init__(
        self,
        measures: Measures,
        clock: Clock,
        kind: str,
        *,
        grown: Mapping[str, Told],
        found: Mapping[str, Told],
    ) -> None:
        self._measures = measures
        self._clock = clock
        self._kind = kind
        self._found = found
        self._counters: dict[str, Counter] = {
            field: measures.counter(told.name, told.text, **told.labels)
            for field, told in grown.items()
        }
        self._runs = {
            outcome: measures.counter(
                "drystone_upkeep_runs_total",
                "Runs of collecting and scrubbing in this process, by how they ended.",
                kind=kind,
                outcome=outcome,
            )
            for outcome in (DONE, BROKEN_OFF)
        }

    def follow(self, tally: Any, steps: Iterator[int]) -> Iterator[int]:
        """Yields what a run yields, and counts by what its tally grows.

        Args:
            tally: A dataclass that the run adds up.
            steps: The run. What it raises is passed on.
        """
        began_ns = self._clock.now_ns()
        seen = dict.fromkeys(self._counters, 0)
        try:
            for cost_bytes in steps:
                self._count(tally, seen)
                yield cost_bytes
        except Exception:
            self._count(tally, seen)
            self._runs[BROKEN_OFF].add()
            raise
        self._count(tally, seen)
        self._runs[DONE].add()
        self._tell_end(tally, began_ns)

    def _count(self, tally: Any, seen: dict[str, int]) -> None:
        for field, counter in self._counters.items():
            value = _number_of(tally, field)
            if value > seen[field]:
                counter.add(value - seen[field])
                seen[field] = value

    def _tell_end(self, tally: Any, began_ns: int) -> None:
        """Tells of a run that is over. Nothing is told before the first one: never is not 0."""
        now_ns = self._clock.now_ns()
        self._measures.gauge(
            "drystone_upkeep_last_success_timestamp_seconds",
            "When this process ended a whole run last; nothing before the first one.",
            kind=self._kind,
        ).set(now_ns / NS_PER_S)
        self._measures.gauge(
            "drystone_upkeep_last_duration_seconds",
            "How long that took, its rests included.",
            kind=self._kind,
        ).set(max(0, now_ns - began_ns) / NS_PER_S)
        for field, told in self._found.items():
            value = _number_of(tally, field)
            self._measures.gauge(told.name, told.text, **told.labels).set(value)


def count_collecting(measures: Measures, clock: Clock) -> UpkeepCounts:
    """Returns what counts runs of collecting (``collecting.Tally``)."""
    packs = "drystone_collect_packs_total", "Packs that collecting retired, compacted, removed."
    length = "drystone_collect_bytes_total", "Bytes of those packs; `compacted`: what was moved."
    return UpkeepCounts(
        measures,
        clock,
        "collect",
        grown={
            "dropped_blocks": Told(
                "drystone_collect_dropped_blocks_total",
                "Blocks that nobody needed, taken out of the index.",
            ),
            "dropped_bytes": Told("drystone_collect_dropped_bytes_total", "Bytes of their frames."),
            "retired_packs": Told(*packs, {"outcome": "retired"}),
            "retired_bytes": Told(*length, {"outcome": "retired"}),
            "compacted_packs": Told(*packs, {"outcome": "compacted"}),
            "moved_bytes": Told(*length, {"outcome": "compacted"}),
            "orphans": Told(*packs, {"outcome": "orphan"}),
            "orphan_bytes": Told(*length, {"outcome": "orphan"}),
            "removed_packs": Told(*packs, {"outcome": "removed"}),
            "removed_bytes": Told(*length, {"outcome": "removed"}),
            "troubles": Told(
                "drystone_collect_troubles_total",
                "Namespaces that collecting left as they are: a manifest could not be read.",
            ),
        },
        found={
            "missing_blocks": Told(
                "drystone_collect_missing_blocks",
                "Blocks that are referred to and not in the index, as the last run found.",
            ),
        },
    )


def count_scrubbing(measures: Measures, clock: Clock) -> UpkeepCounts:
    """Returns what counts runs of scrubbing (``scrubbing.ScrubTally``)."""
    blocks = (
        "drystone_scrub_found_blocks_total",
        "Blocks found to be damaged, readable after all (`mended`), or stored anew (`repaired`).",
    )
    return UpkeepCounts(
        measures,
        clock,
        "scrub",
        grown={
            "packs": Told("drystone_scrub_packs_total", "Packs that were read and compared."),
            "blocks": Told("drystone_scrub_blocks_total", "Their blocks."),
            "read_bytes": Told("drystone_scrub_read_bytes_total", "Bytes read for that."),
            "damaged": Told(*blocks, {"outcome": "damaged"}),
            "mended": Told(*blocks, {"outcome": "mended"}),
            "repaired": Told(*blocks, {"outcome": "repaired"}),
        },
        found={},
    )


def _number_of(tally: Any, field: str) -> int:
    value = getattr(tally, field)
    return len(value) if isinstance(value, list) else int(value)
