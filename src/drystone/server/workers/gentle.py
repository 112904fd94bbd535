# SPDX-License-Identifier: Apache-2.0
"""Gently: long work in small steps, in one thread, with pauses that leave room for requests."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from drystone.core.errors import DrystoneError
from drystone.server.workers.duty import Duty

log = structlog.get_logger()

REST_PART: Final = 4.0
"""So many times as long as a step took, nothing is done: a fifth of one core and disk at most."""

REST_S_MAX: Final = 5.0

LOOK_S: Final = 3600.0
"""How often a worker looks whether something is due that is done less often."""

FIRST_S: Final = 600.0
"""After the start of a server, until the first run: devices that come back have room."""


async def go_gently(steps: Iterator[int], *, bytes_per_s: float = 0.0) -> None:
    """Takes steps one by one in a thread, and rests after each.

    Cancelled, it returns once the step under way is done: nothing goes on behind it.

    Args:
        steps: Each tells how many bytes it has read and written.
        bytes_per_s: Not more than so many; 0: only the rests count.

    Raises:
        Exception: Whatever a step raises.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="upkeep") as threads:
        loop = asyncio.get_running_loop()
        while True:
            began_s = time.monotonic()
            cost_bytes = await loop.run_in_executor(threads, next, steps, None)
            if cost_bytes is None:
                return
            took_s = time.monotonic() - began_s
            rest_s = min(REST_PART * took_s, REST_S_MAX)
            if bytes_per_s:
                rest_s = max(rest_s, cost_bytes / bytes_per_s - took_s)
            await asyncio.sleep(rest_s)


async def run_every(
    duty: Duty,
    every_s: float,
    run: Callable[[], Iterator[int]],
    *,
    first_s: float = FIRST_S,
    bytes_per_s: float = 0.0,
) -> None:
    """Runs something again and again, gently, until cancelled. Trouble ends one run only.

    Args:
        duty: Whoever has it runs; others leave that run out.
        every_s: From the end of one run to the beginning of the next, whichever worker it is, and
            however often workers are restarted. One that was broken off is begun again sooner.
        run: Begins a run.
        first_s: Until the first one.
        bytes_per_s: See ``go_gently``.
    """
    await asyncio.sleep(min(first_s, every_s))
    while True:
        try:
            await run_if_due(duty, every_s, run, bytes_per_s=bytes_per_s)
        except DrystoneError as error:
            log.warning("upkeep.broken-off", job=duty.name, code=error.code, why=error.message)
        await asyncio.sleep(min(LOOK_S, every_s))


async def run_if_due(
    duty: Duty, every_s: float, run: Callable[[], Iterator[int]], *, bytes_per_s: float = 0.0
) -> None:
    """Runs something once, unless another worker does, or it was done in the last ``every_s``.

    Raises:
        Exception: Whatever a step raises; then it is still due.
    """

    async def job() -> None:
        if await duty.is_due(every_s):
            await go_gently(run(), bytes_per_s=bytes_per_s)
            await duty.note_done(every_s)

    await duty.perform(job)
