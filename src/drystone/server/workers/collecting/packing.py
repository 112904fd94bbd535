# SPDX-License-Identifier: Apache-2.0
"""Packing: packs without use are retired, thin ones compacted, old ones removed for good."""

from collections.abc import Iterator, Sequence

import structlog

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import HEADER_BYTES, Frame
from drystone.core.errors import Corrupt
from drystone.core.ids import PackId
from drystone.core.instant import NS_PER_S
from drystone.core.limits import PACK_BYTES_TARGET
from drystone.server.ports.blocks import LostBlock, Packs, StoredPack
from drystone.server.ports.collecting import PackLine, PackRemoved, RetiredPack, RetiredState, Why
from drystone.server.ports.metadata import BlockPlace
from drystone.server.workers.collecting.tally import Tally
from drystone.server.workers.collecting.work import Work

log = structlog.get_logger()


class Packing:
    """What is done to packs. Each step decides in its own unit of work.

    Args:
        work: Units of work.
        packs: The objects.
    """

    def __init__(self, work: Work, packs: Packs) -> None:
        self._work = work
        self._packs = packs

    def retire_empty(self, tally: Tally) -> Iterator[int]:
        """Retires packs in which no block of the index lies."""
        for page in self._work.iter_packs():
            for line in page:
                if not line.blocks_count and self._retire(line, Why.EMPTY, tally):
                    yield 0
            yield 0

    def compact(self, tally: Tally, thin_percent: int) -> Iterator[int]:
        """Moves what is in use of thin packs to new packs, and retires the thin ones.

        Who is reading them goes on: their objects stay where they are for now.
        """
        batch = _Batch()
        for page in self._work.iter_packs():
            for line in page:
                if not is_thin(line.live_bytes, line.length_bytes, thin_percent):
                    continue
                if batch.length_bytes + line.live_bytes > PACK_BYTES_TARGET:
                    yield self._move(batch, tally)
                    batch = _Batch()
                yield self._gather(line, batch)
        yield self._move(batch, tally)

    def retire_orphans(self, tally: Tally, age_s: int) -> Iterator[int]:
        """Retires objects that the index does not know and that are no longer young."""
        for orphans in self.iter_orphans(age_s):
            for stored in orphans:
                if self._work.retire(stored.pack_id, stored.length_bytes, Why.ORPHAN):
                    tally.orphans += 1
                    tally.orphan_bytes += stored.length_bytes
                yield 0
            yield 0

    def iter_orphans(self, age_s: int) -> Iterator[list[StoredPack]]:
        """Yields objects that the index does not know and that are no longer young."""
        page: list[StoredPack] = []
        for stored in self._packs.iter_stored():
            if stored.written_ns <= (self._work.now_s() - age_s) * NS_PER_S:
                page.append(stored)
            if len(page) == _ORPHANS_AT_ONCE:
                yield self._find_unknown(page)
                page = []
        yield self._find_unknown(page)

    def iter_due(self, quarantine_s: int) -> Iterator[RetiredPack]:
        """Yields packs whose time in quarantine is over, or whose removal was begun."""
        upto_s = self._work.now_s() - quarantine_s
        for retired in self._work.iter_retired():
            is_due = retired.state is RetiredState.KEPT and retired.since_s <= upto_s
            if is_due or retired.state is RetiredState.REMOVING:
                yield retired

    def remove(self, tally: Tally, quarantine_s: int, remembered_s: int) -> Iterator[int]:
        """Removes the objects of packs that were retired long enough ago."""
        for retired in self.iter_due(quarantine_s):
            if not self._work.begin_removal(retired.pack_id, self._work.now_s() - quarantine_s):
                continue  # It has come back.
            yield 0
            self._packs.remove(retired.pack_id)
            yield 0
            self._work.end_removal(retired.pack_id)
            log.info("collect.removed", pack=retired.pack_id.hex())
            tally.removed_packs += 1
            tally.removed_bytes += retired.length_bytes
            yield 0
        upto_s = self._work.now_s() - remembered_s
        self._work.metadata.write(lambda unit: unit.packs.forget_removed(upto_s))

    def _retire(self, line: PackLine, why: Why, tally: Tally) -> bool:
        if not self._work.retire(line.pack_id, line.length_bytes, why):
            return False
        log.info("collect.retired", pack=line.pack_id.hex(), why=why.name.lower())
        tally.retired_packs += 1
        tally.retired_bytes += line.length_bytes
        return True

    def _gather(self, line: PackLine, batch: "_Batch") -> int:
        """Adds what is whole of a pack to a batch; returns the bytes read."""
        places = self._work.list_whole(line.pack_id)
        read_bytes = 0
        for place, frame in zip(places, self._packs.read(places), strict=True):
            read_bytes += place.stored_bytes + HEADER_BYTES
            # What is damaged stays where it is: scrubbing finds it.
            if not isinstance(frame, LostBlock) and _is_whole(frame):
                batch.add(place, frame)
        batch.lines.append(line)
        return read_bytes

    def _move(self, batch: "_Batch", tally: Tally) -> int:
        """Stores a batch as a new pack, lets its blocks lie there, retires the old packs."""
        if not batch.frames:
            return 0
        pack = self._packs.store(batch.frames)
        moves = list(zip(batch.places, pack.places, strict=True))
        try:
            moved_count = self._work.metadata.write(
                lambda unit: unit.packs.move_blocks(pack.pack_id, pack.length_bytes, moves)
            )
        except PackRemoved:
            return pack.length_bytes  # It is made again another time, when that is over.
        log.info("collect.moved", pack=pack.pack_id.hex(), blocks=moved_count)
        tally.moved_bytes += batch.length_bytes
        for line in batch.lines:
            tally.compacted_packs += self._retire(line, Why.THIN, tally)
        return pack.length_bytes

    def _find_unknown(self, page: Sequence[StoredPack]) -> list[StoredPack]:
        ids: list[PackId] = [stored.pack_id for stored in page]
        unknown = self._work.metadata.read(lambda unit: unit.packs.find_unknown(ids))
        return [stored for stored in page if stored.pack_id in unknown]


class _Batch:
    """What goes into a new pack together."""

    def __init__(self) -> None:
        self.lines: list[PackLine] = []
        self.places: list[BlockPlace] = []
        self.frames: list[Frame] = []
        self.length_bytes = 0

    def add(self, place: BlockPlace, frame: Frame) -> None:
        self.places.append(place)
        self.frames.append(frame)
        self.length_bytes += place.stored_bytes + HEADER_BYTES


def is_thin(live_bytes: int, length_bytes: int, thin_percent: int) -> bool:
    """Tells whether so little of a pack is in use that moving that is worth it."""
    return live_bytes > 0 and live_bytes * 100 < length_bytes * thin_percent


def _is_whole(frame: Frame) -> bool:
    try:
        decode_frame(frame, lambda _: None)
    except Corrupt:
        return False
    return True


_ORPHANS_AT_ONCE = 1_000
"""Objects that the index is asked about in one unit of work."""
