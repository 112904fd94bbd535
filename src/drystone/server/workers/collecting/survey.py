# SPDX-License-Identifier: Apache-2.0
"""Survey: what is without use, and would go in time. Changes nothing."""

from collections import defaultdict
from collections.abc import Iterator

from drystone.core.ids import NamespaceId
from drystone.server.ports.blocks import Packs
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata
from drystone.server.workers.collecting.bits import Bits
from drystone.server.workers.collecting.marking import Marking, UnreadableManifest
from drystone.server.workers.collecting.packing import Packing, is_thin
from drystone.server.workers.collecting.rules import CollectRules
from drystone.server.workers.collecting.tally import Tally
from drystone.server.workers.collecting.work import Work


class Survey:
    """Looks through everything as a run of the collector does; takes the same things.

    What was let go of and may still be asked for counts as gone: it tells what several runs would
    do, if nothing else happened.
    """

    def __init__(self, metadata: Metadata, packs: Packs, clock: Clock, rules: CollectRules) -> None:
        self._work = Work(metadata, clock)
        self._packs = packs
        self._rules = rules

    def run(self, tally: Tally) -> Iterator[int]:
        """Fills in a tally; yields the bytes that each step has cost to read."""
        tally.is_dry = True
        used = Bits()
        for namespace_id in self._work.iter_namespaces():
            yield from self._find_used(namespace_id, used, tally)
        dead_counts: defaultdict[int, int] = defaultdict(int)
        dead_bytes: defaultdict[int, int] = defaultdict(int)
        for blocks in self._work.iter_blocks():
            for number, pack_number, frame_bytes in blocks:
                if number not in used:
                    dead_counts[pack_number] += 1
                    dead_bytes[pack_number] += frame_bytes
            yield 0
        tally.dropped_blocks = sum(dead_counts.values())
        tally.dropped_bytes = sum(dead_bytes.values())
        for lines in self._work.iter_packs():
            for line in lines:
                live_bytes = line.live_bytes - dead_bytes[line.number]
                is_empty = dead_counts[line.number] == line.blocks_count
                if is_thin(live_bytes, line.length_bytes, self._rules.thin_percent):
                    tally.compacted_packs += 1
                    tally.moved_bytes += live_bytes
                elif not is_empty:
                    continue
                tally.retired_packs += 1
                tally.retired_bytes += line.length_bytes
            yield 0
        packing = Packing(self._work, self._packs)
        for orphans in packing.iter_orphans(self._rules.age_s):
            tally.orphans += len(orphans)
            tally.orphan_bytes += sum(stored.length_bytes for stored in orphans)
            yield 0
        for retired in packing.iter_due(self._rules.quarantine_s):
            tally.removed_packs += 1
            tally.removed_bytes += retired.length_bytes

    def _find_used(self, namespace_id: NamespaceId, used: Bits, tally: Tally) -> Iterator[int]:
        tally.namespaces += 1
        now_s = self._work.now_s()
        kept_after = self._work.find_horizon(namespace_id, self._rules.history_s)
        marking = Marking(self._work.metadata, self._packs, namespace_id, kept_after)
        is_readable = True
        try:
            yield from marking.run()
        except UnreadableManifest as error:
            tally.troubles.append(f"{error.message}. {error.advice}")
            is_readable = False
        tally.missing_blocks += marking.missing_count
        for page in self._work.iter_holders(namespace_id):
            for number, lease_s in page:
                if not is_readable or lease_s >= now_s or number in marking.marks:
                    used.add(number)
                elif lease_s >= 0:
                    tally.let_go += 1
                else:
                    tally.dropped_holders += 1
            yield 0
