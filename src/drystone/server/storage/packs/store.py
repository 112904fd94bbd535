# SPDX-License-Identifier: Apache-2.0
"""Frames into packs, and back out of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain
from typing import Final

from drystone.core.content.frame import HEADER, HEADER_BYTES, MARKER, Frame, encode_header
from drystone.core.content.hashing import PACK_TAG, Buffer
from drystone.core.errors import Corrupt
from drystone.core.ids import PackId
from drystone.core.limits import BLOCK_BYTES_MAX, KIB, MIB, PACK_BYTES_TARGET
from drystone.server.ports.blocks import CorruptPack, LostBlock, Pack, Run, StoredPack
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


_Stretch = tuple[list[BlockPlace], bytes | LostBlock]
"""Neighbours, and their frames' bytes; or one place, and why nothing can be read there."""


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
        answer: list[Frame | LostBlock] = []
        for run, found in self._read_stretches(places):
            if isinstance(found, LostBlock):
                answer.append(found)
                continue
            view = memoryview(found)
            first_bytes = run[0].offset_bytes
            for place in run:
                start = place.offset_bytes - first_bytes + HEADER_BYTES
                payload = view[start : start + place.stored_bytes]
                answer.append(Frame(place.block_id, place.plain_bytes, place.codec, payload))
        return answer

    def read_runs(self, places: Sequence[BlockPlace]) -> list[Run | LostBlock]:
        return [
            found if isinstance(found, LostBlock) else Run(len(run), found)
            for run, found in self._read_stretches(places)
        ]

    def load(self, pack_id: PackId) -> Pack | CorruptPack:
        name = pack_name(pack_id)
        length_bytes = self._objects.find_length(name)
        if length_bytes is None:
            return CorruptPack(name, "it is missing")
        return self._parse_pack(name, length_bytes)

    def iter_stored(self) -> Iterator[StoredPack]:
        for name, length_bytes, written_ns in self._objects.iter_names(PREFIX):
            if (pack_id := parse_pack_name(name)) is not None:
                yield StoredPack(pack_id, length_bytes, written_ns)

    def remove(self, pack_id: PackId) -> None:
        self._objects.delete(pack_name(pack_id))

    def object_name(self, place: BlockPlace) -> str:
        return place.object_name or pack_name(place.pack_id)

    def iter_packs(self) -> Iterator[Pack | CorruptPack]:
        for stat in self._objects.iter_names(PREFIX):
            if parse_pack_name(stat.name) is not None:
                yield self._parse_pack(stat.name, stat.length_bytes)

    def _read_stretches(self, places: Sequence[BlockPlace]) -> Iterator[_Stretch]:
        """Yields runs of neighbours with their frames' bytes, in the order asked for.

        A run in which something is wrong is yielded frame by frame.
        """
        runs = list(_iter_neighbours(places))
        by_object: defaultdict[str, list[int]] = defaultdict(list)
        for index, run in enumerate(runs):
            by_object[self.object_name(run[0])].append(index)
        found: dict[int, list[_Stretch]] = {}
        for name, indexes in by_object.items():
            read = self._read_from_pack(name, [runs[index] for index in indexes])
            found.update(zip(indexes, read, strict=True))
        return chain.from_iterable(found[index] for index in range(len(runs)))

    def _read_from_pack(self, name: str, runs: Sequence[list[BlockPlace]]) -> list[list[_Stretch]]:
        """Returns what lies at runs of one object: each whole, or frame by frame."""
        ranges = [_range_of(run) for run in runs]
        try:
            contents = self._objects.read(name, ranges)
        except FileNotFoundError:
            return [_all_lost(run, "its pack is missing") for run in runs]
        except Corrupt as error:
            if len(runs) == len(runs[0]) == 1:
                return [_all_lost(runs[0], error.message)]
            # One bad spot of the medium: find out which blocks do not lie on it.
            single = [self._read_from_pack(name, [[place]])[0] for run in runs for place in run]
            pieces = iter(single)
            return [[next(pieces)[0] for _ in run] for run in runs]
        return [_check(run, content) for run, content in zip(runs, contents, strict=True)]

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


def _iter_neighbours(places: Sequence[BlockPlace]) -> Iterator[list[BlockPlace]]:
    """Yields places in runs that lie back to back in one pack."""
    run: list[BlockPlace] = []
    next_offset_bytes = 0
    pack: tuple[bytes, str] = b"", ""
    for place in places:
        of_place = place.pack_id, place.object_name
        if place.offset_bytes != next_offset_bytes or of_place != pack:
            if run:
                yield run
            run = []
            pack = of_place
        run.append(place)
        next_offset_bytes = place.offset_bytes + place.stored_bytes + HEADER_BYTES
    if run:
        yield run


def _range_of(run: Sequence[BlockPlace]) -> tuple[int, int]:
    """Returns where the frames of a run begin, and how long they are together."""
    start = run[0].offset_bytes - HEADER_BYTES
    return start, run[-1].offset_bytes + run[-1].stored_bytes - start


def _check(run: list[BlockPlace], content: bytes) -> list[_Stretch]:
    """Returns a run whole if its bytes are what the index tells of, else frame by frame."""
    start, length_bytes = _range_of(run)
    if len(content) == length_bytes:
        for block_id, _, offset_bytes, stored_bytes, plain_bytes, codec, _ in run:
            header = HEADER.pack(MARKER, codec, stored_bytes, plain_bytes, block_id)
            if not content.startswith(header, offset_bytes - HEADER_BYTES - start):
                break
        else:
            return [(run, content)]
    if len(run) > 1:
        # Slices of what was read: no second look at the medium.
        pieces = ((place, _range_of([place])) for place in run)
        singles = (([p], content[o - start : o - start + n]) for p, (o, n) in pieces)
        return [_check(single, piece)[0] for single, piece in singles]
    is_short = len(content) != length_bytes
    return _all_lost(run, "its pack is cut off" if is_short else "other bytes lie in its place")


def _all_lost(run: Sequence[BlockPlace], reason: str) -> list[_Stretch]:
    return [([place], LostBlock(place, reason)) for place in run]


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
