# SPDX-License-Identifier: Apache-2.0
"""Reading: stored blocks as frames for somebody who asked for them. Runs in threads.

A stored frame leaves as it lies: it is not decoded, and whoever gets it verifies it, and tells
when it asks for it again. Only where the receiver has a similar block, a delta against that is
made, if it is shorter.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from drystone.core.content.coding import decode_frame, encode_delta
from drystone.core.content.frame import BASED_HEADER_BYTES, HEADER_BYTES, Codec, Frame, absent_frame
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId
from drystone.core.limits import MIB
from drystone.server.ports.blocks import LostBlock, Packs, Run
from drystone.server.ports.metadata import BlockPlace
from drystone.server.service.blocks.damage import look_again, note_damage
from drystone.server.service.blocks.shelf import Shelf, read_plain

_GROUP_BYTES: Final = 2 * MIB
"""What is read in one hop to a thread, and sent as one piece."""


class Wanted(NamedTuple):
    """A block to be sent.

    Attributes:
        place: Where it lies.
        base: Where a block lies that the receiver has; None: none.
        is_doubted: It is verified before it leaves.
        is_noted: It was noted as damaged; forgotten if it turns out to be whole.
    """

    place: BlockPlace
    base: BlockPlace | None
    is_doubted: bool = False
    is_noted: bool = False


class _Group(NamedTuple):
    """What was read, and what was found out by that.

    Attributes:
        items: To be sent, in order.
        lost: Where blocks cannot be read back, looked at twice.
        mended: Where blocks are whole that were noted as damaged.
    """

    items: list[Run | Frame]
    lost: list[BlockPlace]
    mended: list[BlockPlace]


async def stream_frames(
    shelf: Shelf, wanted: Sequence[Wanted], divisor: Callable[[], int]
) -> AsyncGenerator[list[Run | Frame], None]:
    """Yields the wanted blocks' frames in order, in groups of about 2 MiB over ``divisor``.

    While one group is being sent, the next is read. A block that cannot be read is an ABSENT
    frame, and noted as damaged.
    """
    groups = _iter_groups(wanted, divisor)
    reading = _begin(shelf, next(groups, None))
    try:
        while reading is not None:
            group = await reading
            reading = _begin(shelf, next(groups, None))
            await note_damage(shelf, group.lost, group.mended)
            yield group.items
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def _begin(shelf: Shelf, group: list[Wanted] | None) -> "asyncio.Task[_Group] | None":
    if group is None:
        return None
    return asyncio.create_task(shelf.run(_read_group, shelf.packs, group))


def _iter_groups(wanted: Sequence[Wanted], divisor: Callable[[], int]) -> Iterator[list[Wanted]]:
    """Yields neighbours in groups whose reading takes bounded memory."""
    group: list[Wanted] = []
    group_bytes = 0
    for item in wanted:
        group.append(item)
        group_bytes += HEADER_BYTES + item.place.stored_bytes
        if item.base is not None:
            group_bytes += item.base.plain_bytes + item.place.plain_bytes
        if group_bytes >= _GROUP_BYTES // divisor():
            yield group
            group, group_bytes = [], 0
    if group:
        yield group


def _read_group(packs: Packs, group: Sequence[Wanted]) -> _Group:
    """Reads the frames of a group: deltas where a base is named and that is shorter."""
    read = _Group([], [], [])
    if not any(item.base is not None or item.is_doubted for item in group):
        for run in packs.read_runs([item.place for item in group]):
            read.items.append(
                _second_look(packs, run.place, read) if isinstance(run, LostBlock) else run
            )
        return read
    found = packs.read([item.place for item in group])
    bases = {item.base.block_id: item.base for item in group if item.base is not None}
    blocks = dict(zip(bases, read_plain(packs, list(bases.values())), strict=True))
    for frame, item in zip(found, group, strict=True):
        if isinstance(frame, LostBlock) or (item.is_doubted and _is_damaged(frame)):
            read.items.append(_second_look(packs, item.place, read))
            continue
        if item.is_noted:
            read.mended.append(item.place)
        try:
            read.items.append(_shorten(frame, item, blocks))
        except Corrupt:
            read.items.append(_second_look(packs, item.place, read))
    return read


def _second_look(packs: Packs, place: BlockPlace, read: _Group) -> Frame:
    """Returns what to send of a block with which something was wrong."""
    found = look_again(packs, place)
    if not isinstance(found, LostBlock):
        return found
    read.lost.append(place)
    return absent_frame(found.block_id, found.code, found.message)


def _is_damaged(frame: Frame) -> bool:
    try:
        decode_frame(frame, lambda _: None)
    except Corrupt:
        return True
    return False


def _shorten(frame: Frame, item: Wanted, blocks: Mapping[BlockId, bytes | LostBlock]) -> Frame:
    """Returns a delta if there is a base and it is shorter than the frame as it is stored.

    Raises:
        Corrupt: The frame does not yield its block.
    """
    if item.base is None:
        return frame
    base = blocks[item.base.block_id]
    if isinstance(base, LostBlock):  # No trouble here: the block goes whole.
        return frame
    plain = decode_frame(frame, lambda _: None)
    delta = encode_delta(frame.block_id, plain, item.base.block_id, base)
    is_shorter = BASED_HEADER_BYTES + len(delta.payload) < HEADER_BYTES + len(frame.payload)
    return delta if delta.codec == Codec.DELTA and is_shorter else frame
