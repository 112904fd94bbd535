# SPDX-License-Identifier: Apache-2.0
"""Blocks: asked for, put, fetched, outlined. Only what a namespace holds can be seen in it.

Whether a block exists elsewhere on the server changes no answer: all are given from what the
namespace holds (field report: knowing a hash must never give the file, nor tell whether anyone
has it).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from drystone.core.content.content import Content
from drystone.core.content.frame import Frame
from drystone.core.content.manifest import Manifest
from drystone.core.content.outline import encode_outline
from drystone.core.errors import DrystoneError, Refused
from drystone.core.ids import BlockId, NamespaceId
from drystone.core.limits import (
    ASK_BLOCKS_MAX,
    FETCHES_AT_ONCE_MAX,
    MIB,
    OUTLINES_BYTES_MAX,
    PACK_BYTES_TARGET,
    UPLOADS_AT_ONCE_MAX,
    VERIFIED_BYTES_MAX,
)
from drystone.server.ports.blocks import LostBlock, Packs, Run
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import BlockPlace, Metadata, Unit
from drystone.server.ports.watching.measuring import Measures
from drystone.server.service import gate
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.contents import (
    Verdict,
    check_and_lease,
    decode_held_manifest,
)
from drystone.server.service.blocks.damage import note_damage, read_again, verify_blocks
from drystone.server.service.blocks.ingest import Ingest, PutTally
from drystone.server.service.blocks.reading import Wanted, stream_frames
from drystone.server.service.blocks.shelf import (
    LeaseTimes,
    Shelf,
    find_held,
    iter_batches,
    locate_held,
    read_plain,
    renew_leases,
)
from drystone.server.service.blocks.tally import BlockTally
from drystone.server.service.blocks.turns import Turns
from drystone.server.service.writer import Writer

_THREADS_COUNT: Final = 4
"""Two cores are kept busy by three; one more, because storing waits for the disk."""

_PACK_BYTES_MIN: Final = 1 * MIB
"""Packs do not get smaller than this for want of memory."""

_FULL_FETCHES_COUNT: Final = 8
"""So many downloads at once may each be read ahead as far as it helps."""


class BlockNotFound(Refused):
    """The namespace does not hold these blocks; whether anybody else does is not told.

    Attributes:
        block_ids: Those it does not hold.
    """

    code = "block-not-found"

    def __init__(self, block_ids: Sequence[BlockId]) -> None:
        more = f" and {len(block_ids) - 1} more" if len(block_ids) > 1 else ""
        super().__init__(
            f"the namespace does not hold block {block_ids[0].hex()}{more}",
            advice="Read the changes again: the file may have got other content meanwhile.",
        )
        self.block_ids = block_ids


class TooManyBlocks(Refused):
    """A request names more blocks than one may."""

    code = "too-many-blocks"

    def __init__(self, what: str, most: str) -> None:
        super().__init__(
            f"the request names {what}; at most {most} are allowed",
            advice="Send several requests.",
        )


class Blocks:
    """The verbs of blocks. Lives on the event loop; work on bytes is done in its own threads.

    Args:
        packs: Blocks at rest.
        metadata: What ``writer`` writes to; read in those threads.
        writer: The door to metadata.
        clock: The server's time.
        measures: Where what comes and goes is counted.
        leases: How long what nothing refers to is kept.
    """

    def __init__(
        self,
        packs: Packs,
        metadata: Metadata,
        writer: Writer,
        clock: Clock,
        measures: Measures,
        *,
        leases: LeaseTimes = LeaseTimes(),  # noqa: B008  a constant
    ) -> None:
        threads = ThreadPoolExecutor(_THREADS_COUNT, thread_name_prefix="blocks")
        self.shelf: Final = Shelf(packs, metadata, writer, clock, threads, leases)
        self._uploads = Turns(UPLOADS_AT_ONCE_MAX, "uploads")
        self._fetches = Turns(FETCHES_AT_ONCE_MAX, "downloads")
        self._tally = BlockTally(measures, self._uploads, self._fetches)

    async def ask(
        self,
        actor: Actor,
        namespace_id: NamespaceId,
        block_ids: Sequence[BlockId],
        *,
        verify: bool = False,
    ) -> set[BlockId]:
        """Returns which of these blocks the namespace holds; the others must be sent.

        Leases of those held that would end soon are renewed, so that a commit can follow.

        Args:
            actor: Who asks.
            namespace_id: What they are held by.
            block_ids: Any number up to ``ASK_BLOCKS_MAX``.
            verify: Those held are read back first; what is damaged counts as not held. At most
                ``VERIFIED_BYTES_MAX`` of them.

        Raises:
            NamespaceNotFound, TooManyBlocks: As their names say.
            ServerBusy: Too many others read blocks, and these are to be verified.
        """
        _require_few(block_ids)
        if verify:
            await self._verify(actor, namespace_id, block_ids)

        def look_up(unit: Unit) -> set[BlockId]:
            gate.require_namespace(unit, actor, namespace_id)
            return find_held(unit, namespace_id, block_ids)

        held = await self.shelf.writer.read(look_up)
        self._tally.note_ask(len(block_ids), len(held))
        below_s = self.shelf.now_s() + self.shelf.leases.renew_below_s
        # What was collected since the look is not held any more.
        return await renew_leases(self.shelf, namespace_id, held, below_s)

    async def put(
        self,
        actor: Actor,
        namespace_id: NamespaceId,
        bundle: AsyncIterator[Sequence[Frame]],
    ) -> PutTally:
        """Takes a bundle's frames as they come; returns once all are durable and held.

        Packs are told to the index as they fill. If the bundle breaks off or a frame is bad,
        what arrived whole before stays held: it need not be sent again.

        Args:
            actor: Who sends it.
            namespace_id: Which namespace is to hold the blocks.
            bundle: Frames in portions of any size. Not asked for more while what came is still
                on its way, so that the sender is held back; memory is at most about 48 MiB.

        Raises:
            NamespaceNotFound: Before anything is read.
            BlockRefused: A frame is not what it says.
            ObjectStoreFull, Unavailable: What came cannot be kept now.
            ServerBusy: Too many others upload.
        """
        await self._enter(actor, namespace_id)
        async with self._uploads.take():
            ingest = Ingest(self.shelf, actor, namespace_id, self._pack_bytes)
            try:
                async for frames in bundle:
                    await ingest.take(frames)
                return await ingest.finish()
            except DrystoneError:
                await ingest.salvage()
                raise
            finally:
                await ingest.drop()
                self._tally.note_put(ingest)

    async def fetch(
        self,
        actor: Actor,
        namespace_id: NamespaceId,
        block_ids: Sequence[BlockId],
        bases: Mapping[BlockId, BlockId],
        doubted: Collection[BlockId] = (),
    ) -> AsyncGenerator[list[Run | Frame], None]:
        """Returns a stream of these blocks' frames, in order, in groups of about 2 MiB.

        Frames that lie back to back in a pack and are asked for in that order are a ``Run``.
        A block that is held and cannot be read is an ABSENT frame; others go on.

        Args:
            actor: Who asks.
            namespace_id: What they are held by.
            block_ids: In the order in which they are wanted.
            bases: For some of them a block that the receiver has. Used if the namespace holds
                it and a delta is shorter.
            doubted: Those that arrived damaged before: they are verified before they are sent.

        Raises:
            NamespaceNotFound, TooManyBlocks: As their names say.
            BlockNotFound: The namespace does not hold them all; nothing is sent.
            ServerBusy: At the first group: too many others download.
        """
        _require_few(block_ids)
        asked = {*block_ids, *bases.values()}
        places, damaged = await self._look_up(actor, namespace_id, asked)
        # A block that is held is in the index: both are written together.
        missing = [name for name in block_ids if name not in places and name not in damaged]
        if missing:
            raise BlockNotFound(missing)
        doubts = {*doubted, *damaged}
        wanted = [
            Wanted(
                places.get(name) or damaged[name],
                _base_of(name, bases, places),
                name in doubts,
                name in damaged,
            )
            for name in block_ids
        ]
        return self._stream(wanted)

    async def outline(
        self, actor: Actor, namespace_id: NamespaceId, block_ids: Sequence[BlockId]
    ) -> list[bytes]:
        """Returns the encoded outline of each block, in order.

        It is empty for a block that the namespace does not hold or that cannot be read, and
        once ``OUTLINES_BYTES_MAX`` are reached: such a block is sent whole.

        Raises:
            NamespaceNotFound, TooManyBlocks: As their names say.
        """
        _require_few(block_ids)

        def look_up(unit: Unit) -> dict[BlockId, BlockPlace]:
            gate.require_namespace(unit, actor, namespace_id)
            return locate_held(unit, namespace_id, block_ids)

        places = await self.shelf.writer.read(look_up)
        outlines: dict[BlockId, bytes] = {}
        room_bytes = OUTLINES_BYTES_MAX
        in_order = [places[name] for name in dict.fromkeys(block_ids) if name in places]
        for batch in iter_batches(in_order):
            made, lost = await self.shelf.run(_make_outlines, self.shelf.packs, batch)
            await note_damage(self.shelf, lost)
            room_bytes -= sum(map(len, made.values()))
            if room_bytes < 0:
                break
            outlines |= made
        return [outlines.get(name, b"") for name in block_ids]

    async def check_contents(
        self, actor: Actor, namespace_id: NamespaceId, contents: Collection[Content]
    ) -> Verdict:
        """Returns which contents lack blocks that the namespace should hold, and which are
        contradicted by their blocks: what a commit must know before it is decided.

        What is held then stays so until ``Verdict.until_s``, so the commit's own unit of work
        need not ask again before.

        Raises:
            NamespaceNotFound: As its name says.
        """
        await self._enter(actor, namespace_id)
        return await check_and_lease(self.shelf, namespace_id, contents)

    async def load_manifest(
        self, actor: Actor, namespace_id: NamespaceId, manifest_id: BlockId
    ) -> Manifest:
        """Returns a manifest that the namespace holds.

        Raises:
            NamespaceNotFound, BlockNotFound: As their names say.
            LostBlock: It cannot be read back.
            MalformedManifest: The block is not a manifest.
        """
        held, damaged = await self._look_up(actor, namespace_id, (manifest_id,))
        place = held.get(manifest_id) or damaged.get(manifest_id)
        if place is None:
            raise BlockNotFound((manifest_id,))
        [block] = await self.shelf.run(read_plain, self.shelf.packs, (place,))
        if isinstance(block, LostBlock):
            await verify_blocks(self.shelf, {manifest_id: place}, {})
        return decode_held_manifest(block)

    def close(self) -> None:
        """Waits until the threads are done with what they began. Idempotent; blocks."""
        self.shelf.threads.shutdown(wait=True, cancel_futures=True)

    def _pack_bytes(self) -> int:
        """Returns how large packs may be now: smaller while several are being filled."""
        return max(_PACK_BYTES_MIN, PACK_BYTES_TARGET // self._uploads.taken_count)

    def _fetch_divisor(self) -> int:
        """Returns into how many parts a group is divided now, because others fetch as well."""
        return max(1, self._fetches.taken_count // _FULL_FETCHES_COUNT)

    async def _enter(self, actor: Actor, namespace_id: NamespaceId) -> None:
        def work(unit: Unit) -> None:
            gate.require_namespace(unit, actor, namespace_id)

        await self.shelf.writer.read(work)

    async def _look_up(
        self, actor: Actor, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> "_Found":
        def work(unit: Unit) -> _Found:
            gate.require_namespace(unit, actor, namespace_id)
            return _find(unit, namespace_id, block_ids)

        return await self.shelf.writer.read(work)

    async def _verify(
        self, actor: Actor, namespace_id: NamespaceId, block_ids: Sequence[BlockId]
    ) -> None:
        found = await self._look_up(actor, namespace_id, set(block_ids))
        places = (*found.held.values(), *found.damaged.values())
        plain_bytes = sum(place.plain_bytes for place in places)
        if plain_bytes > VERIFIED_BYTES_MAX:
            raise TooManyBlocks(
                f"{plain_bytes:,} bytes of blocks to be verified", f"{VERIFIED_BYTES_MAX:,}"
            )
        async with self._fetches.take():
            await verify_blocks(self.shelf, *found)

    async def _stream(self, wanted: Sequence[Wanted]) -> AsyncGenerator[list[Run | Frame], None]:
        async with self._fetches.take():
            groups = stream_frames(self.shelf, wanted, self._fetch_divisor)
            try:
                async for frames in groups:
                    yield frames
            finally:
                await groups.aclose()


def _require_few(block_ids: Sequence[BlockId]) -> None:
    if len(block_ids) > ASK_BLOCKS_MAX:
        raise TooManyBlocks(f"{len(block_ids):,} blocks", f"{ASK_BLOCKS_MAX:,}")


class _Found(NamedTuple):
    """Where blocks lie that a namespace holds, or would hold if they were not damaged there."""

    held: dict[BlockId, BlockPlace]
    damaged: dict[BlockId, BlockPlace]


def _find(unit: Unit, namespace_id: NamespaceId, block_ids: Collection[BlockId]) -> _Found:
    held = locate_held(unit, namespace_id, block_ids)
    rest = [name for name in block_ids if name not in held]
    if not rest:
        return _Found(held, {})
    arrived = unit.arrivals.find_damaged(namespace_id, rest)
    return _Found(held, arrived | unit.blocks.find_damaged(namespace_id, rest))


def _base_of(
    name: BlockId, bases: Mapping[BlockId, BlockId], places: Mapping[BlockId, BlockPlace]
) -> BlockPlace | None:
    base = bases.get(name)
    return None if base is None or base == name else places.get(base)


def _make_outlines(
    packs: Packs, places: Sequence[BlockPlace]
) -> tuple[dict[BlockId, bytes], list[BlockPlace]]:
    """Returns outlines, and where blocks cannot be read back."""
    outlines: dict[BlockId, bytes] = {}
    lost: list[BlockPlace] = []
    for place, block in zip(places, read_plain(packs, places), strict=True):
        whole = read_again(packs, block) if isinstance(block, LostBlock) else block
        if whole is None:
            lost.append(place)
        else:
            outlines[place.block_id] = encode_outline(whole)
    return outlines, lost
