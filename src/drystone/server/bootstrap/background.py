# SPDX-License-Identifier: Apache-2.0
"""Background: what runs in a worker beside the requests, for as long as it serves."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Final

import structlog

from drystone.core.limits import SCRUB_AGAIN_S
from drystone.server.ports.watching.measuring import Measures
from drystone.server.service.service import Engines
from drystone.server.service.writer import Writer
from drystone.server.settings import ServerSettings
from drystone.server.workers.collecting import Collector, CollectRules, Tally
from drystone.server.workers.counting import UpkeepCounts, count_collecting, count_scrubbing
from drystone.server.workers.duty import Duty
from drystone.server.workers.gentle import run_every
from drystone.server.workers.scrubbing import Scrub, ScrubTally

log = structlog.get_logger()

SCRUB_EVERY_S: Final = 3600.0
"""From the end of one scrub to the beginning of the next: packs that came meanwhile are looked at
within an hour."""

AGAIN_S: Final = 10.0
"""After a job ended that should not: it begins again."""

Job = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """The background jobs of one worker. Added while a server is put together, run while it serves.

    A job runs until it is cancelled, and handles what it expects. One that ends all the same has a
    defect: that is logged, and it is begun again, so that others never suffer for it.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def add(self, name: str, job: Job) -> None:
        """Adds a job under a name of its own."""
        assert name not in self._jobs, f"two jobs are called {name}"
        self._jobs[name] = job

    def names(self) -> list[str]:
        """Returns what there is."""
        return sorted(self._jobs)

    async def run(self) -> None:
        """Runs all jobs until cancelled; returns when all of them have ended."""
        async with asyncio.TaskGroup() as group:
            for name, job in self._jobs.items():
                group.create_task(_run_again(name, job), name=name)


async def _run_again(name: str, job: Job) -> None:
    while True:
        try:
            await job()
            log.error("background.ended", job=name)
        except Exception:
            log.exception("background.failed", job=name)
        # What fails or returns while it is cancelled has swallowed that. Were it begun again,
        # the server would never stop.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return
        await asyncio.sleep(AGAIN_S)


def add_upkeep(  # noqa: PLR0917  what a job is made of
    settings: ServerSettings,
    background: Background,
    worker: str,
    engines: Engines,
    writer: Writer,
    measures: Measures,
) -> None:
    """Adds collecting and scrubbing, as the settings ask for them: of many workers one at a time
    does each, whoever has the duty.
    """
    every_s = settings.collect_every_h * 3600
    if every_s:
        duty = Duty(writer, engines.clock, "collect", worker)
        counts = count_collecting(measures, engines.clock)
        collect = partial(_collect, engines, make_rules(settings), counts)
        background.add("collect", partial(run_every, duty, every_s, collect))
    if rate := settings.scrub_bytes_per_s:
        duty = Duty(writer, engines.clock, "scrub", worker)
        scrub = partial(_scrub, engines, count_scrubbing(measures, engines.clock))
        job = partial(run_every, duty, SCRUB_EVERY_S, scrub, bytes_per_s=rate)
        background.add("scrub", job)


def make_rules(settings: ServerSettings) -> CollectRules:
    """Returns what the settings say about what may be collected."""
    return CollectRules(
        age_s=round(settings.collect_age_h * 3600),
        history_s=settings.keep_history_days * 86_400,
        quarantine_s=round(settings.quarantine_days * 86_400),
    )


def _collect(engines: Engines, rules: CollectRules, counts: UpkeepCounts) -> Iterator[int]:
    tally = Tally()
    collector = Collector(engines.metadata, engines.packs, engines.clock, rules)
    yield from counts.follow(tally, collector.run(tally))
    log.info("collect.done", **vars(tally))


def _scrub(engines: Engines, counts: UpkeepCounts) -> Iterator[int]:
    tally = ScrubTally()
    scrub = Scrub(engines.metadata, engines.packs, engines.clock)
    yield from counts.follow(tally, scrub.run(tally, within_s=SCRUB_AGAIN_S))
    if tally.packs or tally.left:
        log.info("scrub.done", **vars(tally))
