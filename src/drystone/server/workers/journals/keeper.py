# SPDX-License-Identifier: Apache-2.0
"""Keeper: lets journals follow into the object store, at a gentle pace.

    every few seconds        which journals have grown since?
    one that has been quiet  its records are written
    one that never is        its records are written all the same once ``lag_s`` is over
    now and then             accounts, if somebody came or went

A first sync of a hundred thousand files is thus not slowed down by it. How far each journal has
been written is seen from the store itself when a server begins: what is missing there, for whatever
reason, is written again. Several workers may do this at once, to no harm: each stretch is the same
bytes under the same name, and a checkpoint that two have mixed is none. A duty keeps them out of
each other's way all the same.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from drystone.core.errors import DrystoneError
from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.eras import make_mark
from drystone.server.ports.clock import Clock
from drystone.server.ports.duties import Duties
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.objects import Objects
from drystone.server.ports.survey import NamespaceLine, survey_of
from drystone.server.workers.journals.names import (
    StretchName,
    journal_prefix,
    parse_stretch_name,
)
from drystone.server.workers.journals.people import load_people, write_people
from drystone.server.workers.journals.writing import write_stretch

log = structlog.get_logger()

QUIET_S_MAX: Final = 15.0
"""A journal that has not grown for so long is quiet. Less, if ``lag_s`` is short."""

INTERVAL_S_MAX: Final = 5.0
PEOPLE_S: Final = 300.0
"""Between looks at the accounts."""

FIRST_LOOKS_MAX: Final = 64
"""Journals per round that are looked up in the store for the first time: one listing each."""

DUTY: Final = "journals"
DUTY_LASTS_S: Final = 300.0
"""As long as the largest checkpoint may take. Let go of after each round."""

_PAGE: Final = 1_000


@dataclass
class _Journal:
    """What is remembered of one journal.

    Attributes:
        position: Up to which seq it is in the store.
        head: Its last seq when it was looked at last.
        moved_s: When that had changed.
        behind_s: Since when the store has not had all of it; meaningless if it has.
    """

    position: Seq
    head: Seq
    moved_s: float
    behind_s: float


class JournalsStats(NamedTuple):
    """What a keeper has done since it began, and what it has to do.

    Attributes:
        stretches: Written.
        checkpoints: Written.
        troubles: Rounds that the store or the database broke off.
        behind_records: Not in the store yet, as the last round saw it; 0 for a keeper that has
            not been at work.
        behind_s: For how long one of them has waited already.
    """

    stretches: int
    checkpoints: int
    troubles: int
    behind_records: int
    behind_s: float


class JournalKeeper:
    """Writes journals and accounts into the object store while a server runs.

    Args:
        metadata: Where they are read.
        objects: The store.
        clock: The time in the names of accounts' objects.
        lag_s: After so many seconds at most a record is in the store, if that can be reached.
        now_s: A clock that does not jump.
        duties: Of all servers on the same database; None: there is no other one.
    """

    def __init__(
        self,
        metadata: Metadata,
        objects: Objects,
        clock: Clock,
        *,
        lag_s: float,
        now_s: Callable[[], float] = time.monotonic,
        duties: Duties | None = None,
    ) -> None:
        self._metadata = metadata
        self._objects = objects
        self._clock = clock
        self._lag_s = lag_s
        self._now_s = now_s
        self._duties = duties
        self._holder = secrets.token_hex(8)
        self._sure_until_s: float | None = None
        self._quiet_s = min(QUIET_S_MAX, lag_s / 4)
        self._journals: dict[NamespaceId, _Journal] = {}
        self._people = b""
        self._people_s: float | None = None
        self._is_stopping = threading.Event()
        self._stretches = self._checkpoints = self._troubles = 0

    def stats(self) -> JournalsStats:
        """Returns how it stands. Safe to call from any thread. Cost: a look at each journal."""
        behind = [one for one in list(self._journals.values()) if one.position < one.head]
        return JournalsStats(
            self._stretches,
            self._checkpoints,
            self._troubles,
            sum(one.head - one.position for one in behind),
            max((self._now_s() - one.behind_s for one in behind), default=0.0),
        )

    async def run(self, may_work: Callable[[], bool]) -> None:
        """Works until it is cancelled, a round every few seconds. Trouble is logged and met again.

        When this returns, no thread is at work any more.

        Args:
            may_work: Asked before each round: of several workers one is enough.
        """
        interval_s = min(INTERVAL_S_MAX, self._quiet_s)
        while True:
            await asyncio.sleep(interval_s)
            if not may_work():
                continue
            working = asyncio.get_running_loop().run_in_executor(None, self._try_round)
            try:
                await asyncio.shield(working)
            except asyncio.CancelledError:
                self._is_stopping.set()
                await working
                raise

    def work_round(self) -> int:
        """Writes what is due; returns how many stretches that were: none if another server is at
        it.

        Raises:
            Unavailable: The store or the database is away. What was written stays.
        """
        try:
            return self._work_round()
        finally:
            if self._duties is not None and self._sure_until_s is not None:
                self._sure_until_s = None
                self._duties.release(DUTY, self._holder)

    def _work_round(self) -> int:
        self._write_people()
        count = looks = 0
        for line in self._iter_namespaces():
            journal = self._journals.get(line.namespace_id)
            if journal is None and line.head:
                if looks == FIRST_LOOKS_MAX:
                    continue
                looks += 1
            journal = self._look(line, journal)
            if journal is not None and self._is_due(journal) and self._may_write():
                count += self._write(line, journal)
            if self._is_stopping.is_set():
                break
        return count

    def _try_round(self) -> None:
        try:
            self.work_round()
        except DrystoneError as error:
            self._troubles += 1
            log.warning("journals.not-written", code=error.code, reason=error.message)
        except Exception:
            # A defect must not end it for the rest of the server's life.
            self._troubles += 1
            log.exception("journals.failed")

    def _look(self, line: NamespaceLine, journal: _Journal | None) -> _Journal | None:
        """Takes note of where a journal ends now; None for one that is empty."""
        now_s = self._now_s()
        if journal is None or line.head < journal.position:
            if not line.head:
                return None
            position = find_position(self._metadata, self._objects, line.namespace_id)
            journal = _Journal(position, line.head, now_s, now_s)
            self._journals[line.namespace_id] = journal
        elif line.head != journal.head:
            if journal.head == journal.position:
                journal.behind_s = now_s
            journal.head, journal.moved_s = line.head, now_s
        return journal

    def _is_due(self, journal: _Journal) -> bool:
        if journal.position >= journal.head:
            return False
        now_s = self._now_s()
        is_quiet = now_s - journal.moved_s >= self._quiet_s
        return is_quiet or now_s - journal.behind_s >= self._lag_s - self._quiet_s

    def _may_write(self) -> bool:
        """Takes the duty, or prolongs it once half of it is over. Nothing is asked before there is
        something to write.
        """
        now_s = self._now_s()
        if self._duties is None or (self._sure_until_s or 0.0) - now_s > DUTY_LASTS_S / 2:
            return True
        has_it = self._duties.take(DUTY, self._holder, DUTY_LASTS_S)
        self._sure_until_s = now_s + DUTY_LASTS_S if has_it else None
        return has_it

    def _write(self, line: NamespaceLine, journal: _Journal) -> int:
        count = 0
        if self._duties is not None:
            # Another server may have written it since.
            position = find_position(self._metadata, self._objects, line.namespace_id)
            journal.position = max(journal.position, position)
        while journal.position < journal.head and not self._is_stopping.is_set():
            if not self._may_write():
                break
            position = write_stretch(
                self._metadata,
                self._objects,
                line,
                journal.position,
                on_checkpoint=self._note_checkpoint,
            )
            if position <= journal.position:
                break
            journal.position = position
            self._stretches += 1
            count += 1
        journal.head = max(journal.head, journal.position)
        journal.behind_s = self._now_s()
        return count

    def _note_checkpoint(self) -> None:
        self._checkpoints += 1

    def _write_people(self) -> None:
        now_s = self._now_s()
        if self._people_s is None or now_s - self._people_s >= min(PEOPLE_S, self._lag_s):
            people = load_people(self._metadata)
            if people.accounts and self._may_write():
                now_ns = self._clock.now_ns()
                self._people = write_people(self._objects, people, now_ns, self._people)
            self._people_s = now_s

    def _iter_namespaces(self) -> Iterator[NamespaceLine]:
        after = b""
        while lines := self._metadata.read(
            lambda unit, after=after: survey_of(unit).list_namespaces(after, _PAGE)  # type: ignore[misc]
        ):
            yield from lines
            after = lines[-1].namespace_id


def find_position(metadata: Metadata, objects: Objects, namespace_id: NamespaceId) -> Seq:
    """Returns up to which seq the store has this very journal without a gap. Cost: a listing, and a
    lookup for each of its stretches.
    """
    stats = objects.iter_names(journal_prefix(namespace_id))
    names = (parse_stretch_name(stat.name) for stat in stats)
    stretches = sorted(
        (name for name in names if name is not None), key=lambda n: (n.first_seq, n.last_seq)
    )

    def work(unit: Unit) -> Seq:
        position = Seq(0)
        for stretch in stretches:
            if stretch.first_seq <= position + 1 and _is_of(unit, stretch):
                position = max(position, stretch.last_seq)
        return position

    return metadata.read(work)


def _is_of(unit: Unit, stretch: StretchName) -> bool:
    """Tells whether a stretch is of the journal as it is now, and not of another life of it."""
    record = unit.tree.find_record(stretch.namespace_id, stretch.last_seq)
    return record is not None and make_mark(record) == stretch.last_mark
