# SPDX-License-Identifier: Apache-2.0
"""Checking: uploaded frames against the blocks they claim to be. Runs in a thread.

Nothing that a sender says is believed: each frame is decoded, bounded, and its bytes are hashed,
also when the server has the block already. Otherwise who only knows a block's id could let a
namespace hold it, and then read it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from drystone.core.content.coding import BlockEncoder, CorruptBlock, decode_frame, decode_payload
from drystone.core.content.frame import Codec, Frame
from drystone.core.content.hashing import block_id
from drystone.core.errors import Corrupt, Refused
from drystone.core.ids import BlockId, NamespaceId
from drystone.server.ports.blocks import LostBlock
from drystone.server.ports.metadata import BlockPlace, Unit
from drystone.server.service.blocks.shelf import PLAIN_BYTES_AT_ONCE, Shelf, locate_held, read_plain

_RAW: Final = int(Codec.RAW)
_ZSTD: Final = int(Codec.ZSTD)
"""As plain numbers: comparing those is quicker, and frames are many."""


class BlockRefused(Refused):
    """An uploaded frame does not yield the block it names. ``code`` says why:
    ``corrupt-block``, ``bad-compression``, ``decompression-bomb``, ``malformed-patch`` or
    ``missing-base``.

    Attributes:
        block_id: The block that the frame names.
    """

    def __init__(self, frame: Frame, error: Corrupt) -> None:
        is_whole = frame.base is None
        super().__init__(
            f"block {frame.block_id.hex()} was not taken: {error.message}",
            advice="Read the file again and send the block once more."
            if is_whole
            else "Send the block whole.",
        )
        self.code = error.code
        self.block_id = frame.block_id


class Checked(NamedTuple):
    """What a group of frames brought.

    Attributes:
        fresh: Frames to be packed: RAW and ZSTD.
        known: Blocks that were sent although they are in the index.
    """

    fresh: list[Frame]
    known: list[BlockId]


def check_frames(
    shelf: Shelf, namespace_id: NamespaceId, frames: Sequence[Frame], arrived_bytes: int
) -> Checked:
    """Returns what to keep of frames, each block once.

    Args:
        shelf: Where bases are read from, and looked up whether the namespace holds them.
        namespace_id: For whom the frames came.
        frames: A few MiB. Their payloads may be views of longer buffers.
        arrived_bytes: How long those buffers are together, about.

    Raises:
        BlockRefused: One of them is not what it says; nothing of the group is kept.
        Unavailable: The store or the database cannot be read now.
    """
    based = [frame for frame in frames if frame.base is not None]
    base_ids = {frame.base for frame in based if frame.base is not None}

    def look_up(unit: Unit) -> tuple[Collection[BlockId], Mapping[BlockId, BlockPlace]]:
        known = unit.blocks.locate([frame.block_id for frame in frames])
        return known.keys(), locate_held(unit, namespace_id, base_ids) if base_ids else {}

    known, bases = shelf.metadata.read(look_up)
    fresh: list[Frame] = []
    again: list[BlockId] = []
    for frame in frames:
        if frame.base is not None:
            continue
        _require_block(frame)
        if frame.block_id in known:
            again.append(frame.block_id)
        else:
            fresh.append(frame)
    fresh = _compact(fresh, arrived_bytes)
    encoder = BlockEncoder()
    for name, plain in _iter_rebuilt(shelf, based, bases):
        if name in known:
            again.append(name)
        else:
            fresh.append(encoder.encode(name, plain))
    return Checked(fresh, again)


def _require_block(frame: Frame) -> None:
    """Raises ``BlockRefused`` unless a frame without a base yields its block."""
    try:
        if frame.codec == _RAW:
            found = block_id(frame.payload)
        elif frame.codec == _ZSTD:
            found = block_id(decode_payload(frame, _no_base))
        else:
            raise CorruptBlock(f"a frame with the codec {frame.codec} brings no block")
        if found != frame.block_id:
            raise CorruptBlock("its bytes have another SHA-256")
    except Corrupt as error:
        raise BlockRefused(frame, error) from error


def _no_base(_: BlockId) -> None:
    return None


def _compact(fresh: list[Frame], arrived_bytes: int) -> list[Frame]:
    """Returns ``fresh``, with payloads of their own if they would keep much else in memory.

    A payload is a view of the piece of the body in which it came. Where most of what came is
    not kept, views would hold on to it until the pack is full.
    """
    if 2 * sum(len(frame.payload) for frame in fresh) >= arrived_bytes:
        return fresh
    return [frame._replace(payload=bytes(frame.payload)) for frame in fresh]


def _iter_rebuilt(
    shelf: Shelf, based: Sequence[Frame], bases: Mapping[BlockId, BlockPlace]
) -> Iterator[tuple[BlockId, bytes]]:
    """Yields the blocks that frames make from held blocks, verified."""
    for batch in _iter_batches(based, bases):
        wanted = {frame.base for frame in batch}
        places = [place for name, place in bases.items() if name in wanted]
        plain = {
            place.block_id: block
            for place, block in zip(places, read_plain(shelf.packs, places), strict=True)
            if not isinstance(block, LostBlock)
        }
        for frame in batch:
            try:
                yield frame.block_id, decode_frame(frame, plain.get)
            except Corrupt as error:
                raise BlockRefused(frame, error) from error


def _iter_batches(
    based: Sequence[Frame], bases: Mapping[BlockId, BlockPlace]
) -> Iterator[list[Frame]]:
    """Yields frames in batches whose bases fit in memory together."""
    batch: list[Frame] = []
    batch_bytes = 0
    for frame in based:
        place = bases.get(frame.base) if frame.base is not None else None
        base_bytes = place.plain_bytes if place else 0
        if batch and batch_bytes + base_bytes > PLAIN_BYTES_AT_ONCE:
            yield batch
            batch, batch_bytes = [], 0
        batch.append(frame)
        batch_bytes += base_bytes
    if batch:
        yield batch
