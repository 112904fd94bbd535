# SPDX-License-Identifier: Apache-2.0
"""Frames into packs, and back out of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from drystone.core.content.frame import HEADER_BYTES, Frame, encode_header
from drystone.core.content.hashing import PACK_TAG, Buffer
from drystone.core.errors import Corrupt
from drystone.core.ids import PackId
from drystone.core.limits import BLOCK_BYTES_MAX, KIB, MIB, PACK_BYTES_TARGET
from drystone.server.ports.blocks import CorruptPack, LostBlock, Pack
from drystone.server.ports.metadata import BlockPlace
from drystone.server.ports.objects import Objects
from drystone.server.storage.packs.layout import (
    CODECS,
    PREFIX,
    pack_name,
    parse_pack,
    parse_pack_name,
)

_JOINED_PAYLOAD_BYTES_MAX: Final = 64 * KIB
"""Payloads up to this size are copied together: hashing and writing each by itself would cost
more than the copy."""

_JOINED_BYTES: Final = 1 * MIB
"""How much is copied together, about."""


class ObjectPacks:
    """Implements ``server.ports.blocks.Packs`` over a store of objects.

    Args:
        objects: Where the packs lie, below ``packs/``.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def store(self, frames: Sequence[Frame]) -> Pack:
        parts = list(_iter_parts(frames))
        hasher = sha256()
        for part in parts:
            hasher.update(part)
        pack_id = PackId(hasher.digest())
        places: list[BlockPlace] = []
        position = len(PACK_TAG)
        for block_id, plain_bytes, codec, payload, base in frames:
            assert codec in CODECS
            assert base is None
            position += HEADER_BYTES
            stored_bytes = len(payload)
            places.append(BlockPlace(block_id, pack_id, position, stored_bytes, plain_bytes, codec))
            position += stored_bytes
        assert 0 < len(places) == len({place.block_id for place in places})
        headers_bytes = len(PACK_TAG) + HEADER_BYTES * len(places)
        assert position - headers_bytes <= PACK_BYTES_TARGET + BLOCK_BYTES_MAX
        self._objects.put(pack_name(pack_id), parts)
        return Pack(pack_id, position, places)

    def read(self, places: Sequence[BlockPlace]) -> list[Frame | LostBlock]:
        by_pack: defaultdict[PackId, list[int]] = defaultdict(list)
        for index, place in enumerate(places):
            by_pack[place.pack_id].append(index)
        answer: dict[int, Frame | LostBlock] = {}
        for pack_id, indexes in by_pack.items():
            found = self._read_from_pack(pack_id, [places[index] for index in indexes])
            answer.update(zip(indexes, found, strict=True))
        return [answer[index] for index in range(len(places))]

    def iter_packs(self) -> Iterator[Pack | CorruptPack]:
        for stat in self._objects.iter_names(PREFIX):
            if parse_pack_name(stat.name) is not None:
                yield self._parse_pack(stat.name, stat.length_bytes)

    def _read_from_pack(
        self, pack_id: PackId, places: Sequence[BlockPlace]
    ) -> list[Frame | LostBlock]:
        """Returns what lies at places of one pack."""
        ranges = [(p.offset_bytes - HEADER_BYTES, HEADER_BYTES + p.stored_bytes) for p in places]
        try:
            contents = self._objects.read(pack_name(pack_id), ranges)
        except FileNotFoundError:
            return [LostBlock(place, "its pack is missing") for place in places]
        except Corrupt as error:
            if len(places) == 1:
                return [LostBlock(places[0], error.message)]
            # One bad spot of the medium: find out which blocks do not lie on it.
            return [self._read_from_pack(pack_id, [place])[0] for place in places]
        return [_check(place, content) for place, content in zip(places, contents, strict=True)]

    def _parse_pack(self, name: str, length_bytes: int) -> Pack | CorruptPack:
        try:
            [content] = self._objects.read(name, [(0, length_bytes)])
            return parse_pack(name, content)
        except CorruptPack as error:
            return error
        except Corrupt as error:
            return CorruptPack(name, error.message)
        except FileNotFoundError:
            return CorruptPack(name, "it was deleted while it was read")


def _check(place: BlockPlace, content: bytes) -> Frame | LostBlock:
    """Returns the frame that ``content`` is, if it is the one the index tells of."""
    if len(content) != HEADER_BYTES + place.stored_bytes:
        return LostBlock(place, "its pack is cut off")
    frame = Frame(
        place.block_id, place.plain_bytes, place.codec, memoryview(content)[HEADER_BYTES:]
    )
    if not content.startswith(encode_header(frame)):
        return LostBlock(place, "other bytes lie in its place")
    return frame


def _iter_parts(frames: Sequence[Frame]) -> Iterator[Buffer]:
    """Yields the bytes of a pack in pieces worth a system call each."""
    small: list[Buffer] = [PACK_TAG]
    small_bytes = len(PACK_TAG)
    for frame in frames:
        payload_bytes = len(frame.payload)
        small.append(encode_header(frame))
        if payload_bytes > _JOINED_PAYLOAD_BYTES_MAX:
            yield b"".join(small)
            yield frame.payload
            small, small_bytes = [], 0
            continue
        small.append(frame.payload)
        small_bytes += HEADER_BYTES + payload_bytes
        if small_bytes >= _JOINED_BYTES:
            yield b"".join(small)
            small, small_bytes = [], 0
    yield b"".join(small)
