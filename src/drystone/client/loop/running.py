# SPDX-License-Identifier: Apache-2.0
"""Loop: rounds until nothing is left, once or for ever."""

import asyncio
from typing import Final, NamedTuple

from drystone.client.loop.parts import World, assemble
from drystone.client.loop.rounds import Round, Rounds
from drystone.client.loop.troubles import Troubles
from drystone.client.ports import Hints, Traffic

_ROUNDS_MAX: Final = 30
_AGAIN_S: Final = 1.0
_ALL: Final = Hints(frozenset(), all=True)


class Summary(NamedTuple):
    """What a sync came to.

    Attributes:
        uploaded_count: Entries committed.
        uploaded_bytes: Content bytes they hold.
        downloaded_count: Entries put on the disk.
        downloaded_bytes: Content bytes they hold.
        conflicts_count: Conflicts settled.
        problems_count: Paths in trouble.
        unsettled_count: Entries in which both sides still differ.
        traffic: What went over the wire.
    """

    uploaded_count: int
    uploaded_bytes: int
    downloaded_count: int
    downloaded_bytes: int
    conflicts_count: int
    problems_count: int
    unsettled_count: int
    traffic: Traffic


class Loop:
    """Keeps one folder in step. Make it inside the event loop that runs it.

    Args:
        world: What it works on. ``close`` leaves these open.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._parts = assemble(world)
        self._troubles = Troubles(world.state, self._parts.tally, world.clock.now_ns)
        self._rounds = Rounds(self._parts, self._troubles)

    async def run_once(self) -> Summary:
        """Does rounds until disk and server agree, or only trouble is left.

        Raises:
            Unavailable: The server is away.
            DrystoneError: Whatever stops the folder as a whole.
        """
        hints, pull = _ALL, True
        done = Round()
        for _ in range(_ROUNDS_MAX):
            done = await self._rounds.run(hints, pull=pull)
            if not (done.again or done.is_overtaken or done.steps_count):
                break
            if done.again:
                await asyncio.sleep(_AGAIN_S)
            hints, pull = Hints(frozenset(done.again)), done.is_overtaken
            if not done.unsettled_count and not done.again and not pull:
                break
        self._parts.tally.phase("idle")
        return await self._parts.threads.control(self._summarize, done.unsettled_count)

    async def flush(self) -> None:
        """Makes what was written durable; after a power loss it need not be read again."""
        state, threads = self._world.state, self._parts.threads
        batch = await threads.control(state.begin_flush)
        await threads.worker(self._world.disk.flush)
        await threads.control(state.note_flushed, batch)
        await threads.control(state.save)

    async def close(self) -> None:
        """Ends the threads. Idempotent."""
        self._parts.threads.close()

    def _summarize(self, unsettled_count: int) -> Summary:
        tally = self._parts.tally
        return Summary(
            tally.upload.files_done,
            tally.upload.bytes_done,
            tally.download.files_done,
            tally.download.bytes_done,
            tally.conflicts_count,
            len(self._world.state.problems()),
            unsettled_count,
            self._world.remote.traffic(),
        )
