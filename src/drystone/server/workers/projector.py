# SPDX-License-Identifier: Apache-2.0
"""Projectors: journals carried over, record after record, to where something else wants them.

    a bell rings, or an interval is over
    where are we behind?                 an index that is empty while there is nothing to do
    the duty                             one worker at a time carries
    records after our position           page by page, in their order
    the target                           says yes when it has them, durably
    the position                         in a unit of work in which the duty is still ours

Each record comes at least once. One that comes again is the same record, so a target must not mind:
it knows them by namespace, seq and mark (``core.journal.eras``).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import structlog

from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.record import Record
from drystone.server.ports.bell import Bell
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Unit
from drystone.server.ports.projections import Behind, Lag
from drystone.server.service.writer import Writer
from drystone.server.workers.duty import DUTY_LASTS_S, Duty, DutyLost

log = structlog.get_logger()

PAGE_RECORDS: Final = 500
"""Records handed over at once: some hundred kilobytes."""

PAGE_NAMESPACES: Final = 64
"""Journals of which a page each is carried before the positions are written: what comes twice if
the worker is killed just before that."""

INTERVAL_S: Final = 5.0
"""Between looks while no bell rings. A ring may be lost; a look costs an empty index."""

BACKOFF_S_MIN: Final = 1.0
BACKOFF_S_MAX: Final = 60.0


class Projector(Protocol):
    """Carries records to one target."""

    @property
    def name(self) -> str:
        """What its positions are kept under, and its duty: the same for ever."""
        ...

    async def project(self, namespace_id: NamespaceId, records: Sequence[Record]) -> None:
        """Returns once the target has all of these, durably.

        They are of one journal, in its order, without gaps; they go on where the last call for the
        namespace that returned left off, or at an earlier record that it has already had. May be
        cancelled at any await.

        Raises:
            Unavailable: The target is away: it is tried again later, for all namespaces.
            DrystoneError: Something is wrong with these records: they are tried again later, and
                other namespaces go on meanwhile.
        """
        ...


class ProjectorStats(NamedTuple):
    """What a runner has done since it began.

    Attributes:
        records: Handed over and said yes to.
        troubles: Times that the target, the database or a record made it wait.
        is_on_duty: Whether it is this worker that carries now.
    """

    records: int
    troubles: int
    is_on_duty: bool


class ProjectorRunner:
    """Runs one projector in one worker; of many workers, the one that has its duty carries.

    Args:
        projector: Which.
        writer: The door to the metadata.
        bell: Wakes it.
        clock: The time in its duty.
        holder: Who this is; see ``Duty``.
        interval_s: Between looks while no bell rings.
        lasts_s: Of one lease of its duty: how long others wait for it if it is killed.
        backoff_s: The first wait after trouble; doubled each time up to ``BACKOFF_S_MAX``.
    """

    def __init__(
        self,
        projector: Projector,
        writer: Writer,
        bell: Bell,
        clock: Clock,
        *,
        holder: str,
        interval_s: float = INTERVAL_S,
        lasts_s: float = DUTY_LASTS_S,
        backoff_s: float = BACKOFF_S_MIN,
    ) -> None:
        self._projector = projector
        self._writer = writer
        self._bell = bell
        self._interval_s = interval_s
        self._duty = Duty(writer, clock, f"project {projector.name}", holder, lasts_s=lasts_s)
        self._backoff_s = backoff_s
        self._woken = asyncio.Event()
        self._aside: dict[NamespaceId, _Aside] = {}
        self._records = self._troubles = 0

    @property
    def name(self) -> str:
        """That of its projector."""
        return self._projector.name

    def stats(self) -> ProjectorStats:
        """Returns what it has done so far."""
        return ProjectorStats(self._records, self._troubles, self._duty.is_sure())

    async def measure(self) -> Lag:
        """Returns how far the target is behind, whichever worker carries. Cost: a read."""
        return await self._writer.read(lambda unit: unit.projections.measure(self.name))

    async def run(self) -> None:
        """Carries until cancelled. Trouble is logged, and met again after a while.

        What the target had said yes to when it is cancelled is noted, and the duty let go.
        """
        pause_s = 0.0
        is_begun = False
        waking = asyncio.create_task(self._wake_on_bell())
        try:
            while True:
                self._woken.clear()
                try:
                    if not is_begun:
                        await self._begin()
                        is_begun = True
                    await self._catch_up()
                    pause_s = 0.0
                except DutyLost:
                    log.info("projector.duty-lost", projector=self.name)
                except Exception as error:  # noqa: BLE001  a target may raise whatever it likes
                    pause_s = self._longer(pause_s)
                    self._note_trouble(error, retry_s=pause_s)
                    await asyncio.sleep(pause_s)
                    continue
                # Not ``wait_for``: it forgets a cancellation if what it waits for comes then.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._woken.wait()
        finally:
            waking.cancel()
            await asyncio.gather(waking, return_exceptions=True)
            await self._duty.release()

    async def _begin(self) -> None:
        """Makes the projector known. Two units: see ``ProjectionsUnit``."""
        known = await self._writer.read(lambda unit: unit.projections.list_projectors())
        if self.name not in known:
            await self._writer.write(lambda unit: unit.projections.add_projector(self.name))
        await self._writer.write(lambda unit: unit.projections.begin(self.name))

    async def _wake_on_bell(self) -> None:
        async with self._bell.listen_all() as rings:
            async for _ in rings:
                self._woken.set()

    async def _catch_up(self) -> None:
        """Carries until nothing is behind, but for what is put aside or another worker's."""
        after: NamespaceId | None = None
        has_moved = False
        while True:
            behind = await self._list_behind(after)
            if not behind:
                if after is None or not has_moved:
                    return
                after, has_moved = None, False  # More may have come to those that were looked at.
                continue
            if not await self._duty.ensure():
                return
            has_moved |= await self._carry_page(behind)
            after = behind[-1].namespace_id

    async def _list_behind(self, after: NamespaceId | None) -> Sequence[Behind]:
        return await self._writer.read(
            lambda unit: unit.projections.list_behind(self.name, after, PAGE_NAMESPACES)
        )

    async def _carry_page(self, behind: Sequence[Behind]) -> bool:
        """Carries a page of each journal, then notes how far; tells whether any went on."""
        moved: dict[NamespaceId, Seq] = {}
        now_s = asyncio.get_running_loop().time()
        try:
            for line in behind:
                aside = self._aside.get(line.namespace_id)
                if aside is not None and aside.until_s > now_s:
                    continue
                if not await self._duty.ensure():
                    raise DutyLost(self._duty.name)
                seq = await self._carry(line)
                if seq is not None:
                    moved[line.namespace_id] = seq
        finally:
            # Also when the rest could not be carried: what the target has need not come again.
            if moved:
                await self._writer.write(lambda unit: self._move(unit, moved))
        return bool(moved)

    async def _carry(self, line: Behind) -> Seq | None:
        """Hands over one page; returns up to where, None if the journal was put aside."""
        namespace_id = line.namespace_id
        records = await self._writer.read(
            lambda unit: unit.tree.list_records(namespace_id, line.seq, PAGE_RECORDS)
        )
        try:
            await self._projector.project(namespace_id, records)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  others are not to wait for one journal
            before = self._aside.get(namespace_id)
            pause_s = self._longer(before.pause_s if before else 0.0)
            until_s = asyncio.get_running_loop().time() + pause_s
            self._aside[namespace_id] = _Aside(pause_s, until_s)
            self._note_trouble(error, retry_s=pause_s, namespace=namespace_id.hex())
            return None
        self._aside.pop(namespace_id, None)
        self._records += len(records)
        return records[-1].seq if records else None

    def _move(self, unit: Unit, moved: dict[NamespaceId, Seq]) -> None:
        self._duty.require(unit)
        for namespace_id, seq in moved.items():
            unit.projections.move(self.name, namespace_id, seq)

    def _longer(self, pause_s: float) -> float:
        return min(BACKOFF_S_MAX, max(self._backoff_s, 2 * pause_s))

    def _note_trouble(self, error: Exception, *, retry_s: float, namespace: str = "") -> None:
        self._troubles += 1
        log.warning(
            "projector.trouble",
            projector=self.name,
            namespace=namespace,
            code=error.code if isinstance(error, DrystoneError) else type(error).__name__,
            what=str(error),
            retry_s=retry_s,
        )


class _Aside(NamedTuple):
    """A journal that was put aside: for how long, and until when."""

    pause_s: float
    until_s: float
