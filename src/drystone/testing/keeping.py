# SPDX-License-Identifier: Apache-2.0
"""A collector at hand for a server in memory, and what may be asked of it afterwards."""

from collections.abc import Iterator

from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.collecting import Collector, CollectRules, Survey, Tally

AT_ONCE = CollectRules(age_s=0, quarantine_s=0, remembered_s=0)
"""Everything goes as soon as a second run has seen it, too."""


class Keeper:
    """Collects from whatever engines it is given.

    Args:
        metadata: Of the server.
        packs: Of the server.
        clock: Its time.
    """

    def __init__(self, metadata: Metadata, packs: ObjectPacks, clock: Clock) -> None:
        self._metadata = metadata
        self._packs = packs
        self._clock = clock

    def begin(self, tally: Tally, rules: CollectRules = AT_ONCE) -> Iterator[int]:
        """Returns the steps of one run."""
        return Collector(self._metadata, self._packs, self._clock, rules).run(tally)

    def collect(self, rules: CollectRules = AT_ONCE, *, runs: int = 1) -> Tally:
        """Runs to the end, so many times; returns the last tally."""
        tally = Tally()
        for _ in range(runs):
            tally = Tally()
            for _ in self.begin(tally, rules):
                pass
        return tally

    def survey(self, rules: CollectRules = AT_ONCE) -> Tally:
        """Returns what would go."""
        tally = Tally()
        for _ in Survey(self._metadata, self._packs, self._clock, rules).run(tally):
            pass
        return tally

    def count(self) -> tuple[int, int]:
        """Returns how many blocks the index has, and how many packs there are as objects."""
        totals = self._metadata.read(lambda unit: unit.blocks.totals())
        return totals["blocks"], len(list(self._packs.iter_stored()))
