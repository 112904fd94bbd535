# SPDX-License-Identifier: Apache-2.0
"""Ingest: one bundle on its way from the body into packs and the block index.

Three things go on at once, each on at most one portion: frames are gathered into a group, the
group before is checked in a thread, and what was checked before that is stored as a pack and
then told to the index. So memory is bounded whatever the bundle's size, and what is in the
index stays there even if the rest of the bundle never comes.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from drystone.core.content.frame import Frame
from drystone.core.errors import DrystoneError
from drystone.core.ids import BlockId, NamespaceId
from drystone.core.limits import MIB
from drystone.server.ports.blocks import Pack
from drystone.server.ports.collecting import PackRemoved
from drystone.server.ports.metadata import Unit
from drystone.server.service import gate
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.checking import Checked, check_frames
from drystone.server.service.blocks.shelf import Shelf

_GROUP_BYTES: Final = 2 * MIB
"""What is checked in one hop to a thread: a hop costs as much as hashing 300 KB."""


class PutTally(NamedTuple):
    """What a bundle brought.

    Attributes:
        blocks_count: Distinct blocks, all of which the namespace holds now.
        stored_blocks_count: Those of them that the server did not have.
        stored_bytes: What they take in packs.
    """

    blocks_count: int
    stored_blocks_count: int
    stored_bytes: int


class Ingest:
    """Takes the frames of one bundle. Used by one task; leaves nothing running once it is
    finished, salvaged or dropped.

    Args:
        shelf: Where blocks go.
        actor: Who sends them.
        namespace_id: Which namespace is to hold them.
        pack_bytes: A pack is stored before it would grow beyond what this returns then.
    """

    def __init__(
        self, shelf: Shelf, actor: Actor, namespace_id: NamespaceId, pack_bytes: Callable[[], int]
    ) -> None:
        self._shelf = shelf
        self._actor = actor
        self._namespace_id = namespace_id
        self._pack_bytes = pack_bytes
        self._seen: set[BlockId] = set()
        self._group: list[Frame] = []
        self._group_bytes = 0
        self._arrived_bytes = 0
        """With blocks that came twice: they keep their part of the body in memory, too."""
        self._checking: asyncio.Task[Checked] | None = None
        self._pending: list[Frame] = []
        self._pending_bytes = 0
        self._pending_known: list[BlockId] = []
        self._storing: asyncio.Task[None] | None = None
        self._stored_blocks_count = 0
        self._stored_bytes = 0
        self._held_blocks_count = 0
        self.plain_bytes = 0
        """Of the distinct blocks that arrived, decoded."""

    @property
    def tally(self) -> PutTally:
        """What was brought so far, as far as it is held."""
        return PutTally(self._held_blocks_count, self._stored_blocks_count, self._stored_bytes)

    async def take(self, frames: Sequence[Frame]) -> None:
        """Takes the next frames; waits while those before are still on their way.

        Raises:
            BlockRefused: One of the frames taken so far does not yield its block.
            ObjectStoreFull, Unavailable: Those taken so far could not be kept.
        """
        group_bytes = min(_GROUP_BYTES, self._pack_bytes() // 2)
        for frame in frames:
            payload_bytes = len(frame.payload)
            self._arrived_bytes += payload_bytes
            if frame.block_id not in self._seen:
                self._seen.add(frame.block_id)
                self._group.append(frame)
                self.plain_bytes += frame.plain_bytes
                # What a frame with a base yields is as long as the block.
                self._group_bytes += payload_bytes if frame.base is None else frame.plain_bytes
            if self._group_bytes >= group_bytes or self._arrived_bytes >= 2 * group_bytes:
                await self._hand_over()

    async def finish(self) -> PutTally:
        """Returns once all that was taken is durable and held. Raises as ``take``."""
        await self._hand_over()
        await self._settle()
        await self._begin_pack()
        await self._finish_storing()
        return PutTally(len(self._seen), self._stored_blocks_count, self._stored_bytes)

    async def salvage(self) -> None:
        """Keeps what arrived whole though the rest will not come, so that it need not be sent
        again. Trouble with that is ignored: what led here is already told.
        """
        with suppress(DrystoneError):
            await self.finish()
        await self.drop()

    async def drop(self) -> None:
        """Gives up what is not in the index yet. A pack that is being written may stay behind
        as an object that nothing refers to.
        """
        tasks = [task for task in (self._checking, self._storing) if task is not None]
        self._checking = self._storing = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hand_over(self) -> None:
        """Lets the gathered group be checked, once the one before is."""
        await self._settle()
        group, arrived_bytes = self._group, self._arrived_bytes
        self._group, self._group_bytes, self._arrived_bytes = [], 0, 0
        if group:
            self._checking = asyncio.create_task(
                self._shelf.run(check_frames, self._shelf, self._namespace_id, group, arrived_bytes)
            )

    async def _settle(self) -> None:
        """Waits for the group that is being checked and adds it to the pack to come."""
        if self._checking is None:
            return
        checking, self._checking = self._checking, None
        checked = await checking
        fresh_bytes = sum(len(frame.payload) for frame in checked.fresh)
        if self._pending and self._pending_bytes + fresh_bytes > self._pack_bytes():
            await self._begin_pack()
        self._pending += checked.fresh
        self._pending_bytes += fresh_bytes
        self._pending_known += checked.known

    async def _begin_pack(self) -> None:
        """Lets what is pending be stored, once the pack before is."""
        await self._finish_storing()
        frames, self._pending, self._pending_bytes = self._pending, [], 0
        known, self._pending_known = self._pending_known, []
        if frames or known:
            self._storing = asyncio.create_task(self._store(frames, known))

    async def _finish_storing(self) -> None:
        storing, self._storing = self._storing, None
        if storing is not None:
            await storing

    async def _store(self, frames: list[Frame], known: list[BlockId]) -> None:
        """Makes frames durable as a pack, then lets the namespace hold them and ``known``."""
        pack: Pack | None = None
        if frames:
            pack = await self._shelf.run(self._shelf.packs.store, frames)
        held = [*known, *(frame.block_id for frame in frames)]
        leased_until_s = self._shelf.leased_until_s()

        def index(unit: Unit, *, is_there: bool = False) -> None:
            # Again, in the same unit of work: a right taken away meanwhile counts.
            gate.require_namespace(unit, self._actor, self._namespace_id)
            if pack is not None:
                unit.blocks.add_pack(
                    pack.pack_id, pack.length_bytes, pack.places, is_there=is_there
                )
            unit.blocks.hold(self._namespace_id, held, leased_until_s)

        try:
            await self._shelf.writer.write(index, lane=self._namespace_id)
        except PackRemoved as error:
            if not error.is_over:
                raise
            # The same pack was collected long ago, and perhaps its object after we put it.
            await self._shelf.run(self._shelf.packs.store, frames)
            await self._shelf.writer.write(
                lambda unit: index(unit, is_there=True), lane=self._namespace_id
            )
        self._held_blocks_count += len(held)
        if pack is not None:
            self._stored_blocks_count += len(pack.places)
            self._stored_bytes += pack.length_bytes
