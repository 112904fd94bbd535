# SPDX-License-Identifier: Apache-2.0
"""Shelf: what the verbs of blocks share: packs, metadata, the time, and threads for bytes."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, NamedTuple, ParamSpec, TypeVar

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import Frame
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId, NamespaceId
from drystone.core.instant import NS_PER_S
from drystone.core.limits import (
    ASK_BLOCKS_MAX,
    LEASE_COMMIT_S,
    LEASE_RENEW_BELOW_S,
    LEASE_S,
    MIB,
)
from drystone.server.ports.blocks import LostBlock, Packs
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import BlockPlace, Metadata, Unit
from drystone.server.service.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

PLAIN_BYTES_AT_ONCE: Final = 8 * MIB
"""Plain blocks that one thread has in memory while it makes something of them."""


class LeaseTimes(NamedTuple):
    """How long blocks are kept that nothing refers to yet, in seconds; see ``core.limits``.

    Attributes:
        lasts_s: From when they come.
        renew_below_s: An ask renews what has less left.
        commit_s: A commit renews what has less left.
    """

    lasts_s: int = LEASE_S
    renew_below_s: int = LEASE_RENEW_BELOW_S
    commit_s: int = LEASE_COMMIT_S


class Shelf(NamedTuple):
    """Where blocks are kept and how to get at them.

    Attributes:
        packs: Blocks at rest.
        metadata: For reading inside a thread that works on bytes anyway.
        writer: For everything else.
        clock: The server's time.
        threads: Where bytes are hashed, compressed, read and written.
        leases: How long what nothing refers to is kept.
    """

    packs: Packs
    metadata: Metadata
    writer: Writer
    clock: Clock
    threads: ThreadPoolExecutor
    leases: LeaseTimes = LeaseTimes()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs ``work`` in one of the threads. It cannot be stopped once it runs."""
        loop = asyncio.get_running_loop()
        context = copy_context()  # Log lines from there tell which request it was for.
        return await loop.run_in_executor(self.threads, lambda: context.run(work, *args, **kwargs))

    def leased_until_s(self) -> int:
        """Returns until when a block that comes now is kept though nothing refers to it."""
        return self.now_s() + self.leases.lasts_s

    def now_s(self) -> int:
        """Returns the time, in whole seconds."""
        return self.clock.now_ns() // NS_PER_S


def locate_held(
    unit: Unit, namespace_id: NamespaceId, block_ids: Collection[BlockId]
) -> dict[BlockId, BlockPlace]:
    """Returns where those of these blocks lie that the namespace holds.

    What it holds only by its own claim (``ports.arrivals``) lies where it claims, and nowhere
    else: who knows a block's id must not get what others have sent under it.
    """
    held = unit.blocks.find_held(namespace_id, block_ids)
    places = unit.blocks.locate(held) if held else {}
    rest = [block_id for block_id in block_ids if block_id not in held]
    return places | unit.arrivals.locate(namespace_id, rest) if rest else places


def find_held(
    unit: Unit, namespace_id: NamespaceId, block_ids: Collection[BlockId]
) -> set[BlockId]:
    """Returns which of these blocks the namespace holds, verified or not yet."""
    held = unit.blocks.find_held(namespace_id, block_ids)
    rest = [block_id for block_id in block_ids if block_id not in held]
    return held.union(unit.arrivals.locate(namespace_id, rest)) if rest else held


async def renew_leases(
    shelf: Shelf, namespace_id: NamespaceId, block_ids: Collection[BlockId], below_s: int
) -> set[BlockId]:
    """Prolongs the leases of those blocks whose lease ends before then; returns which of them the
    namespace holds.
    """
    held: set[BlockId] = set()
    names, until_s = list(block_ids), shelf.leased_until_s()
    for start in range(0, len(names), ASK_BLOCKS_MAX):
        some = names[start : start + ASK_BLOCKS_MAX]

        def work(unit: Unit, some: Sequence[BlockId] = some) -> set[BlockId]:
            unit.blocks.renew(namespace_id, some, below_s, until_s)
            return find_held(unit, namespace_id, some)

        held |= await shelf.writer.write(work, lane=namespace_id)
    return held


def iter_batches(places: Sequence[BlockPlace]) -> Iterator[list[BlockPlace]]:
    """Yields places in batches whose blocks, decoded, fit in memory together."""
    batch: list[BlockPlace] = []
    batch_bytes = 0
    for place in places:
        if batch and batch_bytes + place.plain_bytes > PLAIN_BYTES_AT_ONCE:
            yield batch
            batch, batch_bytes = [], 0
        batch.append(place)
        batch_bytes += place.plain_bytes
    if batch:
        yield batch


def read_plain(packs: Packs, places: Sequence[BlockPlace]) -> list[bytes | LostBlock]:
    """Returns the block at each place, verified; a block that cannot be read is a value."""
    return [_decode(place, found) for place, found in zip(places, packs.read(places), strict=True)]


def _decode(place: BlockPlace, found: Frame | LostBlock) -> bytes | LostBlock:
    if isinstance(found, LostBlock):
        return found
    try:
        return decode_frame(found, lambda _: None)
    except Corrupt as error:
        return LostBlock(place, error.message)
