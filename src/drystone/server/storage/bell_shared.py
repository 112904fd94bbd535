# SPDX-License-Identifier: Apache-2.0
"""Shared bell: rings of this worker go to all others, theirs come here, and none is relied upon.

    ring      to who listens here at once; to the others over the line, coalesced
    listen    subscribed on the line, and the head noted, before anybody reads
    the line  opened again and again; what it missed is found in the heads

A ring can be lost on the way: a server that is killed, a worker that is killed between its commit
and its ring, a network that swallows. So the heads of all namespaces that somebody here listens to
are compared with what was rung: often while the line is down, once when it is up again, and now
and then always. Losing the line costs delay.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Final, NamedTuple, TypeVar

import structlog

from drystone.core.errors import DrystoneError
from drystone.core.ids import NamespaceId
from drystone.server.ports.bell import Bell
from drystone.server.ports.lines import Line, LineLost

log = structlog.get_logger()

T = TypeVar("T")

POLL_S: Final = 2.0
"""Between looks at the heads while the line is down: the delay that losing it costs."""

SWEEP_S: Final = 30.0
"""And while it is up: the delay of a ring whose worker was killed just before it."""

CHECK_S: Final = 5.0
"""After that much silence the line is asked whether it is still there."""

RETRY_S_MIN: Final = 0.1
RETRY_S_MAX: Final = 5.0

SUBSCRIBED_AT_ONCE: Final = 256
POLLED_AT_ONCE: Final = 1_000

RINGS_KEPT_MAX: Final = 100_000
"""Namespaces whose rings are kept while the line is down; 5 MB. The others' looks find the rest."""


class SharedBellStats(NamedTuple):
    """What a bell did since it began.

    Attributes:
        is_up: Whether the line is there now.
        published: Rings handed to the line.
        heard: Rings that came over it.
        found: Heads that had moved without a ring.
        losses: Times that the line was lost.
        listened: Namespaces that somebody here listens to.
    """

    is_up: bool
    published: int
    heard: int
    found: int
    losses: int
    listened: int


