# SPDX-License-Identifier: Apache-2.0
"""Collecting: the door for the operator's commands that collect, beside a running server or not."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager

from drystone.core.ids import PackId
from drystone.core.limits import SCRUB_AGAIN_S
from drystone.server.bootstrap.background import make_rules
from drystone.server.bootstrap.composing import open_metadata, open_objects
from drystone.server.bootstrap.data_dir import opened_data_dir
from drystone.server.bootstrap.storing.tenant import move_in
from drystone.server.bootstrap.watching.logs import quiet_logs
from drystone.server.ports.blocks import Packs
from drystone.server.ports.clock import Clock
from drystone.server.ports.collecting import RetiredPack
from drystone.server.ports.metadata import Metadata
from drystone.server.settings import ServerSettings
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.collecting import (
    Collector,
    CollectRules,
    Quarantine,
    Restored,
    Survey,
    Tally,
)
from drystone.server.workers.scrubbing import Scrub, ScrubTally

Tell = Callable[[int], None]
"""Is told of the bytes that each step has cost."""


class Collecting:
    """What the operator asks of what is kept. Blocking."""

    def __init__(self, metadata: Metadata, packs: Packs, clock: Clock, rules: CollectRules) -> None:
        self._engines = metadata, packs, clock
        self._rules = rules

    def collect(self, tell: Tell, *, age_s: int | None = None, is_dry: bool = False) -> Tally:
        """Runs once over everything, or only tells what would go.

        Args:
            tell: Is told how far it is; may raise to end it, which leaves everything in order.
            age_s: Instead of what the settings say.
            is_dry: Nothing is changed.

        Raises:
            Unavailable: Database or store are away.
        """
        rules = self._rules if age_s is None else self._rules._replace(age_s=age_s)
        tally = Tally()
        worker = Survey if is_dry else Collector
        _go_through(worker(*self._engines, rules).run(tally), tell)
        return tally

    def scrub(self, tell: Tell, *, is_all: bool) -> ScrubTally:
        """Reads and verifies packs that were not looked at for a month, or all.

        Raises:
            Unavailable: Database or store are away.
        """
        tally = ScrubTally()
        within_s = 0 if is_all else SCRUB_AGAIN_S
        _go_through(
            Scrub(*self._engines).run(tally, within_s=within_s, is_deep=is_all),
            tell,
        )
        return tally

    def list_quarantine(self) -> list[tuple[RetiredPack, int]]:
        """Returns what can come back, and until when each (UTC seconds)."""
        found = Quarantine(*self._engines).list()
        return [(retired, retired.since_s + self._rules.quarantine_s) for retired in found]

    def restore(self, pack_ids: Collection[PackId] | None, tell: Tell) -> Restored:
        """Brings packs back from quarantine; all if None."""
        restored = Restored()
        _go_through(Quarantine(*self._engines).restore(pack_ids, restored), tell)
        return restored


@contextmanager
def open_collecting(settings: ServerSettings) -> Iterator[Collecting]:
    """Opens what collecting needs, beside a running server or without one.

    Raises:
        Misconfigured: The data directory or an engine cannot be used.
    """
    with opened_data_dir(settings.data_dir) as data_dir:
        metadata = open_metadata(settings, data_dir)
        objects = open_objects(settings, data_dir)
    with quiet_logs(), closing(metadata):
        # Whoever collects removes what is not known here.
        if settings.objects != "files":
            move_in(metadata, objects)
        packs = ObjectPacks(objects)
        yield Collecting(metadata, packs, SystemClock(), make_rules(settings))


def _go_through(steps: Iterator[int], tell: Tell) -> None:
    for cost_bytes in steps:
        tell(cost_bytes)
