# SPDX-License-Identifier: Apache-2.0
"""Damage: stored blocks that cannot be read back are noted, so that they are sent once more.

A block that is noted counts as not held: asks say "send it", and what comes is stored in a new
place. Until then fetches say that it is damaged. Whoever finds a block damaged looks twice before
it is noted; one that is noted is looked at again by each fetch, and forgotten if it is whole:
somebody brought its pack back from a backup.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import structlog

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import Frame
from drystone.core.errors import Corrupt, DrystoneError
from drystone.core.ids import BlockId
from drystone.server.ports.blocks import LostBlock, Packs
from drystone.server.ports.metadata import BlockPlace, Unit
from drystone.server.service.blocks.shelf import Shelf, iter_batches, read_plain

log = structlog.get_logger()


def look_again(packs: Packs, place: BlockPlace) -> Frame | LostBlock:
    """Returns the frame at a place at which something was wrong: verified this time."""
    [found] = packs.read([place])
    if isinstance(found, LostBlock):
        return found
    try:
        decode_frame(found, lambda _: None)
    except Corrupt as error:
        return LostBlock(place, error.message)
    return found


def read_again(packs: Packs, lost: LostBlock) -> bytes | None:
    """Returns a block that could not be read a moment ago; None if it still cannot."""
    [block] = read_plain(packs, [lost.place])
    return None if isinstance(block, LostBlock) else block


async def note_damage(
    shelf: Shelf, lost: Collection[BlockPlace], mended: Collection[BlockPlace] = ()
) -> None:
    """Notes where blocks cannot be read back, and where they can after all.

    Trouble with noting it is ignored: who reads such a block next finds it again.
    """
    for place in lost:
        log.error("block.lost", block=place.block_id.hex(), pack=place.pack_id.hex())
    for place in mended:
        log.info("block.mended", block=place.block_id.hex(), pack=place.pack_id.hex())

    def note(unit: Unit) -> None:
        for places, is_damaged in ((lost, True), (mended, False)):
            arrived = [place for place in places if place.object_name]
            unit.arrivals.mark(arrived, is_damaged=is_damaged)
            indexed = [place for place in places if not place.object_name]
            unit.blocks.mark(indexed, is_damaged=is_damaged)

    if lost or mended:
        with suppress(DrystoneError):
            await shelf.writer.write(note)


async def verify_blocks(
    shelf: Shelf, held: Mapping[BlockId, BlockPlace], damaged: Mapping[BlockId, BlockPlace]
) -> None:
    """Reads blocks back and notes which of those held are damaged, and which of those noted as
    damaged are whole.

    Cost: all their bytes are read, decoded and hashed, a few MiB at a time, in the order in which
    they lie.
    """
    in_order = sorted(
        [*held.values(), *damaged.values()],
        key=lambda place: (place.pack_id, place.offset_bytes),
    )
    for batch in iter_batches(in_order):
        bad = await shelf.run(_find_lost, shelf.packs, batch)
        lost = [place for place in bad if place.block_id in held]
        whole = set(batch).difference(bad)
        await note_damage(shelf, lost, [p for p in whole if p.block_id in damaged])


def _find_lost(packs: Packs, places: Sequence[BlockPlace]) -> list[BlockPlace]:
    lost = [block for block in read_plain(packs, places) if isinstance(block, LostBlock)]
    return [block.place for block in lost if read_again(packs, block) is None]
