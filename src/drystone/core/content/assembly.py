# SPDX-License-Identifier: Apache-2.0
"""Assembly: how to build a file from what is at hand, and what must be fetched."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from drystone.core.content.chunk import Chunk
from drystone.core.content.hashing import zeros_id
from drystone.core.ids import BlockId
from drystone.core.limits import BLOCK_BYTES_MAX

S = TypeVar("S")
"""What names a source of seeds: a path, a file id; anything that compares."""


class Seed(NamedTuple, Generic[S]):
    """A region of a local file known to hold a wanted block."""

    source: S
    offset_bytes: int


class Copy(NamedTuple, Generic[S]):
    """Copy a region of a source into the new file. It may span many chunks."""

    source: S
    source_offset_bytes: int
    offset_bytes: int
    length_bytes: int


class Hole(NamedTuple):
    """Leave a region of the new file unwritten: it is zeros."""

    offset_bytes: int
    length_bytes: int


class Fetch(NamedTuple):
    """Get a block and write it wherever the new file has it.

    Attributes:
        block_id: The block.
        length_bytes: Its length.
        offsets_bytes: Where it stands in the new file; at least one place.
        base: A block at hand that it probably resembles, or None.
    """

    block_id: BlockId
    length_bytes: int
    offsets_bytes: tuple[int, ...]
    base: BlockId | None


class Assembly(NamedTuple, Generic[S]):
    """All that makes up a file: together these cover it exactly, nothing twice.

    A source may have changed since it was read last: the built file is to be verified as a
    whole (or chunk by chunk) before it is shown.
    """

    copies: tuple[Copy[S], ...]
    holes: tuple[Hole, ...]
    fetches: tuple[Fetch, ...]


def plan_assembly(
    chunks: Sequence[Chunk], seeds: Mapping[BlockId, Seed[S]], old_chunks: Sequence[Chunk] = ()
) -> Assembly[S]:
    """Returns how to build the file that ``chunks`` make up.

    Args:
        chunks: Of the new content, covering it in order.
        seeds: Where blocks can be copied from.
        old_chunks: Of the content that is replaced, whose blocks are at hand as bases.

    Order: copies and holes by offset; fetches by the first place of each block, so that
    the file grows from its start. Neighbours that are neighbours in the source too become
    one copy. Cost: O(chunks).
    """
    copies: list[Copy[S]] = []
    holes: list[Hole] = []
    places: dict[BlockId, list[Chunk]] = {}
    for chunk in chunks:
        offset, length, name = chunk
        if length == BLOCK_BYTES_MAX and name == zeros_id(BLOCK_BYTES_MAX):
            _add_hole(holes, offset, length)
        elif (seed := seeds.get(name)) is not None:
            _add_copy(copies, Copy(seed.source, seed.offset_bytes, offset, length))
        else:
            places.setdefault(name, []).append(chunk)
    bases = pick_bases(chunks, old_chunks) if places and old_chunks else {}
    fetches = tuple(
        Fetch(
            name,
            found[0].length_bytes,
            tuple(chunk.offset_bytes for chunk in found),
            bases.get(name),
        )
        for name, found in places.items()
    )
    return Assembly(tuple(copies), tuple(holes), fetches)


def pick_bases(new_chunks: Sequence[Chunk], old_chunks: Sequence[Chunk]) -> dict[BlockId, BlockId]:
    """Returns for new blocks the old block that each probably resembles most.

    Between two blocks that both versions have, what is new came from what was there: seen
    from either end of that gap, a new block resembles the old one that it overlaps most.
    New blocks in whose gap nothing old was (an appended or inserted run) get none.
    """
    index_of_old = {chunk.block_id: index for index, chunk in reversed(list(enumerate(old_chunks)))}
    bases: dict[BlockId, BlockId] = {}
    old_start = 0
    gap: list[Chunk] = []
    for chunk in new_chunks:
        index = index_of_old.get(chunk.block_id)
        if index is None:
            gap.append(chunk)
            continue
        if gap:
            # Blocks that changed their order leave no old gap before this one.
            old_end = index if index >= old_start else old_start + 1
            _pick_in_gap(bases, gap, old_chunks[old_start:old_end], is_closed=index >= old_start)
            gap = []
        old_start = index + 1
    if gap:
        _pick_in_gap(bases, gap, old_chunks[old_start:], is_closed=False)
    return bases


def _pick_in_gap(
    bases: dict[BlockId, BlockId], gap: list[Chunk], old: Sequence[Chunk], *, is_closed: bool
) -> None:
    """Picks bases for the new chunks of a gap among the old ones that were there.

    ``is_closed`` says that the gap's end is the same place in both versions, so that they
    can be laid over each other from there too.
    """
    if not old:
        return
    # Old places as seen from the new file, laid over each other at the start of the gap.
    shift = gap[0].offset_bytes - old[0].offset_bytes
    shifts = [shift]
    if is_closed:
        new_end = gap[-1].offset_bytes + gap[-1].length_bytes
        shifts.append(new_end - old[-1].offset_bytes - old[-1].length_bytes)
    starts = [chunk.offset_bytes for chunk in old]
    for chunk in gap:
        best_bytes = 0
        for shift in shifts:
            begin = chunk.offset_bytes - shift
            end = begin + chunk.length_bytes
            index = max(bisect_right(starts, begin) - 1, 0)
            while index < len(old) and starts[index] < end:
                candidate = old[index]
                overlap = min(end, starts[index] + candidate.length_bytes) - max(
                    begin, starts[index]
                )
                if overlap > best_bytes:
                    best_bytes = overlap
                    bases[chunk.block_id] = candidate.block_id
                index += 1


def _add_copy(copies: list[Copy[S]], copy: Copy[S]) -> None:
    if copies:
        source, source_offset, offset, length = copies[-1]
        if (
            source == copy.source
            and source_offset + length == copy.source_offset_bytes
            and offset + length == copy.offset_bytes
        ):
            copies[-1] = Copy(source, source_offset, offset, length + copy.length_bytes)
            return
    copies.append(copy)


def _add_hole(holes: list[Hole], offset_bytes: int, length_bytes: int) -> None:
    if holes and holes[-1].offset_bytes + holes[-1].length_bytes == offset_bytes:
        offset_bytes = holes[-1].offset_bytes
        length_bytes += holes.pop().length_bytes
    holes.append(Hole(offset_bytes, length_bytes))
