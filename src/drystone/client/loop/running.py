# SPDX-License-Identifier: Apache-2.0
"""Loop: rounds until nothing is left, once or for ever."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from drystone.client.loop.parts import Parts, World, assemble
from drystone.client.loop.planning import Answers
from drystone.client.loop.rounds import Round, Rounds
from drystone.client.loop.summary import (
    Standing,
    Summary,
    summarize,
    weigh,
)
from drystone.client.loop.troubles import Troubles
from drystone.client.loop.waking import Deadlines, Delay, Ears, Looks
from drystone.client.ports import Hints, State, Watcher
from drystone.core.errors import Corrupt, DrystoneError, Unavailable
from drystone.core.names.quoting import quoted
from drystone.core.safety import Evidence, Stop

R = TypeVar("R")

_ROUNDS_MAX: Final = 30
_ALL: Final = Hints(frozenset(), all=True)

_AGAIN_S: Final = 0.3
"""Until a file that was being written, or written just now, is looked at again."""
_AGAIN_S_MAX: Final = 30.0
_AGAIN_TIMES_MAX: Final = 8
"""Who syncs once does not wait for a program that never stops writing."""
_BROKEN_S: Final = 0.2
_VAIN_TRIES_MAX: Final = 2
_RETRY_AFTER_S_MAX: Final = 5.0
"""Who syncs once would rather hear that a disk is full than wait until it no longer is."""
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
        self.answers = Answers(self._parts)
        """What a human says to what a guard keeps back. The next round acts on it."""
        self._tally = self._parts.tally
        self._troubles = Troubles(world.state, self._tally, world.clock.now_ns, world.new_file_id)
        self._rounds = Rounds(self._parts, self._troubles)
        self._wake = asyncio.Event()
        self._looks = Looks()
        self._ears = Ears(self._looks, self._wake)
        self._deadlines = Deadlines(world.clock.monotonic_s)
        self._is_paused = self._is_settled = False
        self._trouble: DrystoneError | None = None
        self._trouble_ns = 0
        self._round: asyncio.Task[Round] | None = None
        self._settled_ns = self._unsettled_count = 0
        self._again: set[str] = set()
        self._again_soon, self._away = Delay(_AGAIN_S, _AGAIN_S_MAX), Delay(_AWAY_S, _AWAY_S_MAX)

    # --- once --------------------------------------------------------------------------------

    async def run_once(self) -> Summary:
        """Does rounds until disk and server agree, or only trouble is left.

        Raises:
            Unavailable: The server is away.
            DrystoneError: Whatever stops the folder as a whole.
        """
        done = await _run_until_settled(self._rounds, self._tally.count_progress)
        for folder in sorted(done.again):
            self._world.notices.message(_left_for_later(folder))
        self._unsettled_count = done.unsettled_count
        self._tally.phase("idle")
        return await self._summarize()

    async def flush(self) -> None:
        """Makes what was written durable; after a power loss it need not be read again."""
        state, threads = self._world.state, self._parts.threads
        batch = await threads.control(state.begin_flush)
        await threads.worker(self._world.disk.flush)
        await threads.control(_note_flushed, state, batch)

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
            tasks.create_task(self._ears.watch(watcher, self._world.disk))
            tasks.create_task(self._ears.listen(self._world.remote, self._note_deaf, _HALTED_S))
            tasks.create_task(self._keep_going())

    def hint_all(self) -> None:
        """Asks for a full scan and a look at the server, now."""
        self._looks.hint_all()
        self._looks.doubt_head()
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
        """A human agreed to the deletions that a guard stopped; see ``Answers``."""
        self.answers.allow_deletions(self._trouble)

    async def describe(self) -> Standing:
        """Returns how it stands now."""
        phase = "paused" if self._is_paused else _phase_of(self._trouble, self._tally.phase_name)
        synced_count, unselected = await self._parts.threads.control(_look_at, self._parts)
        return Standing(
            phase,
            self._is_settled and not self._looks.has_hints,
            *_why(self._trouble),
            self._settled_ns,
            synced_count,
            await self._summarize(),
            self._rounds.seen_seq,
            self._deadlines.find_next_s(frozenset({"retry", "again"})),
            unselected,
        )

    async def survey(self) -> Evidence:
        """Returns all that is known of the folder, for "is everything safe?"."""
        known = Evidence(
            self._world.clock.now_ns(),
            is_kept=True,
            is_paused=self._is_paused,
            stop=_stop_of(self._trouble, self._trouble_ns),
            is_looking=self._round is not None,
            is_hinted=self._looks.has_hints or bool(self._again),
            scanned_ns=self._rounds.scanned_ns,
            is_watched=self._ears.is_watched,
            is_behind=self._looks.needs_pull(self._rounds.seen_seq),
            silent_s=self._world.remote.silent_s(),
            is_flushed=not self._deadlines.has("flush"),
            settled_ns=self._settled_ns,
        )
        return await self._parts.threads.control(weigh, known, self._world.state, self._tally)

    async def inspect(self, look: Callable[[World], R]) -> R:
        """Runs something that reads State and disk, between two things that change them."""
        return await self._parts.threads.control(look, self._world)

    # --- what wakes it -----------------------------------------------------------------------

    def _note_deaf(self, error: DrystoneError) -> None:
        # No bell for us (revoked, say): the next round meets the same trouble itself.
        self._trouble = self._trouble or error
        self._wake.set()

    async def _keep_going(self) -> None:
        self._plan_rescan()
        await self._ears.has_begun.wait()
        while True:
            if self._has_work():
                self._wake.clear()
                await self._do_round()
            elif self._deadlines.is_due("flush"):
                await self._flush_quietly()
            else:
                await self._sleep()

    def _has_work(self) -> bool:
        if self._is_paused:
            return False
        if self._trouble is not None:
            # What was wrong may be right when the bell or the disk says something.
            return self._wake.is_set() or self._deadlines.is_due("retry")
        if self._deadlines.is_due("rescan"):
            self._plan_rescan()
            self._looks.hint_all()
        if self._deadlines.is_due("again"):
            self._deadlines.drop("again")
            self._looks.hint_folders(self._again)
            self._again = set()
        may_differ = self._looks.has_hints or self._looks.needs_pull(self._rounds.seen_seq)
        return may_differ or self._deadlines.is_due("retry")

    async def _sleep(self) -> None:
        names = {"flush"}
        if not self._is_paused:
            names |= {"retry"} if self._trouble is not None else {"retry", "rescan", "again"}
        wait_s = self._deadlines.find_wait_s(names, _RESCAN_S)
        self._wake.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait_s)

    # --- one round ---------------------------------------------------------------------------

    async def _do_round(self) -> None:
        look = self._looks.take(self._rounds.seen_seq)
        self._deadlines.drop("retry")
        self._is_settled = False
        self._round = asyncio.create_task(self._rounds.run(look.hints, pull=look.pull))
        try:
            done = await asyncio.shield(self._round)
        except asyncio.CancelledError:
            self._looks.put_back(look)
            if not self._round.done():
                # We are being ended, not paused: let the round clean up first.
                self._round.cancel()
                await asyncio.wait([self._round])
                raise
            if not self._is_paused:
                raise
        except DrystoneError as error:
            self._looks.put_back(look)
            self._note_trouble(error)
        else:
            self._note_done(done)
        finally:
            self._round = None

    def _note_trouble(self, error: DrystoneError) -> None:
        if isinstance(error, Corrupt) and error.code == "state-corrupt":
            raise error
        if self._trouble is None or self._trouble.code != error.code:
            self._world.notices.message(f"{error.message}. {error.advice}".rstrip())
            self._trouble_ns = self._world.clock.now_ns()
        self._trouble = error
        self._deadlines.set("retry", _find_wait_s(error, self._away, self._chance))
        self._wake.clear()

    def _note_done(self, done: Round) -> None:
        self._trouble = None
        self._away.reset()
        self._unsettled_count = done.unsettled_count
        if done.steps_count:
            self._deadlines.set("flush", _FLUSH_S)
            self._again_soon.reset()
        if done.again:
            self._again |= done.again
            self._deadlines.set("again", self._again_soon.take_s())
        if done.is_overtaken:
            self._looks.doubt_head()
        next_try_s = self._troubles.find_next_try_s()
        if done.steps_count and done.unsettled_count:
            self._deadlines.set("retry", 0.0)
        elif next_try_s is not None:
            self._deadlines.set("retry", next_try_s)
        if not done.unsettled_count and not done.again:
            self._parts.permissions = ()
            self._parts.rewrites.watch()
            self._settled_ns = self._world.clock.now_ns()
        self._is_settled = not done.unsettled_count and not done.again and not done.is_overtaken
        if not self._looks.has_hints:
            self._tally.phase("idle")

    async def _flush_quietly(self) -> None:
        self._deadlines.drop("flush")
        try:
            await self.flush()
            await self._parts.threads.control(self._world.state.shrink)
        except Unavailable as error:
            self._world.notices.message(error.message)
            self._deadlines.set("flush", _HALTED_S)

    # --- small things ------------------------------------------------------------------------

    def _plan_rescan(self) -> None:
        self._deadlines.set("rescan", _RESCAN_S * (1.0 + self._chance()))

    async def _summarize(self) -> Summary:
        traffic, state = self._world.remote.traffic(), self._world.state
        left = self._unsettled_count
        return await self._parts.threads.control(summarize, self._tally, state, left, traffic)


def _look_at(parts: Parts) -> tuple[int, tuple[str, ...]]:
    """Returns how many entries are synced, and the paths of unselected folders."""
    paths = parts.selection.list_paths().values()
    return parts.world.state.count_synced(), tuple(sorted(paths))


async def _run_until_settled(rounds: Rounds, count_progress: Callable[[], int]) -> Round:
    """Does rounds until one has nothing left to do; returns the last.

    A connection that breaks is worth another try, as long as something comes of it. A server
    that was never there is not, nor one that asks to be left alone for long.
    """
    hints, pull = _ALL, True
    done = Round()
    reached, vain_count, again_count = count_progress(), 0, 0
    trouble: Unavailable | None = None
    for _ in range(_ROUNDS_MAX):
        try:
            done = await rounds.run(hints, pull=pull)
        except Unavailable as error:
            before, reached = reached, count_progress()
            vain_count = vain_count + 1 if reached == before else 0
            is_long = error.retry_after_s > _RETRY_AFTER_S_MAX
            if not rounds.has_met_server or vain_count > _VAIN_TRIES_MAX or is_long:
                raise
            await asyncio.sleep(max(error.retry_after_s, _BROKEN_S))
            hints, pull, trouble = Hints(frozenset(done.again)), True, error
            continue
        trouble = None
        if not (done.again or done.is_overtaken or done.steps_count):
            break
        hints, pull = Hints(frozenset(done.again)), done.is_overtaken
        if done.again:
            again_count += 1
            if again_count > _AGAIN_TIMES_MAX and not done.is_overtaken:
                break
            await asyncio.sleep(_AGAIN_S)
        elif not pull and not done.unsettled_count:
            break
    if trouble is not None:
        # It broke off to the last: what came of it is kept, but it is not done.
        raise trouble
    return done


def _phase_of(trouble: DrystoneError | None, phase: str) -> str:
    if trouble is None:
        return phase
    return "away" if isinstance(trouble, Unavailable) else "halted"


def _why(trouble: DrystoneError | None) -> tuple[str, str, str]:
    """Returns message, code and advice of what keeps a loop from running."""
    return ("", "", "") if trouble is None else (trouble.message, trouble.code, trouble.advice)


def _find_wait_s(error: DrystoneError, away: Delay, chance: Callable[[], float]) -> float:
    """Returns after how many seconds to try again what an error stopped."""
    if not isinstance(error, Unavailable):
        return _HALTED_S
    return max(error.retry_after_s, away.take_s() * (0.5 + chance()))


def _stop_of(trouble: DrystoneError | None, since_ns: int) -> Stop | None:
    if trouble is None:
        return None
    return Stop(trouble.code, trouble.message, trouble.advice, since_ns)


def _left_for_later(folder: str) -> str:
    where = quoted(folder) if folder else "the synced folder"
    return f"something in {where} is still being written: it is left for the next sync"


def _note_flushed(state: State, batch: int) -> None:
    state.note_flushed(batch)
    state.save()
