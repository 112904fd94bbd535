# SPDX-License-Identifier: Apache-2.0
"""Upkeep: what goes on beside the requests, as it is looked up when somebody asks.

What whole databases or stores have is told by each worker alike: whoever adds up takes the
greatest, not the sum.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, runtime_checkable

from drystone.core.errors import DrystoneError
from drystone.core.ids import Seq
from drystone.core.instant import NS_PER_S
from drystone.core.limits import SCRUB_AGAIN_S
from drystone.server.ports.arrivals import ArrivalState
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Unit
from drystone.server.ports.watching.measuring import Measures
from drystone.server.service.writer import Writer
from drystone.server.storage.measured import Heard
from drystone.server.workers.journals.keeper import JournalsStats
from drystone.server.workers.strays import StraysStats
from drystone.server.workers.verifier import VerifierStats

LOOK_S: Final = 15.0
"""Between looks into the database, as often as scrapes usually come: each costs two lookups."""

HEARD_S: Final = 2.0
"""Between looks at when commits were made that others have rung for; none without a ring."""

SCRUB_LOOK_S: Final = 60.0
"""What changes within a month needs fewer."""

_NEVER_S: Final = 1 << 40
_DAMAGED_MAX: Final = 10_000


@runtime_checkable
class CountsFailures(Protocol):
    """A cache that may be lost."""

    failures: int


def watch_verifier(measures: Measures, read_stats: Callable[[], VerifierStats]) -> None:
    """Tells what was verified of what devices put into the store."""
    name, text = "drystone_verifier_packs_total", "Packs that devices put, once they were verified."
    measures.watch(name, text, lambda: read_stats().packs, outcome="joined")
    measures.watch(name, text, lambda: read_stats().quarantined, outcome="quarantined")
    name = "drystone_verifier_blocks_total"
    text = "Blocks in them that were whole; `known`: they were there already."
    measures.watch(
        name, text, lambda: read_stats().blocks - read_stats().duplicates, outcome="stored"
    )
    measures.watch(name, text, lambda: read_stats().duplicates, outcome="known")
    name, text = "drystone_verifier_bytes_total", "Bytes of packs that verifying read and stored."
    measures.watch(name, text, lambda: read_stats().read_bytes, direction="read")
    measures.watch(name, text, lambda: read_stats().stored_bytes, direction="written")
    measures.watch(
        "drystone_verifier_troubles_total",
        "Times that a store or the database could not be used for verifying.",
        lambda: read_stats().troubles,
    )


def watch_strays(measures: Measures, read_stats: Callable[[], StraysStats]) -> None:
    """Tells what was removed that devices had put, or had begun to."""
    name = "drystone_strays_removed_total"
    text = (
        "Packs of devices that were removed: never told of (`given_up`), verified (`joined`),"
        " quarantined long ago (`forgotten`), unknown (`stray`)."
    )
    measures.watch(name, text, lambda: read_stats().given_up, why="given_up")
    measures.watch(name, text, lambda: read_stats().joined, why="joined")
    measures.watch(name, text, lambda: read_stats().forgotten, why="forgotten")
    measures.watch(name, text, lambda: read_stats().strays, why="stray")
    measures.watch(
        "drystone_strays_troubles_total",
        "Times that a store or the database could not be used for removing them.",
        lambda: read_stats().troubles,
    )


def watch_journals(measures: Measures, read_stats: Callable[[], JournalsStats]) -> None:
    """Tells how journals follow into the object store."""
    measures.watch(
        "drystone_journals_stretches_total",
        "Stretches of journals that this worker wrote into the object store.",
        lambda: read_stats().stretches,
    )
    measures.watch(
        "drystone_journals_checkpoints_total",
        "Checkpoints of trees that this worker wrote there.",
        lambda: read_stats().checkpoints,
    )
    measures.watch(
        "drystone_journals_troubles_total",
        "Rounds of that which the store or the database broke off.",
        lambda: read_stats().troubles,
    )
    measures.watch(
        "drystone_journals_behind_records",
        "Records that are not in the object store yet; told by the worker that writes them.",
        lambda: read_stats().behind_records,
    )
    measures.watch(
        "drystone_journals_behind_seconds",
        "For how long the oldest of them has waited.",
        lambda: read_stats().behind_s,
    )


def watch_cache_failures(measures: Measures, cache: CountsFailures) -> None:
    """Tells how often the cache was asked in vain."""
    measures.watch(
        "drystone_cache_failures_total",
        "Times that the cache did not answer, or refused; it is left alone for some seconds then.",
        lambda: cache.failures,
    )


def watch_backups(measures: Measures, find_backup_s: Callable[[], int | None]) -> None:
    """Tells of when the newest backup is."""
    measures.watch(
        "drystone_backup_last_timestamp_seconds",
        "Of when the newest backup is that was made with this data directory; nothing if none was.",
        find_backup_s,
    )


async def watch_heard(
    measures: Measures, writer: Writer, take_heard: Callable[[], Sequence[Heard]]
) -> None:
    """Tells, until cancelled, how long after a commit the listeners of other workers were told.

    The journal knows when that was. Clocks that differ are seen in it: a commit that seems to lie
    in the future counts as one of this instant.
    """
    lag_s = measures.histogram(
        "drystone_bell_heard_lag_seconds",
        "From a commit of another worker, by its clock, to a listener that is told, by ours.",
    )

    async def look() -> None:
        heard = take_heard()
        if not heard:
            return

        def work(unit: Unit) -> list[int | None]:
            records = (unit.tree.find_record(one.namespace_id, Seq(one.head)) for one in heard)
            return [None if record is None else record.at_ns for record in records]

        for one, at_ns in zip(heard, await writer.read(work), strict=True):
            if at_ns is not None:
                for told_ns in one.told_ns:
                    lag_s.note(max(0, told_ns - at_ns) / NS_PER_S)

    await _look_again(look, HEARD_S)


async def watch_arrivals(measures: Measures, writer: Writer, clock: Clock) -> None:
    """Tells, until cancelled, what devices put that is not verified yet."""
    packs = measures.gauge(
        "drystone_unverified_packs", "Packs that devices put, and nobody has verified yet."
    )
    length = measures.gauge("drystone_unverified_bytes", "Bytes of them.")
    oldest_s = measures.gauge(
        "drystone_unverified_oldest_seconds",
        "For how long the longest waiting of them is due.",
    )

    def work(unit: Unit) -> tuple[int, int, int | None]:
        count, length_bytes = unit.arrivals.count_blocks()
        due = unit.arrivals.list_due(ArrivalState.UNVERIFIED, _NEVER_S, 1)
        return count, length_bytes, due[0].due_s if due else None

    async def look() -> None:
        count, length_bytes, due_s = await writer.read(work)
        packs.set(count)
        length.set(length_bytes)
        oldest_s.set(0 if due_s is None else max(0, clock.now_ns() // NS_PER_S - due_s))

    await _look_again(look, LOOK_S)


async def watch_scrubbing(measures: Measures, writer: Writer, clock: Clock) -> None:
    """Tells, until cancelled, when what is kept was looked at, and what of it is damaged."""
    due = measures.gauge(
        "drystone_scrub_due_packs", "Packs that were not verified in the last 30 days, or never."
    )
    damaged = measures.gauge(
        "drystone_damaged_blocks", "Blocks that are damaged now; of more than 10,000 so many."
    )

    async def look() -> None:
        upto_s = clock.now_ns() // NS_PER_S - SCRUB_AGAIN_S

        def work(unit: Unit) -> tuple[tuple[int, int], int]:
            damaged_count = len(unit.packs.list_damaged(_DAMAGED_MAX))
            return unit.packs.measure_verified(upto_s), damaged_count

        (due_count, oldest_s), damaged_count = await writer.read(work)
        due.set(due_count)
        damaged.set(damaged_count)
        if oldest_s:
            measures.gauge(
                "drystone_scrub_oldest_timestamp_seconds",
                "When the pack was verified for which that is longest ago, of those that were.",
            ).set(oldest_s)

    await _look_again(look, SCRUB_LOOK_S)


async def _look_again(look: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        with suppress(DrystoneError):  # It is told when the database is back.
            await look()
        await asyncio.sleep(every_s)
