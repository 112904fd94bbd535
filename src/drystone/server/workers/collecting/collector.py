# SPDX-License-Identifier: Apache-2.0
"""The collector: one run over all namespaces, blocks and packs, as a row of small steps.

What is done stands in this package's door. The steps of a run are an iterator, so that whoever runs
it decides how fast it goes, and can stop between any two.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from drystone.core.ids import NamespaceId
from drystone.server.ports.blocks import Packs
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata
from drystone.server.workers.collecting.bits import Bits
from drystone.server.workers.collecting.marking import Marking, UnreadableManifest
from drystone.server.workers.collecting.packing import Packing
from drystone.server.workers.collecting.rules import CollectRules
from drystone.server.workers.collecting.tally import Tally
from drystone.server.workers.collecting.work import Work, portions

log = structlog.get_logger()

DROPPED_MAX: Final = 1_000_000
"""Blocks that one run takes out of the index; the next one takes more."""


class Collector:
    """Runs over everything; see the module.

    Args:
        metadata: What is told apart, and changed.
        packs: Where manifests are read, and what is in use of thin packs is moved to.
        clock: The time. Leases and ages are told by it, and nothing else.
        rules: What may go.
    """

    def __init__(
        self,
        metadata: Metadata,
        packs: Packs,
        clock: Clock,
        rules: CollectRules = CollectRules(),  # noqa: B008  a constant
    ) -> None:
        self._work = Work(metadata, clock)
        self._packs = packs
        self._rules = rules

    def run(self, tally: Tally) -> Iterator[int]:
        """Collects; yields the bytes that each step has cost to read and write.

        Whatever is raised, what was done so far is in order, and another run goes on.

        Args:
            tally: Is added up while it goes on.

        Raises:
            Unavailable: Database or store are away.
        """
        rules, packing = self._rules, Packing(self._work, self._packs)
        for namespace_id in self._work.iter_namespaces():
            yield from self._collect_namespace(namespace_id, tally)
        yield from self._collect_blocks(tally)
        yield from packing.retire_empty(tally)
        yield from packing.compact(tally, rules.thin_percent)
        yield from packing.retire_orphans(tally, rules.age_s)
        yield from packing.remove(tally, rules.quarantine_s, rules.remembered_s)

    def _collect_namespace(self, namespace_id: NamespaceId, tally: Tally) -> Iterator[int]:
        tally.namespaces += 1
        kept_after = self._work.find_horizon(namespace_id, self._rules.history_s)
        # Before anything is marked: from now on nobody restores what is not marked.
        self._work.set_kept_after(namespace_id, kept_after)
        yield 0
        marking = Marking(self._work.metadata, self._packs, namespace_id, kept_after)
        try:
            yield from marking.run()
        except UnreadableManifest as error:
            log.warning("collect.manifest-unreadable", namespace=namespace_id.hex())
            tally.troubles.append(f"{error.message}. {error.advice}")
            return
        tally.missing_blocks += marking.missing_count
        for page in self._work.iter_holders(namespace_id):
            yield from self._collect_holders(namespace_id, page, marking.marks, tally)

    def _collect_holders(
        self,
        namespace_id: NamespaceId,
        page: Sequence[tuple[int, int]],
        marks: Bits,
        tally: Tally,
    ) -> Iterator[int]:
        """Lets go of what is held and not marked, or drops what was let go of long ago."""
        now_s = self._work.now_s()
        upto_s = now_s - self._rules.age_s
        idle = [(n, lease_s) for n, lease_s in page if lease_s < now_s and n not in marks]
        for some in portions([number for number, lease_s in idle if lease_s >= 0]):
            tally.let_go += self._work.let_go(namespace_id, some, now_s)
            yield 0
        for some in portions([number for number, lease_s in idle if -upto_s <= lease_s < 0]):
            tally.dropped_holders += self._work.drop_holders(namespace_id, some, upto_s)
            yield 0

    def _collect_blocks(self, tally: Tally) -> Iterator[int]:
        held = Bits()
        yield from self._work.find_held(held)
        for page in self._work.iter_blocks():
            for some in portions([line.number for line in page if line.number not in held]):
                tally.noted_blocks += self._work.note_unheld(some)
                yield 0
        upto_s = self._work.now_s() - self._rules.unheld_s
        due: list[int] = []
        while len(due) < DROPPED_MAX and (
            noted := self._work.list_unheld(due[-1] if due else 0, upto_s)
        ):
            due += noted
            yield 0
        if not due:
            return
        # Once more, from the beginning: whoever held one of these before it was noted is seen now,
        # and whoever has held one since has taken the note back. Who was in the middle of it when
        # it was noted, and has not seen the note, is waited for.
        yield from self._work.wait_for_taking()
        held = Bits()
        yield from self._work.find_held(held)
        for some in portions([number for number in due if number in held]):
            self._work.forget_unheld(some)
            yield 0
        for some in portions([number for number in due if number not in held]):
            count, length_bytes = self._work.drop_blocks(some, upto_s)
            tally.dropped_blocks += count
            tally.dropped_bytes += length_bytes
            yield 0
