# SPDX-License-Identifier: Apache-2.0
"""The network of a world: a link per device that delays, loses and breaks."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final, TypeVar

from drystone.client.adapters.remote_http.session import ServerAway
from drystone.client.ports import CommitResult, FetchedBlock, RemotePage, Traffic
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.ids import BlockId, FileId, NamespaceId, Seq
from drystone.core.journal.change import Change
from drystone.core.journal.record import StoredEntry
from drystone.server.service.actor import Actor
from drystone.testing.fakes.remote import FakeRemote
from drystone.testing.world.stage.life import Life
from drystone.testing.world.stage.server import NAMESPACE_ID, WorldServer
from drystone.testing.world.stage.timeline import Killed, Timeline
from drystone.testing.world.stage.told import ToldCommit

R = TypeVar("R")

_AGAIN_S: Final = 1.0
_AGAIN_S_MAX: Final = 60.0
"""Between attempts to open the bell, as the real client does."""


class Link:
    """The way from one device to the server, both directions.

    Args:
        timeline: Where it lies.
        chance: How long each message takes.
        delay_s: The mean of that.

    Attributes:
        lost_requests: So many requests never arrive.
        lost_answers: So many are carried out, and nobody is told.
    """

    def __init__(self, timeline: Timeline, chance: Random, delay_s: float) -> None:
        self.is_up = True
        self.requests_count = 0
        self.lost_requests = self.lost_answers = 0
        self.broken: asyncio.Future[None] = timeline.create_future()
        self.breaks_count = 0
        self._timeline = timeline
        self._chance = chance
        self._delay_s = delay_s

    def break_off(self) -> None:
        """Breaks whatever is under way."""
        self.breaks_count += 1
        self.broken.set_result(None)
        self.broken = self._timeline.create_future()

    def delay_s(self) -> float:
        """Returns how long the next message takes: mostly about the mean, seldom much more."""
        return self._delay_s * min(self._chance.expovariate(1.0), 20.0)

    def jitter(self) -> float:
        """Returns 0 to 1."""
        return self._chance.random()


class LinkedRemote:
    """Implements ``Remote`` over a link, for one life of a device.

    What has begun on the server goes on there if it is a commit; anything else ends with the
    connection.
    """

    namespace_id: NamespaceId = NAMESPACE_ID

    def __init__(self, server: WorldServer, actor: Actor, link: Link, life: Life) -> None:
        self._server = server
        self._actor = actor
        self._link = link
        self._life = life
        self._inner: FakeRemote | None = None

    async def ask(self, block_ids: Sequence[BlockId], *, verify: bool = False) -> list[BlockId]:
        return await self._call(lambda server: server.ask(block_ids, verify=verify))

    async def put_blocks(self, batches: AsyncIterator[Sequence[Frame]]) -> int:
        return await self._call(lambda server: server.put_blocks(self._carry(batches)))

    async def fetch_blocks(
        self,
        wanted: Sequence[tuple[BlockId, BlockId | None]],
        find_base: Callable[[BlockId], Buffer | None],
        *,
        length_bytes: int = 0,
    ) -> AsyncGenerator[list[FetchedBlock], None]:
        server = await self._meet()
        groups = server.fetch_blocks(wanted, find_base, length_bytes=length_bytes)
        try:
            while True:
                group = await self._run(_take(groups))
                if group is None:
                    return
                await self._come_back()
                yield group
        finally:
            with suppress(Killed):
                await groups.aclose()

    async def fetch_outlines(self, block_ids: Sequence[BlockId]) -> list[bytes]:
        return await self._call(lambda server: server.fetch_outlines(block_ids))

    async def commit(
        self, changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        async def decide(server: FakeRemote) -> CommitResult:
            result = await server.commit(changes, seen_seq, key, cursor)
            told = ToldCommit(self._actor, tuple(changes), seen_seq, key, cursor, result)
            self._server.told.commits.append(told)
            return result

        return await self._call(decide, is_carried_to_its_end=True)

    async def read_changes(self, cursor: str, under: FileId | None) -> RemotePage:
        async def read(server: FakeRemote) -> RemotePage:
            page = await server.read_changes(cursor, under)
            self._server.told.note_page(cursor, page)
            return page

        return await self._call(read)

    async def list_below(self, folder_id: FileId, after: str) -> tuple[list[StoredEntry], str]:
        return await self._call(lambda server: server.list_below(folder_id, after))

    async def listen(self) -> AsyncIterator[Seq]:
        wait_s = _AGAIN_S
        while True:
            service = self._server.pick_worker()
            if self._link.is_up and service is not None:
                wait_s = _AGAIN_S
                breaks_count = self._link.breaks_count
                # A server that is killed while it opens the bell opens none.
                with suppress(Killed):
                    async with service.changes.listen(self._actor, NAMESPACE_ID) as rings:
                        yield Seq(0)
                        while breaks_count == self._link.breaks_count:
                            head = await self._hear(rings.heads)
                            if head is not None:
                                yield head
            await asyncio.sleep(wait_s * (0.5 + self._link.jitter()))
            wait_s = min(wait_s * 2, _AGAIN_S_MAX)

    def link_bytes_per_s(self) -> float:
        return 0.0

    def silent_s(self) -> float:
        return 0.0 if self._link.is_up and self._link.requests_count else math.inf

    def traffic(self) -> Traffic:
        return Traffic(self._link.requests_count, 0, 0)

    async def close(self) -> None:
        pass

    # --- inside ------------------------------------------------------------------------------

    async def _call(
        self,
        ask: Callable[[FakeRemote], Coroutine[Any, Any, R]],
        *,
        is_carried_to_its_end: bool = False,
    ) -> R:
        server = await self._meet()
        result = await self._run(ask(server), is_carried_to_its_end=is_carried_to_its_end)
        await self._come_back()
        return result

    async def _meet(self) -> FakeRemote:
        """A request travels to the server."""
        self._life.meet()
        link = self._link
        link.requests_count += 1
        if not link.is_up:
            raise ServerAway("the network is down")
        breaks_count = link.breaks_count
        await asyncio.sleep(link.delay_s())
        if link.breaks_count != breaks_count:
            raise ServerAway("the connection broke before the request was there")
        if link.lost_requests:
            link.lost_requests -= 1
            raise ServerAway("the request was lost")
        service = self._server.pick_worker()
        if service is None:
            raise ServerAway("nobody listens there")
        if self._inner is None or self._inner.service is not service:
            self._inner = FakeRemote(service, self._actor)
        return self._inner

    async def _run(self, work: Coroutine[Any, Any, R], *, is_carried_to_its_end: bool = False) -> R:
        """The server works, unless the connection breaks first."""
        link = self._link
        task = self._server.begin(work)
        broken = link.broken
        try:
            await asyncio.wait((task, broken), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not is_carried_to_its_end:
                await _end(task)
            raise
        if broken.done():
            if not is_carried_to_its_end:
                await _end(task)
            raise ServerAway("the connection broke before there was an answer")
        try:
            return task.result()
        except Killed as error:
            raise ServerAway("the server went away") from error

    async def _come_back(self) -> None:
        """The answer travels back."""
        link = self._link
        breaks_count = link.breaks_count
        await asyncio.sleep(link.delay_s())
        if link.breaks_count != breaks_count:
            raise ServerAway("the connection broke before the answer was there")
        if link.lost_answers:
            link.lost_answers -= 1
            raise ServerAway("the answer was lost")
        self._life.meet()

    async def _carry(
        self, batches: AsyncIterator[Sequence[Frame]]
    ) -> AsyncIterator[Sequence[Frame]]:
        """A bundle travels to the server, batch by batch."""
        link = self._link
        breaks_count = link.breaks_count
        async for batch in batches:
            await asyncio.sleep(link.delay_s())
            if link.breaks_count != breaks_count:
                raise ServerAway("the connection broke while blocks went")
            yield batch

    async def _hear(self, heads: AsyncIterator[tuple[NamespaceId, int]]) -> Seq | None:
        """Returns the next head that is heard; None if the connection broke."""
        ring = asyncio.ensure_future(anext(heads))
        broken = self._link.broken
        try:
            await asyncio.wait((ring, broken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not ring.done():
                ring.cancel()
        if broken.done() or not ring.done():
            return None
        await asyncio.sleep(self._link.delay_s())
        return Seq(ring.result()[1])


async def _end(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait((task,))


async def _take(groups: AsyncGenerator[list[FetchedBlock], None]) -> list[FetchedBlock] | None:
    return await anext(groups, None)
