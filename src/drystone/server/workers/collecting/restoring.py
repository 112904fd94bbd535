# SPDX-License-Identifier: Apache-2.0
"""Restoring: packs in quarantine back into the index, and to whoever held their blocks.

Records are never dropped, so what a namespace held follows from them: everything that is there
again and that some record refers to is held again. History is kept again from as far back as all of
it is there.
"""

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field

from drystone.core.ids import NamespaceId, PackId, Seq
from drystone.core.limits import LEASE_S
from drystone.server.ports.blocks import CorruptPack, Pack, Packs
from drystone.server.ports.clock import Clock
from drystone.server.ports.collecting import RetiredPack, RetiredState
from drystone.server.ports.metadata import Metadata
from drystone.server.workers.collecting.bits import Bits
from drystone.server.workers.collecting.marking import Marking, UnreadableManifest
from drystone.server.workers.collecting.work import CHANGED_ROWS, Work


@dataclass
class Restored:
    """What came back.

    Attributes:
        packs: From quarantine into the index.
        blocks: That lie in them.
        holders: Blocks that namespaces hold again.
        troubles: What could not come back, and why.
    """

    packs: int = 0
    blocks: int = 0
    holders: int = 0
    troubles: list[str] = field(default_factory=list)


class Quarantine:
    """The packs that were retired and are still there.

    Args:
        metadata: Of the server.
        packs: Of the server.
        clock: The time.
    """

    def __init__(self, metadata: Metadata, packs: Packs, clock: Clock) -> None:
        self._work = Work(metadata, clock)
        self._packs = packs

    def list(self) -> list[RetiredPack]:
        """Returns the packs that can come back, the one that goes first before the others."""
        kept = [r for r in self._work.iter_retired() if r.state is RetiredState.KEPT]
        return sorted(kept, key=lambda retired: (retired.since_s, retired.pack_id))

    def restore(self, wanted: Collection[PackId] | None, restored: Restored) -> Iterator[int]:
        """Brings packs back, all if ``wanted`` is None; yields the bytes that each step reads.

        May be broken off and done again. What comes back and is referred to only by history that
        is no longer to be kept is collected again, by runs of the collector after 48 hours.
        """
        for retired in self.list():
            if wanted is None or retired.pack_id in wanted:
                yield self._restore_pack(retired, restored)
        for namespace_id in self._work.iter_namespaces():
            yield from self._restore_holders(namespace_id, restored)

    def _restore_pack(self, retired: RetiredPack, restored: Restored) -> int:
        found = self._packs.load(retired.pack_id)
        pack: Pack | None = found.readable if isinstance(found, CorruptPack) else found
        if isinstance(found, CorruptPack):
            restored.troubles.append(found.message)
        if pack is not None:
            self._work.metadata.write(
                lambda unit: unit.blocks.add_pack(pack.pack_id, pack.length_bytes, pack.places)
            )
            restored.packs += 1
            restored.blocks += len(pack.places)
        return retired.length_bytes

    def _restore_holders(self, namespace_id: NamespaceId, restored: Restored) -> Iterator[int]:
        """Finds the furthest past of which everything is there, and holds all of that."""
        low, high = Seq(0), self._work.find_horizon(namespace_id, 0)
        marks = yield from self._mark_whole(namespace_id, low)
        if marks is None:
            # All is there after ``high``, as far as it ever was, and not after ``low``.
            while high - low > 1:
                middle = Seq((low + high) // 2)
                found = yield from self._mark_whole(namespace_id, middle)
                low, high = (middle, high) if found is None else (low, middle)
            marks = yield from self._mark_whole(namespace_id, high)
        else:
            high = low
        if marks is None:
            name = namespace_id.hex()
            restored.troubles.append(f"not all of namespace {name} is there: left as it is")
            return
        until_s = self._work.now_s() + LEASE_S
        numbers: list[int] = []
        for number in marks:
            numbers.append(number)
            if len(numbers) == CHANGED_ROWS:
                restored.holders += self._work.take_back(namespace_id, numbers, until_s)
                numbers = []
                yield 0
        restored.holders += self._work.take_back(namespace_id, numbers, until_s)
        self._work.metadata.write(lambda unit: unit.history.set_kept_after(namespace_id, high))
        yield 0

    def _mark_whole(
        self, namespace_id: NamespaceId, kept_after: Seq
    ) -> Generator[int, None, Bits | None]:
        """Returns what is referred to; None if not all of it is there."""
        marking = Marking(self._work.metadata, self._packs, namespace_id, kept_after)
        try:
            yield from marking.run()
        except UnreadableManifest:
            return None
        return None if marking.missing_count else marking.marks
