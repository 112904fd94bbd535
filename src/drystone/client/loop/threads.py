# SPDX-License-Identifier: Apache-2.0
"""Threads of one synced folder: one that may use State, and a few for disk and blocks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_WORKERS_COUNT: Final = 2
"""Two cores: reading, hashing, encoding and writing release the interpreter's lock."""


class Threads:
    """Runs blocking work beside the event loop.

    Everything that uses ``State`` runs in the control thread, one thing after the other;
    everything else that blocks runs in a worker.
    """

    def __init__(self, name: str) -> None:
        self._control = ThreadPoolExecutor(1, f"{name}-control")
        self.workers = ThreadPoolExecutor(_WORKERS_COUNT, f"{name}-worker")

    async def control(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs something that uses ``State``; waits for it even if cancelled."""
        return await self._run(self._control, lambda: work(*args, **kwargs))

    async def worker(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs something that uses the disk only; waits for it even if cancelled."""
        return await self._run(self.workers, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Waits for what is running and ends the threads. Idempotent."""
        self._control.shutdown()
        self.workers.shutdown()

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], R]) -> R:
        running = asyncio.get_running_loop().run_in_executor(pool, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # A thread cannot be stopped: whoever cleans up after us must find it at rest.
            await asyncio.wait([running])
            raise
