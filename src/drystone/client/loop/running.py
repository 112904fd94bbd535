# SPDX-License-Identifier: Apache-2.0
"""Loop: rounds until nothing is left, once or for ever."""

import asyncio
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from drystone.client.loop.parts import World, assemble
from drystone.client.loop.rounds import Round, Rounds
from drystone.client.loop.summary import Standing, Summary
from drystone.client.loop.troubles import Halted, Troubles
from drystone.client.ports import Hints, Watcher
from drystone.core.errors import Corrupt, DrystoneError, Misconfigured, Refused, Unavailable
from drystone.core.planning.guards import (
    LOCAL_EMPTIED,
    LOCAL_MASS_DELETION,
    REMOTE_EMPTIED,
    REMOTE_MASS_DELETION,
)
from drystone.core.planning.policy import Permission

R = TypeVar("R")

HALT_CODES: Final = (LOCAL_EMPTIED, LOCAL_MASS_DELETION, REMOTE_EMPTIED, REMOTE_MASS_DELETION)

_ROUNDS_MAX: Final = 30
_ALL: Final = Hints(frozenset(), all=True)

_AGAIN_S: Final = 0.3
"""Until a file that was being written, or written just now, is looked at again."""
_AGAIN_S_MAX: Final = 30.0
_AWAY_S: Final = 1.0
_AWAY_S_MAX: Final = 120.0
_HALTED_S: Final = 60.0
_FLUSH_S: Final = 5.0
"""After the last change on the disk; an idle client does nothing more."""
_RESCAN_S: Final = 1_800.0
"""Between full scans, and as much again by chance: watchers miss things."""