class SharedBell:
    """Implements the port ``Bell`` for many workers, while ``run`` runs. Lives on the event loop.

    Args:
        local: Rings in this worker.
        line: Carries rings to the others.
        find_heads: Reads the heads of namespaces from the metadata.
        poll_s: See ``POLL_S``.
        sweep_s: See ``SWEEP_S``.
        check_s: See ``CHECK_S``.
    """

    def __init__(
        self,
        local: Bell,
        line: Line,
        find_heads: Callable[[Collection[NamespaceId]], Awaitable[Mapping[NamespaceId, int]]],
        *,
        poll_s: float = POLL_S,
        sweep_s: float = SWEEP_S,
        check_s: float = CHECK_S,
    ) -> None:
        self._local = local
        self._line = line
        self._find_heads = find_heads
        self._poll_s = poll_s
        self._sweep_s = sweep_s
        self._check_s = check_s
        self._listened: dict[NamespaceId, _Listened] = {}
        self._to_admit: list[NamespaceId] = []
        self._to_drop: set[NamespaceId] = set()
        self._to_ring: dict[NamespaceId, int] = {}
        self._all_count = 0
        self._hears_all = False
        self._is_up = self._is_running = False
        self._why_lost = ""
        self._stirred, self._came, self._poll_now = (
            asyncio.Event(),
            asyncio.Event(),
            asyncio.Event(),
        )
        self._published = self._heard = self._found = self._losses = 0

    def stats(self) -> SharedBellStats:
        """Returns what it did so far."""
        return SharedBellStats(
            self._is_up,
            self._published,
            self._heard,
            self._found,
            self._losses,
            len(self._listened),
        )

    # --- the port ----------------------------------------------------------------------------

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        self._local.ring(namespace_id, head)
        if listened := self._listened.get(namespace_id):
            listened.note(head)
        if namespace_id in self._to_ring or len(self._to_ring) < RINGS_KEPT_MAX:
            self._to_ring[namespace_id] = max(head, self._to_ring.get(namespace_id, 0))
            self._stirred.set()

    @asynccontextmanager
    async def listen(
        self, namespace_ids: Collection[NamespaceId]
    ) -> AsyncIterator[AsyncIterator[tuple[NamespaceId, int]]]:
        wanted = frozenset(namespace_ids)
        async with self._local.listen(wanted) as rings:
            admissions = [self._add_listener(namespace_id) for namespace_id in wanted]
            try:
                if self._is_running:
                    for admission in admissions:
                        await asyncio.shield(admission)
                yield rings
            finally:
                for namespace_id in wanted:
                    self._remove_listener(namespace_id)

    @asynccontextmanager
    async def listen_all(self) -> AsyncIterator[AsyncIterator[tuple[NamespaceId, int]]]:
        async with self._local.listen_all() as rings:
            self._all_count += 1
            self._stirred.set()
            try:
                yield rings
            finally:
                self._all_count -= 1
                self._stirred.set()

    # --- who listens here --------------------------------------------------------------------

    def _add_listener(self, namespace_id: NamespaceId) -> "asyncio.Future[None]":
        listened = self._listened.get(namespace_id)
        if listened is None:
            listened = self._listened[namespace_id] = _Listened()
            self._to_admit.append(namespace_id)
            self._came.set()
        listened.count += 1
        return listened.admitted

    def _remove_listener(self, namespace_id: NamespaceId) -> None:
        self._listened[namespace_id].count -= 1
        if not self._listened[namespace_id].count:
            self._to_drop.add(namespace_id)
            self._stirred.set()

    async def _admit(self) -> None:
        """Lets new listeners begin, those that came together at once: subscribed if there is a
        line, and what the head was before they read it noted.
        """
        while self._is_running:
            await self._came.wait()
            self._came.clear()
            new, self._to_admit = self._to_admit, []
            if self._is_up:
                with suppress(LineLost):
                    await self._subscribe(new)
            for some in _cut(new, POLLED_AT_ONCE):
                with suppress(DrystoneError):  # Not known: the first look rings.
                    for namespace_id, head in (await self._find_heads(some)).items():
                        self._listened[namespace_id].note(head)
                for namespace_id in some:
                    self._listened[namespace_id].admit()

    async def _subscribe(self, namespace_ids: Sequence[NamespaceId]) -> None:
        """Raises ``LineLost``, after the line was given up."""
        for some in _cut(namespace_ids, SUBSCRIBED_AT_ONCE):
            try:
                await self._line.subscribe(some)
            except LineLost as error:
                self._lose(str(error))
                raise
            for namespace_id in some:
                self._listened[namespace_id].is_subscribed = True  # None is dropped meanwhile.

    # --- the line ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Keeps the line, until cancelled. What happens to it is logged and met again."""
        self._is_running = True
        jobs = (self._admit(), self._keep_line(), self._look())
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:  # By a defect.
                task.result()
        finally:
            # Told in two ways: a library may swallow one of them.
            self._is_running = False
            for event in (self._stirred, self._came, self._poll_now):
                event.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for listened in self._listened.values():
                listened.admit()
            if self._is_up and self._to_ring:  # What was committed last need not be looked for.
                with suppress(LineLost):
                    await self._line.publish(list(self._to_ring.items()))
            self._is_up = False
            await self._line.close()

    async def _keep_line(self) -> None:
        tries = 0
        while self._is_running:
            self._forget_unlistened()
            try:
                await self._open()
                tries = 0
                await self._serve_line()
            except LineLost as error:
                self._lose(str(error))
            if not tries and self._is_running:
                log.warning("bell.line-lost", where=self._line.where, why=self._why_lost)
            await self._line.close()
            pause_s = min(RETRY_S_MAX, RETRY_S_MIN * 2**tries)
            tries = min(tries + 1, 10)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))

    async def _open(self) -> None:
        self._why_lost = ""
        await self._line.open(self._hear, self._lose)
        for listened in self._listened.values():
            listened.is_subscribed = False
        self._hears_all = False
        while missing := [n for n, one in self._listened.items() if not one.is_subscribed]:
            await self._subscribe(missing)
        if self._why_lost:
            raise LineLost(self._why_lost)
        self._is_up = True
        self._poll_now.set()  # What rang meanwhile was not heard.
        log.info("bell.line-up", where=self._line.where, listened=len(self._listened))

    async def _serve_line(self) -> None:
        """Does what there is to do on the line, until that is lost."""
        now = asyncio.get_running_loop().time
        checked_s = now()
        self._stirred.set()
        while self._is_running and not self._why_lost:
            await _wait(self._stirred, self._check_s)
            self._stirred.clear()
            if self._why_lost:
                break
            await self._publish()
            if now() - checked_s >= self._check_s:
                await self._line.check()
                checked_s = now()
            await self._drop()
            if (is_wanted := self._all_count > 0) != self._hears_all:
                await self._line.subscribe_all(is_wanted=is_wanted)
                self._hears_all = is_wanted
        raise LineLost(self._why_lost)

    async def _publish(self) -> None:
        rings, self._to_ring = self._to_ring, {}
        if not rings:
            return
        try:
            await self._line.publish(list(rings.items()))
        except LineLost:
            for namespace_id, head in rings.items():
                if len(self._to_ring) < RINGS_KEPT_MAX:
                    self._to_ring[namespace_id] = max(head, self._to_ring.get(namespace_id, 0))
            raise
        self._published += len(rings)

    async def _drop(self) -> None:
        gone = [n for n in self._to_drop if not self._listened[n].count]
        self._to_drop.clear()
        # Those that are being admitted are dropped when that is done.
        self._to_drop.update(n for n in gone if not self._listened[n].admitted.done())
        done = [n for n in gone if n not in self._to_drop]
        subscribed = [n for n in done if self._listened[n].is_subscribed]
        for namespace_id in done:
            del self._listened[namespace_id]
        for some in _cut(subscribed, SUBSCRIBED_AT_ONCE):
            # Somebody may have begun to listen again while the ones before were dropped.
            await self._line.unsubscribe([n for n in some if n not in self._listened])

    def _lose(self, why: str) -> None:
        """Gives up the line; whoever keeps it opens another one."""
        self._why_lost = self._why_lost or why or "the connection ended"
        if self._is_up:
            self._is_up = False
            self._losses += 1
            self._poll_now.set()
        self._stirred.set()

    def _hear(self, namespace_id: NamespaceId, head: int) -> None:
        self._heard += 1
        if listened := self._listened.get(namespace_id):
            listened.note(head)
        self._local.ring(namespace_id, head)

    # --- what was not heard ------------------------------------------------------------------

    async def _look(self) -> None:
        """Compares the heads with what was rung, again and again."""
        while self._is_running:
            await _wait(self._poll_now, self._sweep_s if self._is_up else self._poll_s)
            self._poll_now.clear()
            for some in _cut(list(self._listened), POLLED_AT_ONCE):
                with suppress(DrystoneError):  # Met again the next time.
                    await self._look_at(some)

    async def _look_at(self, namespace_ids: Sequence[NamespaceId]) -> None:
        before = {n: one.known for n in namespace_ids if (one := self._listened.get(n))}
        for namespace_id, head in (await self._find_heads(namespace_ids)).items():
            listened = self._listened.get(namespace_id)
            if listened is None or head == listened.known:
                continue
            if listened.known != before.get(namespace_id) and head < (listened.known or 0):
                continue  # It rang while we read.
            if not listened.admitted.done():
                continue  # Nobody has read it yet.
            listened.known = head
            self._found += 1
            self._local.ring(namespace_id, head)

    def _forget_unlistened(self) -> None:
        """Without a line nobody is to be told that some are not wanted any more."""
        for namespace_id in [n for n in self._to_drop if not self._listened[n].count]:
            if self._listened[namespace_id].admitted.done():
                del self._listened[namespace_id]
                self._to_drop.discard(namespace_id)


class _Listened:
    """A namespace that somebody in this worker listens to.

    Attributes:
        count: How many do.
        admitted: Done once they may begin.
        known: The head that they all have read, or were rung for. None: not known.
        is_subscribed: Whether the line brings its rings.
    """

    def __init__(self) -> None:
        self.count = 0
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.known: int | None = None
        self.is_subscribed = False

    def note(self, head: int) -> None:
        self.known = max(head, self.known or 0)

    def admit(self) -> None:
        if not self.admitted.done():
            self.admitted.set_result(None)


def _cut(items: Sequence[T], length: int) -> list[list[T]]:
    rest = iter(items)
    return [list(islice(rest, length)) for _ in range(0, len(items), length)]


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    # Not ``wait_for``: it forgets a cancellation if what it waits for comes then.
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
