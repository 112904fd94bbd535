# SPDX-License-Identifier: Apache-2.0
"""One duty, as one worker on an event loop sees it: taken, kept while there is work, let go of.

How sure a worker may be that it still has a duty it reads from a clock that does not jump: a lease
counts from before it was asked for. What must not be written by one who has lost it calls
``require`` in the unit of work that writes.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.instant import NS_PER_S
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Unit
from drystone.server.service.writer import Writer

log = structlog.get_logger()

DUTY_LASTS_S: Final = 60.0
"""How long others wait for one that vanished. Renewed when half of it is over."""


class DutyLost(Unavailable):
    """Another worker has taken over what this one was doing; nothing was written."""

    code = "duty-lost"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"another worker has taken over the duty {name!r}",
            advice="Nothing needs to be done: it goes on there.",
        )


class Duty:
    """A duty that this worker wants, and maybe has. Lives on the event loop.

    Args:
        writer: The door to the metadata.
        clock: The time in the lease, as others read it.
        name: Of the duty.
        holder: Who this is: a text by chance, another one for each run of a worker.
        lasts_s: Of one lease.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        name: str,
        holder: str,
        *,
        lasts_s: float = DUTY_LASTS_S,
    ) -> None:
        self.name = name
        self._writer = writer
        self._clock = clock
        self._holder = holder
        self._lasts_s = lasts_s
        self._sure_until_s: float | None = None

    def is_sure(self) -> bool:
        """Tells whether nobody else can have the duty yet."""
        return self._rest_s() > 0

    async def ensure(self) -> bool:
        """Takes the duty, or prolongs it when half of its time is over; tells whether we have it.

        Cost: nothing in the first half of a lease, else a write.
        """
        if self._rest_s() > self._lasts_s / 2:
            return True
        asked_s = asyncio.get_running_loop().time()
        now_ns, lasts_ns = self._clock.now_ns(), round(self._lasts_s * NS_PER_S)
        has_it = await self._writer.write(
            lambda unit: unit.duties.take(self.name, self._holder, now_ns, lasts_ns)
        )
        self._sure_until_s = asked_s + self._lasts_s if has_it else None
        return has_it

    def require(self, unit: Unit) -> None:
        """Returns if we have the duty, and keep it to the end of this unit of work.

        Raises:
            DutyLost: Somebody else has taken it.
        """
        if not unit.duties.holds(self.name, self._holder):
            raise DutyLost(self.name)

    async def release(self) -> None:
        """Lets go of the duty if we may have it. Never raises for a database that is gone."""
        if self._sure_until_s is None:
            return
        self._sure_until_s = None
        try:
            await self._writer.write(lambda unit: unit.duties.release(self.name, self._holder))
        except DrystoneError as error:
            log.info("duty.not-released", duty=self.name, code=error.code)

    async def is_due(self, every_s: float) -> bool:
        """Tells whether what belongs to the duty was last done so long ago, by any worker.

        Cost: a write.
        """
        return await self._rest("nobody", every_s, 0.0)

    async def note_done(self, every_s: float) -> None:
        """Notes for all workers that it is done now; what ``is_due`` asks with the same number."""
        await self._rest("done", every_s, every_s)

    async def perform(self, job: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Does a long job if we get the duty: renews it meanwhile, and lets go of it at the end.

        Returns:
            False if another worker has the duty: the job was not begun.

        Raises:
            DutyLost: It went to another worker meanwhile; the job was cancelled. What it had begun
                in threads goes on there, so whatever it writes calls ``require``.
        """
        if not await self.ensure():
            return False
        working = asyncio.create_task(job())
        keeping = asyncio.create_task(self._keep())
        try:
            await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise DutyLost(self.name)
            working.result()
            return True
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.gather(working, keeping, return_exceptions=True)
            await self.release()

    async def _keep(self) -> None:
        """Renews the duty again and again; returns once another one may have it."""
        has_it = True
        while has_it:
            await asyncio.sleep(self._lasts_s / 4)
            try:
                has_it = await self.ensure()
            except DrystoneError as error:
                log.info("duty.not-renewed", duty=self.name, code=error.code)
                has_it = self.is_sure()

    async def _rest(self, holder: str, every_s: float, lasts_s: float) -> bool:
        """Takes what nobody can take as long as what was done is not due again: a lease, too, since
        that knows about clocks that jump. Another interval is another lease.
        """
        name = f"{self.name}, done within {every_s:g} s"
        now_ns, lasts_ns = self._clock.now_ns(), round(lasts_s * NS_PER_S)
        return await self._writer.write(
            lambda unit: unit.duties.take(name, holder, now_ns, lasts_ns)
        )

    def _rest_s(self) -> float:
        if self._sure_until_s is None:
            return 0.0
        return self._sure_until_s - asyncio.get_running_loop().time()
