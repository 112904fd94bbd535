# SPDX-License-Identifier: Apache-2.0
"""Heads: what a device says of a pack that it would put into the object store itself.

It says the headers of all frames, one after the other. A pack is a tag and frames back to back, so
they tell where each block lies and how long the whole is; nothing else need be believed.
"""

from typing import Final, NamedTuple

from drystone.core.content.frame import HEADER_BYTES, Codec, MalformedFrame, decode_header
from drystone.core.content.hashing import PACK_TAG
from drystone.core.errors import Refused
from drystone.core.ids import BLOCK_ID_BYTES, PackId
from drystone.core.limits import DIRECT_PACK_BLOCKS_MAX, DIRECT_PACK_BYTES_MAX, DIRECT_PART_BYTES
from drystone.server.ports.places import BlockPlace

_CODECS: Final = (Codec.RAW, Codec.ZSTD)


class UnfitPack(Refused):
    """A pack cannot be put into the object store: what is said of it is impossible or too much."""

    code = "unfit-pack"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"that pack is not taken: {reason}",
            advice="Send its blocks through the server: PUT /v1/blocks.",
        )


class Offer(NamedTuple):
    """A pack as its device tells of it.

    Attributes:
        pack_id: SHA-256 that it has.
        heads: Headers of its frames, back to back.
        parts: SHA-256 of each ``DIRECT_PART_BYTES`` of it, back to back, if it may be put in parts.
    """

    pack_id: PackId
    heads: bytes
    parts: bytes = b""


class Layout(NamedTuple):
    """What follows from heads.

    Attributes:
        length_bytes: Of the whole pack.
        places: One per frame, in their order.
    """

    length_bytes: int
    places: list[BlockPlace]


def read_heads(offer: Offer, object_name: str = "") -> Layout:
    """Returns what the heads of a pack tell. Cost: half a microsecond per frame.

    Args:
        offer: From anywhere: nothing in it is believed.
        object_name: Stands in the places.

    Raises:
        UnfitPack: They are none, too many, or tell what cannot be.
    """
    pack_id, heads = offer.pack_id, offer.heads
    count, rest = divmod(len(heads), HEADER_BYTES)
    if len(pack_id) != BLOCK_ID_BYTES or rest or not count:
        raise UnfitPack("its name or its list of frames is cut off")
    if count > DIRECT_PACK_BLOCKS_MAX:
        raise UnfitPack(f"it has {count:,} blocks; at most {DIRECT_PACK_BLOCKS_MAX:,} are allowed")
    position = len(PACK_TAG)
    places: list[BlockPlace] = []
    for start in range(0, len(heads), HEADER_BYTES):
        try:
            codec, stored_bytes, plain_bytes, block_id = decode_header(heads, start)
        except MalformedFrame as error:
            raise UnfitPack(error.message) from error
        if codec not in _CODECS:
            raise UnfitPack(f"a frame has the codec {codec}, which no pack holds")
        position += HEADER_BYTES
        places.append(
            BlockPlace(block_id, pack_id, position, stored_bytes, plain_bytes, codec, object_name)
        )
        position += stored_bytes
    if position > DIRECT_PACK_BYTES_MAX:
        raise UnfitPack(f"it has {position:,} bytes; at most {DIRECT_PACK_BYTES_MAX:,} are allowed")
    if len({place.block_id for place in places}) < count:
        raise UnfitPack("it holds a block twice")
    if offer.parts and len(offer.parts) != BLOCK_ID_BYTES * -(-position // DIRECT_PART_BYTES):
        raise UnfitPack("it does not tell the SHA-256 of each part")
    return Layout(position, places)
