# SPDX-License-Identifier: Apache-2.0
"""Reading: stored blocks as frames for somebody who asked for them. Runs in threads.

A stored frame leaves as it lies: it is not decoded, and whoever gets it verifies it. Only where
the receiver has a similar block, a delta against that is made, if it is shorter.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from drystone.core.content.coding import encode_delta
from drystone.core.content.frame import BASED_HEADER_BYTES, HEADER_BYTES, Codec, Frame, absent_frame
from drystone.core.limits import MIB
from drystone.server.ports.blocks import LostBlock, Packs
from drystone.server.ports.metadata import BlockPlace
from drystone.server.service.blocks.shelf import Shelf, read_plain

log = structlog.get_logger()

_GROUP_BYTES: Final = 2 * MIB
"""What is read in one hop to a thread, and sent as one piece."""


class Wanted(NamedTuple):
    """A block to be sent: where it lies, and where a block lies that the receiver has."""

    place: BlockPlace
    base: BlockPlace | None


async def stream_frames(
    shelf: Shelf, wanted: Sequence[Wanted]
) -> AsyncGenerator[list[Frame], None]:
    """Yields the wanted blocks' frames in order, in groups of about 2 MiB.

    While one group is being sent, the next is read. A block that cannot be read is an ABSENT
    frame, and logged: the operator must know.
    """
    groups = _iter_groups(wanted)
    reading = _begin(shelf, next(groups, None))
    try:
        while reading is not None:
            frames = await reading
            reading = _begin(shelf, next(groups, None))
            yield frames
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def _begin(shelf: Shelf, group: list[Wanted] | None) -> "asyncio.Task[list[Frame]] | None":
    if group is None:
        return None
    return asyncio.create_task(shelf.run(_read_group, shelf.packs, group))


def _iter_groups(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Yields neighbours in groups whose reading takes bounded memory."""
    group: list[Wanted] = []
    group_bytes = 0
    for item in wanted:
        group.append(item)
        group_bytes += HEADER_BYTES + item.place.stored_bytes
        if item.base is not None:
            group_bytes += item.base.plain_bytes + item.place.plain_bytes
        if group_bytes >= _GROUP_BYTES:
            yield group
            group, group_bytes = [], 0
    if group:
        yield group


def _read_group(packs: Packs, group: Sequence[Wanted]) -> list[Frame]:
    frames = [
        _absent(found) if isinstance(found, LostBlock) else found
        for found in packs.read([item.place for item in group])
    ]
    with_base = [index for index, item in enumerate(group) if item.base is not None]
    if with_base:
        _make_deltas(packs, group, with_base, frames)
    return frames


def _absent(lost: LostBlock) -> Frame:
    log.error("block.lost", block=lost.block_id.hex(), pack=lost.pack_id.hex(), why=lost.message)
    return absent_frame(lost.block_id, lost.code, lost.message)


def _make_deltas(
    packs: Packs, group: Sequence[Wanted], indexes: Sequence[int], frames: list[Frame]
) -> None:
    """Replaces frames by deltas against their bases, where that is shorter."""
    places = {item.base.block_id: item.base for item in group if item.base is not None}
    bases = dict(zip(places, read_plain(packs, list(places.values())), strict=True))
    blocks = read_plain(packs, [group[index].place for index in indexes])
    for index, block in zip(indexes, blocks, strict=True):
        base_place = group[index].base
        assert base_place is not None
        base = bases[base_place.block_id]
        # A base that is lost here is no trouble: the block goes whole. A lost block is
        # an ABSENT frame already, or is found damaged by its receiver.
        if isinstance(base, LostBlock) or isinstance(block, LostBlock):
            continue
        delta = encode_delta(frames[index].block_id, block, base_place.block_id, base)
        whole_bytes = HEADER_BYTES + len(frames[index].payload)
        if delta.codec == Codec.DELTA and BASED_HEADER_BYTES + len(delta.payload) < whole_bytes:
            frames[index] = delta
