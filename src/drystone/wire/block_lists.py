# SPDX-License-Identifier: Apache-2.0
"""Lists of block ids and of answers about them, packed for the wire."""

from collections.abc import Collection, Iterable, Sequence

from drystone.core.content.frame import NO_BLOCK
from drystone.core.ids import BLOCK_ID_BYTES, BlockId
from drystone.core.limits import ASK_BLOCKS_MAX
from drystone.wire.codec import MalformedMessage, MessageTooLarge


def join_ids(block_ids: Iterable[BlockId]) -> bytes:
    """Returns block ids back to back."""
    return b"".join(block_ids)


def split_ids(packed: bytes, count_max: int = ASK_BLOCKS_MAX) -> list[BlockId]:
    """Returns the block ids that stand in ``packed`` back to back.

    Raises:
        MalformedMessage: Its length is not a multiple of 32 bytes.
        MessageTooLarge: There are more than ``count_max``.
    """
    if len(packed) % BLOCK_ID_BYTES:
        raise MalformedMessage(f"{len(packed)} bytes are not a list of block ids of 32 bytes")
    if len(packed) > count_max * BLOCK_ID_BYTES:
        raise MessageTooLarge(f"a list of block ids has more than {count_max}; ask in parts")
    return [
        BlockId(packed[start : start + BLOCK_ID_BYTES])
        for start in range(0, len(packed), BLOCK_ID_BYTES)
    ]


def join_bases(bases: Sequence[BlockId | None]) -> bytes:
    """Returns the bases of a fetch: empty if there are none at all."""
    if all(base is None for base in bases):
        return b""
    return b"".join(base or NO_BLOCK for base in bases)


def split_bases(packed: bytes, count: int) -> list[BlockId | None]:
    """Returns the base for each of ``count`` blocks of a fetch.

    Raises:
        MalformedMessage: ``packed`` is neither empty nor as long as the list of blocks.
    """
    if not packed:
        return [None] * count
    if len(packed) != count * BLOCK_ID_BYTES:
        raise MalformedMessage("a fetch does not name as many bases as blocks")
    return [None if base == NO_BLOCK else base for base in split_ids(packed, count)]


def encode_missing(block_ids: Sequence[BlockId], missing: Collection[BlockId]) -> bytes:
    """Returns one bit per block id: 1 where it is in ``missing``. First id, lowest bit."""
    bits = bytearray((len(block_ids) + 7) // 8)
    for index, block_id in enumerate(block_ids):
        if block_id in missing:
            bits[index >> 3] |= 1 << (index & 7)
    return bytes(bits)


def decode_missing(block_ids: Sequence[BlockId], bits: bytes) -> list[BlockId]:
    """Returns those of ``block_ids`` whose bit is set, in order, each once.

    Raises:
        MalformedMessage: There are not as many bits as ids.
    """
    if len(bits) != (len(block_ids) + 7) // 8:
        raise MalformedMessage("an answer does not have one bit for each block asked about")
    wanted = (
        block_id for index, block_id in enumerate(block_ids) if bits[index >> 3] >> (index & 7) & 1
    )
    return list(dict.fromkeys(wanted))
