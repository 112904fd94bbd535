# SPDX-License-Identifier: Apache-2.0
"""Verifier: packs that devices put into the object store themselves become common ones, or not.

    an arrival that stands           longest waiting first
    its bytes, read once             in memory: they cannot change any more
    each frame, against its block    decoded within bounds, and hashed
    packs of our own                 of the blocks that nobody had yet, durable as any pack
    the index, the holds             and the claims are gone: one unit of work
    the object                       half an hour later (``strays``): somebody may be reading it

What joins the common pool was written by us from the bytes that were verified. The object that the
device put is never read by anybody else, so it does not matter what a ticket that is still good
does to it afterwards.

A block that is not what was said is damaged for its own namespace; for all others nothing ever
happened. The rest of its pack is kept all the same, and the object for a while, to be looked at.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol

import structlog

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import HEADER, HEADER_BYTES, MARKER, Frame
from drystone.core.content.hashing import PACK_TAG
from drystone.core.errors import Corrupt, DrystoneError
from drystone.core.ids import BlockId
from drystone.core.instant import NS_PER_S
from drystone.core.limits import ARRIVAL_JOINED_S, ARRIVAL_QUARANTINE_S, LEASE_S, PACK_BYTES_TARGET
from drystone.server.ports.arrivals import Arrival, ArrivalState
from drystone.server.ports.blocks import Pack, Packs
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Unit
from drystone.server.ports.objects import Objects
from drystone.server.ports.places import BlockPlace
from drystone.server.service.blocks.heads import Offer, read_heads
from drystone.server.service.writer import Writer

log = structlog.get_logger()

INTERVAL_S: Final = 2.0
"""Between looks whether something has arrived: a lookup in an index that is empty as a rule."""

RETRY_S: Final = 60
"""An arrival whose object cannot be read now waits so long; others go on."""

_AT_ONCE: Final = 16
"""Arrivals that one look takes up."""


class OnDuty(Protocol):
    """What makes this the only one of many workers that does a thing; see ``workers.duty``."""

    async def ensure(self) -> bool:
        """Takes or prolongs it; tells whether we have it."""
        ...

    def require(self, unit: Unit) -> None:
        """Raises in a unit of work if somebody else has it."""
        ...

    async def release(self) -> None:
        """Lets go of it."""
        ...


class VerifierStats(NamedTuple):
    """What was done since it began.

    Attributes:
        packs: Arrivals that joined the common pool.
        blocks: Their blocks.
        duplicates: Those of them that were there already, and were not stored again.
        read_bytes: Of objects.
        stored_bytes: In packs of our own.
        quarantined: Arrivals that were not what had been said.
        troubles: Times that a store or the database could not be used.
    """

    packs: int = 0
    blocks: int = 0
    duplicates: int = 0
    read_bytes: int = 0
    stored_bytes: int = 0
    quarantined: int = 0
    troubles: int = 0


class Verifier:
    """Verifies arrivals in the background of one worker.

    Args:
        writer: The door to the metadata.
        packs: Where verified blocks go.
        objects: Where arrivals stand.
        clock: The time.
        duty: That of verifying.
    """

    def __init__(
        self, writer: Writer, packs: Packs, objects: Objects, clock: Clock, duty: OnDuty
    ) -> None:
        self._writer = writer
        self._packs = packs
        self._objects = objects
        self._clock = clock
        self._duty = duty
        self._stats = VerifierStats()

    def stats(self) -> VerifierStats:
        """Returns what was done so far."""
        return self._stats

    async def run(self) -> None:
        """Verifies what arrives until cancelled. Trouble is logged, and met again after a while."""
        # One: it is the background, and each arrival in work is in memory.
        threads = ThreadPoolExecutor(1, thread_name_prefix="verify")
        try:
            while True:
                has_more = False
                try:
                    has_more = await self.verify_due(threads)
                except DrystoneError as error:
                    self._count(troubles=1)
                    log.warning("verifier.trouble", code=error.code, what=error.message)
                if not has_more:
                    await asyncio.sleep(INTERVAL_S)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            await self._duty.release()

    async def verify_due(self, threads: ThreadPoolExecutor) -> bool:
        """Verifies some of what has arrived; tells whether there may be more.

        Raises:
            Unavailable: The database cannot be used now.
        """
        now_s = self._now_s()
        due = await self._writer.read(
            lambda unit: unit.arrivals.list_due(ArrivalState.UNVERIFIED, now_s, _AT_ONCE)
        )
        if not due or not await self._duty.ensure():
            return False
        for arrival in due:
            if not await self._duty.ensure():
                return False
            try:
                await self._verify(arrival, threads)
            except DrystoneError:
                raise
            except Exception:
                # A defect of ours; but one pack must not keep all behind it waiting for ever.
                self._count(troubles=1)
                log.exception("verifier.failed", name=arrival.name)
                await self._retry_later(arrival)
        return len(due) == _AT_ONCE

    async def _verify(self, arrival: Arrival, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()

        async def run(work: Callable[..., Any], *args: Any) -> Any:
            return await loop.run_in_executor(threads, work, *args)

        try:
            found: Examined = await run(examine, self._objects, arrival)
            if found.reason:  # Whoever finds something wrong looks twice.
                found = await run(examine, self._objects, arrival)
            ids = [frame.block_id for frame in found.frames]
            known = await self._writer.read(lambda unit: unit.blocks.locate(ids).keys())
            fresh = [frame for frame in found.frames if frame.block_id not in known]
            packs: list[Pack] = await run(_store_all, self._packs, fresh)
        except DrystoneError as error:
            self._count(troubles=1)
            log.warning("verifier.put-off", name=arrival.name, code=error.code, what=error.message)
            await self._retry_later(arrival)
            return
        is_ours = await self._writer.write(lambda unit: self._join(unit, arrival, found, packs))
        if not is_ours:
            return
        if found.reason:
            self._count(quarantined=1)
            log.error(
                "verifier.quarantined",
                name=arrival.name,
                device=arrival.device_id.hex(),
                what=found.reason,
                bad_blocks=len(found.bad),
            )
        else:
            self._count(packs=1)
        self._count(
            blocks=len(ids),
            duplicates=len(ids) - len(fresh),
            read_bytes=found.read_bytes,
            stored_bytes=sum(pack.length_bytes for pack in packs),
        )

    def _join(self, unit: Unit, arrival: Arrival, found: "Examined", packs: Sequence[Pack]) -> bool:
        """Lets verified blocks join the common pool; False, with nothing done, if the arrival is
        not to be verified any more, or a block that was known has been collected meanwhile.
        """
        self._duty.require(unit)
        [*still] = unit.arrivals.find(arrival.namespace_id, (arrival.arrival_id,))
        if not still or still[0].state != ArrivalState.UNVERIFIED:
            return False
        for pack in packs:
            unit.blocks.add_pack(pack.pack_id, pack.length_bytes, pack.places)
        ids = {frame.block_id for frame in found.frames}
        if len(unit.blocks.locate(ids)) < len(ids):
            return False
        now_s = self._now_s()
        unit.blocks.hold(arrival.namespace_id, ids, now_s + LEASE_S)
        if found.reason:
            # All of them: what is good lies elsewhere by now.
            layout = read_heads(Offer(arrival.pack_id, arrival.heads), arrival.name)
            unit.arrivals.mark(layout.places, is_damaged=True)
            unit.arrivals.change(
                arrival._replace(state=ArrivalState.QUARANTINED, due_s=now_s + ARRIVAL_QUARANTINE_S)
            )
        else:
            unit.arrivals.drop_places(arrival.namespace_id, arrival.arrival_id)
            unit.arrivals.change(
                arrival._replace(state=ArrivalState.JOINED, due_s=now_s + ARRIVAL_JOINED_S)
            )
        return True

    async def _retry_later(self, arrival: Arrival) -> None:
        later = arrival._replace(due_s=self._now_s() + RETRY_S)
        await self._writer.write(lambda unit: self._put_off(unit, later))

    def _put_off(self, unit: Unit, later: Arrival) -> None:
        [*still] = unit.arrivals.find(later.namespace_id, (later.arrival_id,))
        if still and still[0].state == ArrivalState.UNVERIFIED:
            unit.arrivals.change(later)

    def _now_s(self) -> int:
        return self._clock.now_ns() // NS_PER_S

    def _count(self, **more: int) -> None:
        counts = self._stats._asdict()
        self._stats = VerifierStats(**{key: counts[key] + more.get(key, 0) for key in counts})


class Examined(NamedTuple):
    """What an arrival turned out to be.

    Attributes:
        frames: Those that yield their blocks.
        bad: Where it was said that others lie.
        reason: What is wrong with the whole; empty: nothing.
        read_bytes: How much was read.
    """

    frames: list[Frame]
    bad: Collection[BlockPlace]
    reason: str
    read_bytes: int


def examine(objects: Objects, arrival: Arrival) -> Examined:
    """Reads an arrival whole and verifies every block that it is said to hold.

    A tag, headers and blocks are all there is in a pack: nothing is left to be said by the SHA-256
    of the whole: it is made anew for what is stored.

    Cost: its bytes in memory, once more for one block at a time; all are hashed once.

    Raises:
        Unavailable: It cannot be read now.
    """
    places = read_heads(Offer(arrival.pack_id, arrival.heads), arrival.name).places
    length_bytes = objects.find_length(arrival.name)
    if length_bytes is None:
        return Examined([], places, "the object is gone", 0)
    try:
        [content] = objects.read(arrival.name, [(0, min(length_bytes, arrival.length_bytes))])
    except FileNotFoundError:
        return Examined([], places, "the object is gone", 0)
    except Corrupt as error:
        return Examined([], places, error.message, 0)
    frames: list[Frame] = []
    bad: list[BlockPlace] = []
    for place in places:
        frame = _verify_frame(content, place)
        if frame is None:
            bad.append(place)
        else:
            frames.append(frame)
    reason = ""
    if length_bytes != arrival.length_bytes:
        reason = f"it has {length_bytes:,} bytes instead of {arrival.length_bytes:,}"
    elif bad:
        reason = f"{len(bad):,} of {len(places):,} blocks are not what was said"
    elif not content.startswith(PACK_TAG):
        reason = "it does not begin as a pack does"
    return Examined(frames, bad, reason, len(content))


def _verify_frame(content: bytes, place: BlockPlace) -> Frame | None:
    """Returns the frame at a place if it yields its block."""
    block_id: BlockId = place.block_id
    header = HEADER.pack(MARKER, place.codec, place.stored_bytes, place.plain_bytes, block_id)
    if not content.startswith(header, place.offset_bytes - HEADER_BYTES):
        return None
    end = place.offset_bytes + place.stored_bytes
    payload = memoryview(content)[place.offset_bytes : end]
    if len(payload) != place.stored_bytes:
        return None
    frame = Frame(block_id, place.plain_bytes, place.codec, payload)
    try:
        plain = decode_frame(frame, lambda _: None)
    except Corrupt:
        return None
    return frame if len(plain) == place.plain_bytes else None


def _store_all(packs: Packs, frames: Sequence[Frame]) -> list[Pack]:
    """Stores frames in as few packs as they fit in."""
    stored: list[Pack] = []
    part: list[Frame] = []
    part_bytes = 0
    for frame in frames:
        if part and part_bytes + len(frame.payload) > PACK_BYTES_TARGET:
            stored.append(packs.store(part))
            part, part_bytes = [], 0
        part.append(frame)
        part_bytes += len(frame.payload)
    if part:
        stored.append(packs.store(part))
    return stored
