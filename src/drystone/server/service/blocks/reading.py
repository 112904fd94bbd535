# SPDX-License-Identifier: Apache-2.0
"""Reading: stored blocks as frames for somebody who asked for them. Runs in threads.

A stored frame leaves as it lies: it is not decoded, and whoever gets it verifies it. Only where
the receiver has a similar block, a delta against that is made, if it is shorter.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from drystone.core.content.coding import decode_frame, encode_delta
from drystone.core.content.frame import BASED_HEADER_BYTES, HEADER_BYTES, Codec, Frame, absent_frame
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId
from drystone.core.limits import MIB
from drystone.server.ports.blocks import LostBlock, Packs, Run
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
    shelf: Shelf, wanted: Sequence[Wanted], divisor: Callable[[], int]
) -> AsyncGenerator[list[Run | Frame], None]:
    """Yields the wanted blocks' frames in order, in groups of about 2 MiB over ``divisor``.

    While one group is being sent, the next is read. A block that cannot be read is an ABSENT
    frame, and logged: the operator must know.
    """
    groups = _iter_groups(wanted, divisor)
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


def _begin(shelf: Shelf, group: list[Wanted] | None) -> "asyncio.Task[list[Run | Frame]] | None":
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


def _read_group(packs: Packs, group: Sequence[Wanted]) -> list[Run | Frame]:
    """Returns the frames of a group: deltas where a base is named and that is shorter."""
    if all(item.base is None for item in group):
        runs = packs.read_runs([item.place for item in group])
        return [_absent(run) if isinstance(run, LostBlock) else run for run in runs]
    found = packs.read([item.place for item in group])
    bases = {item.base.block_id: item.base for item in group if item.base is not None}
    blocks = dict(zip(bases, read_plain(packs, list(bases.values())), strict=True))
    return [
        _absent(frame) if isinstance(frame, LostBlock) else _shorten(frame, item, blocks)
        for frame, item in zip(found, group, strict=True)
    ]


def _absent(lost: LostBlock) -> Frame:
    log.error("block.lost", block=lost.block_id.hex(), pack=lost.pack_id.hex(), why=lost.message)
    return absent_frame(lost.block_id, lost.code, lost.message)


def _shorten(frame: Frame, item: Wanted, blocks: Mapping[BlockId, bytes | LostBlock]) -> Frame:
    """Returns a delta if there is a base and it is shorter than the frame as it is stored."""
    if item.base is None:
        return frame
    base = blocks[item.base.block_id]
    if isinstance(base, LostBlock):  # No trouble here: the block goes whole.
        return frame
    try:
        plain = decode_frame(frame, lambda _: None)
    except Corrupt as error:
        return _absent(LostBlock(item.place, error.message))
    delta = encode_delta(frame.block_id, plain, item.base.block_id, base)
    is_shorter = BASED_HEADER_BYTES + len(delta.payload) < HEADER_BYTES + len(frame.payload)
    return delta if delta.codec == Codec.DELTA and is_shorter else frame