class Loop:
    """Keeps one folder in step. Make it inside the event loop that runs it.

    Args:
        world: What it works on. ``close`` leaves these open.
        chance: Gives the jitter of delays, 0 to 1.
    """

    def __init__(self, world: World, chance: Callable[[], float] = random.random) -> None:
        self._world = world
        self._chance = chance
        self._parts = assemble(world)
        self._tally = self._parts.tally
        self._troubles = Troubles(world.state, self._tally, world.clock.now_ns)
        self._rounds = Rounds(self._parts, self._troubles)
        self._wake = asyncio.Event()
        self._hinted: set[str] = set()
        self._hinted_all = True
        self._head_told = -1
        """Newest head the bell told; -1: something may have been missed."""
        self._is_paused = False
        self._trouble: DrystoneError | None = None
        self._round: asyncio.Task[Round] | None = None
        self._settled_ns = 0
        self._is_settled = False
        self._unsettled_count = 0
        self._deadlines: dict[str, float] = {}
        """Moments of the monotonic clock at which there is something to do."""
        self._again: set[str] = set()
        self._again_s = _AGAIN_S
        self._away_s = _AWAY_S

    # --- once --------------------------------------------------------------------------------

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
            hints, pull = Hints(frozenset(done.again)), done.is_overtaken
            if done.again:
                await asyncio.sleep(_AGAIN_S)
            elif not pull and not done.unsettled_count:
                break
        self._unsettled_count = done.unsettled_count
        self._tally.phase("idle")
        return self._summarize(await self._count_problems())

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

    # --- for ever ----------------------------------------------------------------------------

    async def run_forever(self, watcher: Watcher) -> None:
        """Keeps the folder in step until cancelled. Trouble that passes is waited out.

        Raises:
            Corrupt: The state is damaged: close everything and open it anew.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(watcher))
            tasks.create_task(self._listen())
            tasks.create_task(self._keep_going())

    def hint_all(self) -> None:
        """Asks for a full scan and a look at the server, now."""
        self._hinted_all = True
        self._head_told = -1
        self._troubles.wake_all()
        self._trouble = None
        self._wake.set()

    async def pause(self) -> None:
        """Stops at once; what is half done is begun again later. Idempotent."""
        self._is_paused = True
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait([self._round])

    def resume(self) -> None:
        """Goes on, also after a pause. Idempotent."""
        self._is_paused = False
        self.hint_all()

    def allow_deletions(self) -> None:
        """A human agreed to what a guard stopped: to as many deletions, and not more.

        Where nothing was stopped yet, it allows whatever is found until all is settled.
        """
        if isinstance(self._trouble, Halted):
            halt = self._trouble.halt
            self._parts.permissions = (Permission(halt.code, halt.entries_count),)
        else:
            self._parts.permissions = tuple(Permission(code, sys.maxsize) for code in HALT_CODES)

    async def describe(self) -> Standing:
        """Returns how it stands now."""
        trouble = self._trouble
        phase = self._tally.phase_name
        if self._is_paused:
            phase = "paused"
        elif trouble is not None:
            phase = "away" if isinstance(trouble, Unavailable) else "halted"
        problems_count = await self._count_problems()
        synced_count = await self._parts.threads.control(self._world.state.count_synced)
        return Standing(
            phase,
            self._is_settled and not self._hinted and not self._hinted_all,
            "" if trouble is None else trouble.message,
            "" if trouble is None else trouble.code,
            "" if trouble is None else trouble.advice,
            self._settled_ns,
            synced_count,
            self._summarize(problems_count),
            self._rounds.seen_seq,
        )

    async def inspect(self, look: Callable[[World], R]) -> R:
        """Runs something that reads State and disk, between two things that change them."""
        return await self._parts.threads.control(look, self._world)

    # --- what wakes it -----------------------------------------------------------------------

    async def _watch(self, watcher: Watcher) -> None:
        async for hints in watcher.hints():
            self._hinted |= hints.folders
            self._hinted_all |= hints.all
            if hints.folders or hints.all:
                self._wake.set()

    async def _listen(self) -> None:
        while True:
            try:
                async for head in self._world.remote.listen():
                    self._head_told = -1 if head == 0 else max(head, self._head_told)
                    self._wake.set()
            except (Refused, Misconfigured) as error:
                # No bell for us (revoked, say): the next round meets the same trouble itself.
                self._trouble = self._trouble or error
                self._wake.set()
            await asyncio.sleep(_HALTED_S)

    async def _keep_going(self) -> None:
        self._plan_rescan()
        while True:
            if self._has_work():
                self._wake.clear()
                await self._do_round()
            elif self._is_due("flush"):
                await self._flush_quietly()
            else:
                await self._sleep()

    def _has_work(self) -> bool:
        if self._is_paused:
            return False
        if self._trouble is not None:
            # What was wrong may be right when the bell or the disk says something.
            return self._wake.is_set() or self._is_due("retry")
        if self._is_due("rescan"):
            self._plan_rescan()
            self._hinted_all = True
        if self._is_due("again"):
            del self._deadlines["again"]
            self._hinted |= self._again
            self._again = set()
        return bool(self._hinted or self._hinted_all or self._needs_pull() or self._is_due("retry"))

    def _needs_pull(self) -> bool:
        return self._head_told < 0 or self._head_told > self._rounds.seen_seq

    async def _sleep(self) -> None:
        names = {"flush"}
        if not self._is_paused:
            names |= {"retry"} if self._trouble is not None else {"retry", "rescan", "again"}
        now_s = self._world.clock.monotonic_s()
        deadlines = [at_s for name, at_s in self._deadlines.items() if name in names]
        wait_s = min(deadlines, default=now_s + _RESCAN_S) - now_s
        self._wake.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(wait_s, 0.0))

    # --- one round ---------------------------------------------------------------------------

    async def _do_round(self) -> None:
        hints, pull = Hints(frozenset(self._hinted), self._hinted_all), self._needs_pull()
        self._hinted, self._hinted_all = set(), False
        told, self._head_told = self._head_told, 0
        self._deadlines.pop("retry", None)
        self._is_settled = False
        self._round = asyncio.create_task(self._rounds.run(hints, pull=pull))
        try:
            done = await asyncio.shield(self._round)
        except asyncio.CancelledError:
            self._put_back(hints, told)
            if not self._round.done():
                # We are being ended, not paused: let the round clean up first.
                self._round.cancel()
                await asyncio.wait([self._round])
                raise
            if not self._is_paused:
                raise
        except DrystoneError as error:
            self._put_back(hints, told)
            self._note_trouble(error)
        else:
            self._note_done(done)
        finally:
            self._round = None

    def _put_back(self, hints: Hints, told: int) -> None:
        self._hinted |= hints.folders
        self._hinted_all |= hints.all
        self._head_told = -1 if min(told, self._head_told) < 0 else max(told, self._head_told)

    def _note_trouble(self, error: DrystoneError) -> None:
        if isinstance(error, Corrupt) and error.code == "state-corrupt":
            raise error
        if self._trouble is None or self._trouble.code != error.code:
            self._world.notices.message(f"{error.message}. {error.advice}".rstrip())
        self._trouble = error
        wait_s = _HALTED_S
        if isinstance(error, Unavailable):
            wait_s = max(error.retry_after_s, self._away_s * (0.5 + self._chance()))
            self._away_s = min(self._away_s * 2, _AWAY_S_MAX)
        self._set_deadline("retry", wait_s)
        self._wake.clear()

    def _note_done(self, done: Round) -> None:
        self._trouble = None
        self._away_s = _AWAY_S
        self._unsettled_count = done.unsettled_count
        if done.steps_count:
            self._set_deadline("flush", _FLUSH_S)
            self._again_s = _AGAIN_S
        if done.again:
            self._again |= done.again
            self._set_deadline("again", self._again_s)
            self._again_s = min(self._again_s * 2, _AGAIN_S_MAX)
        if done.is_overtaken:
            self._head_told = -1
        next_try_s = self._troubles.find_next_try_s()
        if done.steps_count and done.unsettled_count:
            self._set_deadline("retry", 0.0)
        elif next_try_s is not None:
            self._set_deadline("retry", next_try_s)
        if not done.unsettled_count and not done.again:
            self._parts.permissions = ()
            self._settled_ns = self._world.clock.now_ns()
        self._is_settled = not done.unsettled_count and not done.again and not done.is_overtaken
        if not self._hinted and not self._hinted_all:
            self._tally.phase("idle")

    async def _flush_quietly(self) -> None:
        self._deadlines.pop("flush", None)
        try:
            await self.flush()
            await self._parts.threads.control(self._world.state.shrink)
        except Unavailable as error:
            self._world.notices.message(error.message)
            self._set_deadline("flush", _HALTED_S)

    # --- small things ------------------------------------------------------------------------

    def _plan_rescan(self) -> None:
        self._set_deadline("rescan", _RESCAN_S * (1.0 + self._chance()))

    def _set_deadline(self, name: str, wait_s: float) -> None:
        self._deadlines[name] = self._world.clock.monotonic_s() + wait_s

    def _is_due(self, name: str) -> bool:
        at_s = self._deadlines.get(name)
        return at_s is not None and at_s <= self._world.clock.monotonic_s()

    async def _count_problems(self) -> int:
        return len(await self._parts.threads.control(self._world.state.problems))

    def _summarize(self, problems_count: int) -> Summary:
        tally = self._tally
        return Summary(
            tally.upload.files_done,
            tally.upload.bytes_done,
            tally.download.files_done,
            tally.download.bytes_done,
            tally.conflicts_count,
            problems_count,
            self._unsettled_count,
            self._world.remote.traffic(),
        )
