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
from drystone.server.ports.brokers.lines import Line, LineLost

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
        self._register = _Register()
        self._listened = self._register.listened
        self._unsent = _Unsent()
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
        counts = (self._published, self._heard, self._found, self._losses, len(self._listened))
        return SharedBellStats(self._is_up, *counts)

    # --- the port ----------------------------------------------------------------------------

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        self._local.ring(namespace_id, head)
        if listened := self._listened.get(namespace_id):
            listened.note(head)
        self._unsent.add(namespace_id, head)
        self._stirred.set()

    @asynccontextmanager
    async def listen(
        self, namespace_ids: Collection[NamespaceId]
    ) -> AsyncIterator[AsyncIterator[tuple[NamespaceId, int]]]:
        wanted = frozenset(namespace_ids)
        async with self._local.listen(wanted) as rings:
            admissions = [self._register.add(namespace_id) for namespace_id in wanted]
            self._came.set()
            try:
                if self._is_running:
                    for admission in admissions:
                        await asyncio.shield(admission)
                yield rings
            finally:
                for namespace_id in wanted:
                    self._register.remove(namespace_id)
                self._stirred.set()

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

    async def _admit(self) -> None:
        """Lets new listeners begin, those that came together at once: subscribed if there is a
        line, and what the head was before they read it noted.
        """
        while self._is_running:
            await self._came.wait()
            self._came.clear()
            new = self._register.take_new()
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
            if self._is_up:  # What was committed last need not be looked for.
                with suppress(LineLost):
                    await self._publish()
            self._is_up = False
            await self._line.close()

    async def _keep_line(self) -> None:
        tries = 0
        while self._is_running:
            self._register.take_gone()  # Nobody is to be told.
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
        if not (rings := self._unsent.take()):
            return
        try:
            await self._line.publish(rings)
        except LineLost:
            for ring in rings:
                self._unsent.add(*ring)
            raise
        self._published += len(rings)

    async def _drop(self) -> None:
        for some in _cut(self._register.take_gone(), SUBSCRIBED_AT_ONCE):
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
            if listened is None or not listened.is_news(head, before.get(namespace_id)):
                continue
            listened.known = head
            self._found += 1
            self._local.ring(namespace_id, head)


class _Unsent:
    """Rings that the others have not been told: the highest head of each namespace."""

    def __init__(self) -> None:
        self._heads: dict[NamespaceId, int] = {}

    def add(self, namespace_id: NamespaceId, head: int) -> None:
        if namespace_id in self._heads or len(self._heads) < RINGS_KEPT_MAX:
            self._heads[namespace_id] = max(head, self._heads.get(namespace_id, 0))

    def take(self) -> list[tuple[NamespaceId, int]]:
        heads, self._heads = self._heads, {}
        return list(heads.items())


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

    def is_news(self, head: int, known_before: int | None) -> bool:
        """Tells whether listeners are to be rung for a head that was read just now;
        ``known_before`` was known when reading began.
        """
        if head == self.known or not self.admitted.done():  # Nobody has read an older one.
            return False
        has_rung = self.known != known_before  # ... while we read.
        return not (has_rung and head < (self.known or 0))

    def admit(self) -> None:
        if not self.admitted.done():
            self.admitted.set_result(None)


class _Register:
    """Which namespaces somebody in this worker listens to."""

    def __init__(self) -> None:
        self.listened: dict[NamespaceId, _Listened] = {}
        self._new: list[NamespaceId] = []
        self._left: set[NamespaceId] = set()

    def add(self, namespace_id: NamespaceId) -> "asyncio.Future[None]":
        """Counts one more; returns what is done once it may begin."""
        listened = self.listened.get(namespace_id)
        if listened is None:
            listened = self.listened[namespace_id] = _Listened()
            self._new.append(namespace_id)
        listened.count += 1
        return listened.admitted

    def remove(self, namespace_id: NamespaceId) -> None:
        """Counts one less."""
        self.listened[namespace_id].count -= 1
        self._left.add(namespace_id)

    def take_new(self) -> list[NamespaceId]:
        """Returns those that are to be admitted, each once."""
        new, self._new = self._new, []
        return new

    def take_gone(self) -> list[NamespaceId]:
        """Forgets those that nobody listens to any more; returns those of them that the line
        brings. One that is being admitted is forgotten when that is done.
        """
        left = [n for n in self._left if not self.listened[n].count]
        self._left = {n for n in left if not self.listened[n].admitted.done()}
        gone = {n: self.listened.pop(n) for n in left if n not in self._left}
        return [n for n, listened in gone.items() if listened.is_subscribed]


def _cut(items: Sequence[T], length: int) -> list[list[T]]:
    rest = iter(items)
    return [list(islice(rest, length)) for _ in range(0, len(items), length)]


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    # Not ``wait_for``: it forgets a cancellation if what it waits for comes then.
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
