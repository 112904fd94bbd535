# SPDX-License-Identifier: Apache-2.0
"""A server in memory behind the ``Remote`` port: the real service, without a network.

What networks and servers do wrong is told to ``faults``; what was asked stands in ``asked``.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from drystone.client.adapters.remote_http.session import ServerAway
from drystone.client.ports import CommitResult, FetchedBlock, RemotePage, Traffic
from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId, FileId, Seq
from drystone.core.journal.change import Change, Commit
from drystone.core.journal.record import StoredEntry
from drystone.server.ports.blocks import Run
from drystone.server.service.actor import Actor
from drystone.server.service.service import Service
from drystone.wire.bundle import BundleReader, BundleWriter
from drystone.wire.changes import outcome_from_wire, outcome_to_wire


@dataclass
class Faults:
    """What goes wrong. Numbers count down; each is used up.

    Attributes:
        is_away: Nothing gets through.
        lost_answers: So many commits are made, and their answers lost.
        broken_puts: So many bundles break off after their first part.
        broken_fetches: So many fetches break off after their first part.
    """

    is_away: bool = False
    lost_answers: int = 0
    broken_puts: int = 0
    broken_fetches: int = 0


@dataclass
class FakeRemote:
    """See ``Remote``.

    Args:
        service: The server's verbs.
        actor: The device that asks.
        group_blocks: How many blocks ``fetch_blocks`` yields at once.
    """

    service: Service
    actor: Actor
    group_blocks: int = 64
    faults: Faults = field(default_factory=Faults)
    asked: Counter[str] = field(default_factory=Counter)
    sent_blocks: list[BlockId] = field(default_factory=list)
    sent_bytes: int = 0
    fetched_blocks: int = 0
    doubts: set[BlockId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.namespace_id = self.actor.root_namespace_id

    async def ask(self, block_ids: Sequence[BlockId], *, verify: bool = False) -> list[BlockId]:
        self._meet("ask")
        held = await self.service.blocks.ask(
            self.actor, self.namespace_id, block_ids, verify=verify
        )
        return [name for name in dict.fromkeys(block_ids) if name not in held]

    async def put_blocks(self, batches: AsyncIterator[Sequence[Frame]]) -> int:
        self._meet("put")
        tally = await self.service.blocks.put(self.actor, self.namespace_id, self._carry(batches))
        return tally.blocks_count

    async def fetch_blocks(
        self,
        wanted: Sequence[tuple[BlockId, BlockId | None]],
        find_base: Callable[[BlockId], Buffer | None],
        *,
        length_bytes: int = 0,
    ) -> AsyncGenerator[list[FetchedBlock], None]:
        self._meet("fetch")
        bases = {name: base for name, base in wanted if base is not None}
        names = [name for name, _ in wanted]
        groups = await self.service.blocks.fetch(
            self.actor, self.namespace_id, names, bases, self.doubts.intersection(names)
        )
        found: list[FetchedBlock] = []
        async for frame in _iter_frames(groups):
            try:
                found.append((frame.block_id, decode_frame(frame, find_base)))
                self.doubts.discard(frame.block_id)
            except Corrupt as error:
                found.append((frame.block_id, error))
                self.doubts.add(frame.block_id)
            self.fetched_blocks += 1
            if len(found) == self.group_blocks:
                yield found
                found = []
                self._break_fetch()
        yield found
        self._break_fetch()

    async def fetch_outlines(self, block_ids: Sequence[BlockId]) -> list[bytes]:
        self._meet("outline")
        return await self.service.blocks.outline(self.actor, self.namespace_id, block_ids)

    async def commit(
        self, changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        self._meet("commit")
        commit = Commit(tuple(changes), seen_seq)
        done = await self.service.commits.commit(self.actor, self.namespace_id, commit, key, cursor)
        if self.faults.lost_answers:
            self.faults.lost_answers -= 1
            raise ServerAway("the answer was lost")
        # Over a wire an outcome says less than the service does, and nobody may rely on more.
        outcomes = [
            outcome_from_wire(outcome_to_wire(outcome, change), change)
            for outcome, change in zip(done.outcomes, changes, strict=True)
        ]
        return CommitResult(done.head_before, done.head, done.cursor, outcomes)

    async def read_changes(self, cursor: str, under: FileId | None) -> RemotePage:
        self._meet("changes")
        page = await self.service.changes.read_page(self.actor, self.namespace_id, cursor, under)
        return RemotePage(*page)

    async def list_below(self, folder_id: FileId, after: str) -> tuple[list[StoredEntry], str]:
        self._meet("list")
        page = await self.service.namespaces.list_below(
            self.actor, self.namespace_id, folder_id, after
        )
        return page.entries, page.after

    async def listen(self) -> AsyncIterator[Seq]:
        while True:
            self._meet("listen")
            async with self.service.changes.listen(self.actor, self.namespace_id) as rings:
                yield Seq(0)
                async for _, head in rings.heads:
                    if self.faults.is_away:
                        break
                    yield Seq(head)
            await asyncio.sleep(0)

    def link_bytes_per_s(self) -> float:
        return 0.0

    def silent_s(self) -> float:
        return 0.0 if self.asked else math.inf

    def traffic(self) -> Traffic:
        return Traffic(self.asked.total(), self.sent_bytes, 0)

    async def close(self) -> None:
        pass

    def _meet(self, what: str) -> None:
        if self.faults.is_away:
            raise ServerAway("the network is down")
        self.asked[what] += 1

    def _break_fetch(self) -> None:
        if self.faults.broken_fetches:
            self.faults.broken_fetches -= 1
            raise ServerAway("the connection broke while blocks came")

    async def _carry(
        self, batches: AsyncIterator[Sequence[Frame]]
    ) -> AsyncGenerator[Sequence[Frame], None]:
        async for frames in batches:
            self.sent_blocks += [frame.block_id for frame in frames]
            self.sent_bytes += sum(len(frame.payload) for frame in frames)
            yield frames
            if self.faults.broken_puts:
                self.faults.broken_puts -= 1
                raise ServerAway("the connection broke while blocks went")


async def _iter_frames(
    groups: AsyncGenerator[list[Run | Frame], None],
) -> AsyncGenerator[Frame, None]:
    """Yields single frames; long runs are cut as a bundle's reader does."""
    writer, reader = BundleWriter(), BundleReader()
    reader.feed(writer.begin())
    async for group in groups:
        for item in group:
            if isinstance(item, Run):
                frames = reader.feed(bytes(writer.frames(*item)))
            else:
                frames = reader.feed(b"".join(writer.frame(item)))
            for frame in frames:
                yield frame
