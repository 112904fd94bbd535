# SPDX-License-Identifier: Apache-2.0
"""Background: what runs in a worker beside the requests, for as long as it serves."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

log = structlog.get_logger()

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
        await asyncio.sleep(AGAIN_S)
