# SPDX-License-Identifier: Apache-2.0
"""Packs: the block index against the objects, both ways; and the bytes, if it is to be deep."""

from collections.abc import Callable, Iterator
from typing import Final

from drystone.core.content.frame import HEADER_BYTES
from drystone.core.content.hashing import PACK_TAG
from drystone.core.ids import PackId
from drystone.core.instant import NS_PER_S
from drystone.server.ports.blocks import LostBlock, Packs
from drystone.server.ports.metadata import BlockPlace, Metadata
from drystone.server.ports.objects import Objects, ObjectStat
from drystone.server.ports.survey import PackLine, PlaceLine, survey_of
from drystone.server.service.blocks.shelf import iter_batches, read_plain
from drystone.server.storage.packs.layout import PREFIX, pack_name, parse_pack_name
from drystone.server.workers.checking.findings import Finding, make_finding

_PAGE: Final = 4_096
_SHARDS: Final = 256

_YOUNG_S: Final = 3_600
"""An object this young may be one that is being uploaded: its pack is indexed a moment later."""


def iter_object_findings(
    metadata: Metadata, objects: Objects, now_ns: int, tell: Callable[[int], None]
) -> Iterator[Finding]:
    """Yields packs without objects, objects without packs, and wrong lengths.

    Memory: the 256th part of the packs. ``tell`` is told how many packs were looked at.
    """
    count = 0
    for shard in range(_SHARDS):
        lines = {line.pack_id: line.length_bytes for line in _iter_shard(metadata, shard)}
        found: dict[PackId, ObjectStat] = {}
        for stat in objects.iter_names(f"{PREFIX}{shard:02x}/"):
            pack_id = parse_pack_name(stat.name)
            if pack_id is None:
                what = "an object lies among the packs and is none"
                yield make_finding("object-unknown", what, stat.name)
            else:
                found[pack_id] = stat
        for pack_id, length_bytes in lines.items():
            there = found.get(pack_id)
            if there is None or there.length_bytes != length_bytes:
                yield from _look_again(metadata, objects, PackLine(pack_id, length_bytes))
        for pack_id in found.keys() - lines.keys():
            stat = found[pack_id]
            is_young = now_ns - stat.written_ns < _YOUNG_S * NS_PER_S
            if not is_young and not _is_known(metadata, pack_id):
                what = f"a pack of {stat.length_bytes:,} bytes is not in the index"
                yield make_finding("pack-unknown", what, stat.name)
        count += len(lines)
        tell(count)


def iter_place_findings(
    metadata: Metadata, packs: Packs, tell: Callable[[int], None], *, is_deep: bool
) -> Iterator[Finding]:
    """Yields lines of the index that cannot be; if it is to be deep, blocks that are not whole.

    ``tell`` is told how many blocks were looked at. Memory: that of a few MiB of blocks.
    """
    after = count = 0
    while lines := metadata.read(
        lambda unit, after=after: survey_of(unit).list_places(after, _PAGE)  # type: ignore[misc]
    ):
        sound = []
        for line in lines:
            code, what = _judge(line)
            if code:
                yield make_finding(code, what, f"pack {line.place.pack_id.hex()}")
            elif not line.is_damaged:
                sound.append(line.place)
        if is_deep:
            yield from _iter_damaged(metadata, packs, sound)
        after = lines[-1].number
        count += len(lines)
        tell(count)


def _iter_shard(metadata: Metadata, shard: int) -> Iterator[PackLine]:
    """Yields the packs whose id begins with this byte."""
    after = bytes([shard - 1]) + b"\xff" * 31 if shard else b""
    while lines := metadata.read(
        lambda unit, after=after: survey_of(unit).list_packs(after, _PAGE)  # type: ignore[misc]
    ):
        for line in lines:
            if line.pack_id[0] != shard:
                return
            yield line
        after = lines[-1].pack_id


def _look_again(metadata: Metadata, objects: Objects, line: PackLine) -> Iterator[Finding]:
    """Yields what is wrong with a pack if it still is: it may have been removed meanwhile."""
    name = pack_name(line.pack_id)
    length_bytes = objects.find_length(name)
    if length_bytes == line.length_bytes or not _is_known(metadata, line.pack_id):
        return
    if length_bytes is None:
        yield make_finding("pack-missing", "the object of a pack is gone", name)
    else:
        what = f"a pack of {line.length_bytes:,} bytes is an object of {length_bytes:,}"
        yield make_finding("pack-length", what, name)


def _judge(line: PlaceLine) -> tuple[str, str]:
    """Returns the code of what is wrong with a line of the index, and a sentence; or nothing."""
    place = line.place
    name = place.block_id.hex()
    if not place.pack_id:
        return "place-without-pack", f"the block {name} lies in a pack that is not known"
    if (
        place.offset_bytes < len(PACK_TAG) + HEADER_BYTES
        or place.offset_bytes + place.stored_bytes > line.pack_bytes
    ):
        return "place-outside", f"the block {name} should lie beyond the end of its pack"
    return "", ""


def _iter_damaged(metadata: Metadata, packs: Packs, places: list[BlockPlace]) -> Iterator[Finding]:
    for batch in iter_batches(sorted(places, key=lambda p: (p.pack_id, p.offset_bytes))):
        for place, block in zip(batch, read_plain(packs, batch), strict=True):
            if isinstance(block, LostBlock) and _lies_there(metadata, place):
                yield make_finding("block-damaged", block.message, pack_name(place.pack_id))


def _lies_there(metadata: Metadata, place: BlockPlace) -> bool:
    """Tells whether the index still says that a block lies there, and that it is whole."""
    found = metadata.read(lambda unit: unit.blocks.locate([place.block_id]))
    return found.get(place.block_id) == place


def _is_known(metadata: Metadata, pack_id: PackId) -> bool:
    """Tells whether the metadata know a pack now."""
    before = (int.from_bytes(pack_id) - 1).to_bytes(len(pack_id)) if any(pack_id) else b""
    lines = metadata.read(lambda unit: survey_of(unit).list_packs(before, 1))
    return [line.pack_id for line in lines] == [pack_id]
