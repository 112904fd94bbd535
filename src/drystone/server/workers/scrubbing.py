# SPDX-License-Identifier: Apache-2.0
"""Scrubbing: what is kept is read, and every block compared with its name, before anybody needs it.

    the pack that was not looked at for longest       all blocks that the index finds in it
    cannot be read, twice                             noted: it counts as not held
    was noted, and can be read                        no longer noted
    noted ones                                        looked for in packs that are in quarantine
    found there, whole                                stored anew: whole again

When a pack was looked at is kept with it, so a scrub that is broken off goes on where it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import HEADER_BYTES, Frame
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId, PackId
from drystone.core.instant import NS_PER_S
from drystone.core.limits import PACK_BYTES_TARGET
from drystone.server.ports.blocks import CorruptPack, LostBlock, Pack, Packs
from drystone.server.ports.clock import Clock
from drystone.server.ports.collecting import PackLine, PackRemoved, RetiredState
from drystone.server.ports.metadata import BlockPlace, Metadata, Unit
from drystone.server.service.blocks.damage import read_again
from drystone.server.service.blocks.shelf import iter_batches, read_plain
from drystone.server.workers.collecting.work import Work

log = structlog.get_logger()

PACKS_AT_ONCE = 16
"""Packs that are looked up together."""

DAMAGED_AT_ONCE = 10_000
"""Damaged blocks that are looked for together."""


@dataclass
class ScrubTally:
    """What a scrub found and did.

    Attributes:
        packs: Looked at.
        blocks: Read and compared.
        read_bytes: Of their frames.
        damaged: Blocks newly found to be damaged.
        mended: Blocks that were noted as damaged and can be read after all.
        repaired: Blocks that were found elsewhere and are whole again.
        left: Damaged blocks that are left, with those known before: devices are asked for them.
        damaged_packs: In which damage was found, by id.
    """

    packs: int = 0
    blocks: int = 0
    read_bytes: int = 0
    damaged: int = 0
    mended: int = 0
    repaired: int = 0
    left: int = 0
    damaged_packs: list[str] = field(default_factory=list)


class Scrub:
    """Reads what is kept; see the module.

    Args:
        metadata: Of the server.
        packs: Of the server.
        clock: Tells when a pack was looked at.
    """

    def __init__(self, metadata: Metadata, packs: Packs, clock: Clock) -> None:
        self._metadata = metadata
        self._packs = packs
        self._clock = clock
        self._work = Work(metadata, clock)

    def run(self, tally: ScrubTally, *, within_s: int, is_deep: bool = False) -> Iterator[int]:
        """Looks at all packs that were not looked at of late; yields the bytes that each step read.

        Args:
            tally: Is added up while it goes on.
            within_s: Packs that were looked at in so many seconds before now are left out; 0: none
                are, however often somebody looks.
            is_deep: Damaged blocks are looked for in all packs, not only in quarantine.

        Raises:
            Unavailable: Database or store are away; nothing is taken for damaged because of that.
        """
        for line in self._iter_due(within_s):
            yield from self._look_at(line, tally)
        yield from self._repair(tally, is_deep=is_deep)

    def _look_at(self, line: PackLine, tally: ScrubTally) -> Iterator[int]:
        noted = self._find_noted(line.pack_id)
        bad: list[BlockPlace] = []
        mended: list[BlockPlace] = []
        for batch in iter_batches(self._list_blocks(line.pack_id)):
            for place, block in zip(batch, read_plain(self._packs, batch), strict=True):
                is_lost = isinstance(block, LostBlock) and read_again(self._packs, block) is None
                if is_lost and place.block_id not in noted:
                    bad.append(place)
                if not is_lost and place.block_id in noted:
                    mended.append(place)
            read_bytes = sum(place.stored_bytes + HEADER_BYTES for place in batch)
            tally.blocks += len(batch)
            tally.read_bytes += read_bytes
            yield read_bytes
        now_s = self._now_s()

        def note(unit: Unit) -> None:
            unit.blocks.mark(bad, is_damaged=True)
            unit.blocks.mark(mended, is_damaged=False)
            unit.packs.note_verified(line.pack_id, now_s)

        self._metadata.write(note)
        tally.packs += 1
        tally.damaged += len(bad)
        tally.mended += len(mended)
        if bad:
            log.error("scrub.damaged", pack=line.pack_id.hex(), blocks=len(bad))
            tally.damaged_packs.append(line.pack_id.hex())
        yield 0

    # --- repair --------------------------------------------------------------------------------

    def _repair(self, tally: ScrubTally, *, is_deep: bool) -> Iterator[int]:
        wanted = {place.block_id: place for place in self._list_damaged()}
        if wanted:
            yield from self._repair_from(self._iter_retired(), wanted, tally)
        if wanted and is_deep:
            yield from self._repair_from(self._packs.iter_packs(), wanted, tally)
        tally.left = len(self._list_damaged())

    def _repair_from(
        self,
        candidates: Iterator[Pack | CorruptPack],
        wanted: dict[BlockId, BlockPlace],
        tally: ScrubTally,
    ) -> Iterator[int]:
        """Stores those of the wanted blocks anew that lie whole in one of these packs."""
        for found in candidates:
            pack = found.readable if isinstance(found, CorruptPack) else found
            if pack is None:
                yield 0
                continue
            frames = list(self._iter_whole(pack, wanted))
            yield pack.length_bytes
            if frames:
                tally.repaired += self._store(frames)
                for frame in frames:
                    del wanted[frame.block_id]
                yield sum(len(frame.payload) for frame in frames)
            if not wanted:
                return

    def _iter_whole(self, pack: Pack, wanted: Mapping[BlockId, BlockPlace]) -> Iterator[Frame]:
        places = [
            place
            for place in pack.places
            # Not from where it is known to be damaged.
            if place.block_id in wanted and wanted[place.block_id] != place
        ]
        length_bytes = 0
        for place, frame in zip(places, self._packs.read(places), strict=True):
            length_bytes += place.stored_bytes + HEADER_BYTES
            if isinstance(frame, LostBlock) or length_bytes > PACK_BYTES_TARGET:
                continue
            try:
                decode_frame(frame, lambda _: None)
            except Corrupt:
                continue
            yield frame

    def _store(self, frames: Sequence[Frame]) -> int:
        pack = self._packs.store(frames)
        try:
            self._metadata.write(
                lambda unit: unit.blocks.add_pack(pack.pack_id, pack.length_bytes, pack.places)
            )
        except PackRemoved:
            return 0  # It is tried again by the next scrub.
        log.warning("scrub.repaired", pack=pack.pack_id.hex(), blocks=len(frames))
        return len(frames)

    def _iter_retired(self) -> Iterator[Pack | CorruptPack]:
        for retired in self._work.iter_retired():
            if retired.state is RetiredState.KEPT:
                yield self._packs.load(retired.pack_id)

    # --- inside --------------------------------------------------------------------------------

    def _now_s(self) -> int:
        return self._clock.now_ns() // NS_PER_S

    def _iter_due(self, within_s: int) -> Iterator[PackLine]:
        if not within_s:
            for page in self._work.iter_packs():
                yield from page
            return
        # What is looked at gets a later second than this, even if the clock is set back a little.
        upto_s = self._now_s() - within_s
        looked: set[PackId] = set()
        while lines := self._list_unverified(upto_s):
            fresh = [line for line in lines if line.pack_id not in looked]
            yield from fresh
            looked.update(line.pack_id for line in fresh)
            if not fresh:
                return  # The clock was set back far.

    def _list_unverified(self, upto_s: int) -> list[PackLine]:
        return self._metadata.read(lambda unit: unit.packs.list_unverified(upto_s, PACKS_AT_ONCE))

    def _list_blocks(self, pack_id: PackId) -> list[BlockPlace]:
        return self._metadata.read(lambda unit: unit.packs.list_pack_blocks(pack_id))

    def _list_damaged(self) -> list[BlockPlace]:
        return self._metadata.read(lambda unit: unit.packs.list_damaged(DAMAGED_AT_ONCE))

    def _find_noted(self, pack_id: PackId) -> set[BlockId]:
        """Returns the blocks of a pack that were noted as damaged before."""

        def work(unit: Unit) -> set[BlockId]:
            ids = [place.block_id for place in unit.packs.list_pack_blocks(pack_id)]
            return set(ids) - unit.blocks.locate(ids).keys()

        return self._metadata.read(work)
