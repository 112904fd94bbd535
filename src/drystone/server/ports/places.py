# SPDX-License-Identifier: Apache-2.0
"""Places: where blocks lie."""

from typing import NamedTuple

from drystone.core.ids import BlockId, PackId


class BlockPlace(NamedTuple):
    """Where a block lies: one line of the block index.

    Attributes:
        block_id: The block.
        pack_id: The pack that holds it.
        offset_bytes: Of its *payload* in the pack (its frame header lies before).
        stored_bytes: Length of the payload.
        plain_bytes: Length of the block.
        codec: 0 raw, 1 zstd (``core.content.frame.Codec``).
        object_name: Of the object, if it is not the pack's own: nobody has verified it yet.
    """

    block_id: BlockId
    pack_id: PackId
    offset_bytes: int
    stored_bytes: int
    plain_bytes: int
    codec: int
    object_name: str = ""
