# SPDX-License-Identifier: Apache-2.0
"""Work: the units of work of collecting, each by itself, on the metadata of a server."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from drystone.core.ids import NamespaceId, PackId, Seq
from drystone.core.instant import NS_PER_S
from drystone.server.ports.clock import Clock
from drystone.server.ports.collecting import BlockLine, PackLine, RetiredPack, Why
from drystone.server.ports.metadata import BlockPlace, Metadata, Unit
from drystone.server.workers.collecting.bits import Bits

PAGE_ROWS: Final = 5_000
"""Rows read in one unit of work."""

CHANGED_ROWS: Final = 500
"""Rows changed in one unit of work: some milliseconds, for which commits wait."""

_TAKING_WAIT_S: Final = 0.01
"""Between looks at those that are about to hold blocks."""


class Work:
    """What is asked of the metadata while it is collected. Nothing is kept from one to the next.

    Args:
        metadata: Of the server.
        clock: The time.
    """

    def __init__(self, metadata: Metadata, clock: Clock) -> None:
        self.metadata = metadata
        self._clock = clock

    def now_s(self) -> int:
        """Returns the time, in whole seconds."""
        return self._clock.now_ns() // NS_PER_S

    # --- history -------------------------------------------------------------------------------

    def iter_namespaces(self) -> Iterator[NamespaceId]:
        """Yields all namespaces, those added meanwhile perhaps as well."""
        after = NamespaceId(b"")
        while page := self._list_namespaces(after):
            yield from page
            after = page[-1]

    def find_horizon(self, namespace_id: NamespaceId, history_s: int) -> Seq:
        """Returns up to where history is let go of that is older; as now if that is 0."""
        if not history_s:
            return self.metadata.read(lambda unit: unit.history.kept_after(namespace_id))
        before_ns = self._clock.now_ns() - history_s * NS_PER_S
        return self.metadata.read(lambda unit: unit.history.find_horizon(namespace_id, before_ns))

    def set_kept_after(self, namespace_id: NamespaceId, kept_after: Seq) -> None:
        """Lets go of history up to there; further, if another collector has done so."""

        def work(unit: Unit) -> None:
            if kept_after > unit.history.kept_after(namespace_id):
                unit.history.set_kept_after(namespace_id, kept_after)

        self.metadata.write(work)

    # --- holders -------------------------------------------------------------------------------

    def iter_holders(self, namespace_id: NamespaceId) -> Iterator[list[tuple[int, int]]]:
        """Yields pages of what a namespace holds."""
        after = 0
        while page := self._list_holders(namespace_id, after):
            yield page
            after = page[-1][0]

    def find_held(self, held: Bits) -> Iterator[int]:
        """Adds all blocks that any namespace holds to ``held``, page by page."""
        for namespace_id in self.iter_namespaces():
            for page in self.iter_holders(namespace_id):
                held.update(number for number, _ in page)
                yield 0

    def let_go(self, namespace_id: NamespaceId, numbers: Sequence[int], now_s: int) -> int:
        """See ``HoldersUnit.let_go``."""
        return self.metadata.write(lambda unit: unit.holders.let_go(namespace_id, numbers, now_s))

    def drop_holders(self, namespace_id: NamespaceId, numbers: Sequence[int], upto_s: int) -> int:
        """See ``HoldersUnit.drop_holders``."""
        return self.metadata.write(
            lambda unit: unit.holders.drop_holders(namespace_id, numbers, upto_s)
        )

    def take_back(self, namespace_id: NamespaceId, numbers: Sequence[int], until_s: int) -> int:
        """See ``HoldersUnit.take_back``."""
        return self.metadata.write(
            lambda unit: unit.holders.take_back(namespace_id, numbers, until_s)
        )

    # --- blocks --------------------------------------------------------------------------------

    def iter_blocks(self) -> Iterator[list[BlockLine]]:
        """Yields pages of all blocks of the index."""
        after = 0
        while page := self._list_blocks(after):
            yield page
            after = page[-1].number

    def note_unheld(self, numbers: Sequence[int]) -> int:
        """See ``HoldersUnit.note_unheld``."""
        now_s = self.now_s()
        return self.metadata.write(lambda unit: unit.holders.note_unheld(numbers, now_s))

    def list_unheld(self, after: int, upto_s: int) -> list[int]:
        """See ``HoldersUnit.list_unheld``."""
        return self.metadata.read(lambda unit: unit.holders.list_unheld(after, upto_s, PAGE_ROWS))

    def forget_unheld(self, numbers: Sequence[int]) -> None:
        """See ``HoldersUnit.forget_unheld``."""
        self.metadata.write(lambda unit: unit.holders.forget_unheld(numbers))

    def wait_for_taking(self) -> Iterator[int]:
        """Comes to its end when all have ended that were about to hold blocks when it began."""
        taking = self._list_taking()
        while taking := taking & self._list_taking():
            yield 0
            time.sleep(_TAKING_WAIT_S)

    def drop_blocks(self, numbers: Sequence[int], upto_s: int) -> tuple[int, int]:
        """See ``HoldersUnit.drop_blocks``."""
        return self.metadata.write(lambda unit: unit.holders.drop_blocks(numbers, upto_s))

    # --- packs ---------------------------------------------------------------------------------

    def iter_packs(self) -> Iterator[list[PackLine]]:
        """Yields pages of all packs of the index."""
        after = 0
        while page := self._list_packs(after):
            yield page
            after = page[-1].number

    def list_whole(self, pack_id: PackId) -> list[BlockPlace]:
        """Returns where the blocks lie that lie in a pack and are not damaged."""

        def work(unit: Unit) -> list[BlockPlace]:
            places = unit.packs.list_pack_blocks(pack_id)
            whole = unit.blocks.locate([place.block_id for place in places])
            return [place for place in places if whole.get(place.block_id) == place]

        return self.metadata.read(work)

    def retire(self, pack_id: PackId, length_bytes: int, why: Why) -> bool:
        """See ``PacksUnit.retire``."""
        now_s = self.now_s()
        return self.metadata.write(
            lambda unit: unit.packs.retire(pack_id, length_bytes, why, now_s)
        )

    def iter_retired(self) -> Iterator[RetiredPack]:
        """Yields all retired packs."""
        after = PackId(b"")
        while page := self._list_retired(after):
            yield from page
            after = page[-1].pack_id

    def begin_removal(self, pack_id: PackId, upto_s: int) -> bool:
        """See ``PacksUnit.begin_removal``."""
        now_s = self.now_s()
        return self.metadata.write(lambda unit: unit.packs.begin_removal(pack_id, upto_s, now_s))

    def end_removal(self, pack_id: PackId) -> None:
        """See ``PacksUnit.end_removal``."""
        now_s = self.now_s()
        self.metadata.write(lambda unit: unit.packs.end_removal(pack_id, now_s))

    # --- inside --------------------------------------------------------------------------------

    def _list_namespaces(self, after: NamespaceId) -> list[NamespaceId]:
        return self.metadata.read(lambda unit: unit.history.list_namespaces(after, PAGE_ROWS))

    def _list_holders(self, namespace_id: NamespaceId, after: int) -> list[tuple[int, int]]:
        return self.metadata.read(
            lambda unit: unit.holders.list_holders(namespace_id, after, PAGE_ROWS)
        )

    def _list_taking(self) -> set[str]:
        return set(self.metadata.read(lambda unit: unit.holders.list_taking()))

    def _list_blocks(self, after: int) -> list[BlockLine]:
        return self.metadata.read(lambda unit: unit.holders.list_blocks(after, PAGE_ROWS))

    def _list_packs(self, after: int) -> list[PackLine]:
        return self.metadata.read(lambda unit: unit.packs.list_packs(after, 50))

    def _list_retired(self, after: PackId) -> list[RetiredPack]:
        return self.metadata.read(lambda unit: unit.packs.list_retired(after, PAGE_ROWS))


def portions(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yields what one unit of work may change."""
    for start in range(0, len(numbers), CHANGED_ROWS):
        yield numbers[start : start + CHANGED_ROWS]
