# SPDX-License-Identifier: Apache-2.0
"""The bytes of a pack.

======  =====  =====================================================================
offset  bytes  meaning
======  =====  =====================================================================
0       8      ``PACK_TAG``
8       44     header of the first frame (``core.content.frame``): codec RAW or ZSTD
52      n      its payload
52 + n  ...    more frames, until the end of the object
======  =====  =====================================================================

The object is named ``packs/ab/abcd…``: the SHA-256 of all these bytes in hexadecimal, below
its first two digits. There is no table at the end: headers describe themselves, the block
index remembers where they are.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Final

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import (
    HEADER_BYTES,
    Codec,
    Frame,
    MalformedFrame,
    decode_header,
)
from drystone.core.content.hashing import PACK_TAG
from drystone.core.errors import Corrupt
from drystone.core.ids import PackId
from drystone.server.ports.blocks import CorruptPack, Pack
from drystone.server.ports.metadata import BlockPlace

PREFIX: Final = "packs/"
CODECS: Final = (Codec.RAW, Codec.ZSTD)
"""What may lie in a pack: what yields its block without any other."""

_NAME: Final = re.compile(r"packs/([0-9a-f]{2})/(\1[0-9a-f]{62})")


def pack_name(pack_id: PackId) -> str:
    """Returns the name of the object that is this pack."""
    digits = pack_id.hex()
    return f"{PREFIX}{digits[:2]}/{digits}"


def parse_pack_name(name: str) -> PackId | None:
    """Returns the pack that an object is by its name, or None."""
    match = _NAME.fullmatch(name)
    return PackId(bytes.fromhex(match[2])) if match else None


def parse_pack(name: str, content: bytes) -> Pack:
    """Returns what the bytes of a whole pack say of themselves.

    Raises:
        CorruptPack: They do not have the SHA-256 that is their name, or are no pack.
    """
    pack_id = parse_pack_name(name)
    if pack_id is None:
        raise CorruptPack(name, "that is not the name of a pack")
    if sha256(content).digest() != pack_id:
        reason = "its bytes do not have the SHA-256 that names it"
        raise CorruptPack(name, reason, _find_readable(pack_id, content))
    if not content.startswith(PACK_TAG):
        raise CorruptPack(name, "it does not begin as a pack does")
    try:
        return Pack(pack_id, len(content), list(_iter_places(pack_id, content)))
    except MalformedFrame as error:
        raise CorruptPack(name, error.message) from error


def _find_readable(pack_id: PackId, content: bytes) -> Pack | None:
    """Returns the blocks of a damaged pack that are whole, as far as its frames can be walked."""
    readable: list[BlockPlace] = []
    with suppress(MalformedFrame):
        for place in _iter_places(pack_id, content):
            payload = memoryview(content)[place.offset_bytes :][: place.stored_bytes]
            frame = Frame(place.block_id, place.plain_bytes, place.codec, payload)
            with suppress(Corrupt):
                decode_frame(frame, lambda _: None)
                readable.append(place)
    return Pack(pack_id, len(content), readable) if readable else None


def _iter_places(pack_id: PackId, content: bytes) -> Iterator[BlockPlace]:
    position = len(PACK_TAG)
    while position < len(content):
        if len(content) - position < HEADER_BYTES:
            raise MalformedFrame("a frame's header is cut off")
        header = decode_header(content, position)
        if header.codec not in CODECS:
            raise MalformedFrame(f"a frame has the codec {header.codec}, which no pack holds")
        position += HEADER_BYTES
        if len(content) - position < header.stored_bytes:
            raise MalformedFrame("a frame's payload is cut off")
        codec, stored_bytes, plain_bytes, block_id = header
        yield BlockPlace(block_id, pack_id, position, stored_bytes, plain_bytes, codec)
        position += stored_bytes
