# SPDX-License-Identifier: Apache-2.0
"""Strays: what devices began to put into the object store, and nobody ever accounts for.

An arrival that was promised, and whose time is over: it is forgotten, then its object removed. One
whose blocks lie elsewhere by now. One that was quarantined, and was kept long enough. And an object
of which nothing is known, because a worker ended between two steps, or a ticket was used again
after its arrival was gone.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog

from drystone.core.errors import DrystoneError
from drystone.core.ids import NamespaceId
from drystone.core.instant import NS_PER_S
from drystone.core.limits import ARRIVAL_STRAY_S
from drystone.server.ports.arrivals import ARRIVING, Arrival, ArrivalState, parse_arrival_name
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Unit
from drystone.server.service.blocks.direct import DirectStore
from drystone.server.service.blocks.heads import Offer, read_heads
from drystone.server.service.writer import Writer
from drystone.server.workers.verifier import OnDuty

log = structlog.get_logger()

INTERVAL_S: Final = 60.0
"""Between looks at arrivals whose time is over."""

LISTING_INTERVAL_S: Final = 6 * 3600
"""Between listings of the store, which cost a request for each thousand objects that arrive."""

_AT_ONCE: Final = 100

_NEVER_S: Final = 1 << 40


class StraysStats(NamedTuple):
    """What was removed since it began.

    Attributes:
        given_up: Arrivals that nobody said had arrived.
        joined: Objects of arrivals whose blocks lie elsewhere.
        forgotten: Objects of arrivals that were quarantined.
        strays: Objects of which nothing was known.
        troubles: Times that a store or the database could not be used.
    """

    given_up: int = 0
    joined: int = 0
    forgotten: int = 0
    strays: int = 0
    troubles: int = 0


_COUNTED: Final = {
    ArrivalState.PROMISED: "given_up",
    ArrivalState.JOINED: "joined",
    ArrivalState.QUARANTINED: "forgotten",
}


class Strays:
    """Removes what was abandoned, in the background of one worker.

    Args:
        writer: The door to the metadata.
        store: Where arrivals stand.
        clock: The time.
        duty: That of removing.
    """

    def __init__(self, writer: Writer, store: DirectStore, clock: Clock, duty: OnDuty) -> None:
        self._writer = writer
        self._objects, self._signing = store
        self._clock = clock
        self._duty = duty
        self._stats = StraysStats()
        self._listed_s = float(-LISTING_INTERVAL_S)

    def stats(self) -> StraysStats:
        """Returns what was done so far."""
        return self._stats

    async def run(self) -> None:
        """Removes until cancelled. Trouble is logged, and met again after a while."""
        try:
            while True:
                try:
                    await self.remove_due()
                    loop_s = asyncio.get_running_loop().time()
                    if loop_s - self._listed_s >= LISTING_INTERVAL_S:
                        self._listed_s = loop_s
                        await self.remove_strays()
                except DrystoneError as error:
                    self._count(troubles=1)
                    log.warning("strays.trouble", code=error.code, what=error.message)
                await asyncio.sleep(INTERVAL_S)
        finally:
            await self._duty.release()

    async def remove_due(self) -> None:
        """Removes arrivals whose time is over, and their objects.

        Raises:
            Unavailable: The database or the store cannot be used now.
        """
        for state in _COUNTED:
            while True:
                due = await self._list_due(state)
                if not due or not await self._duty.ensure():
                    break
                for arrival in due:
                    await self._remove(arrival)

    async def remove_strays(self) -> None:
        """Removes objects that devices put and of which nothing is known.

        Cost: lists all that arrives. Raises as ``remove_due``.
        """
        if not await self._duty.ensure():
            return
        # First what is there, then what is known of it: nobody is told of a place that is not.
        before_ns = self._clock.now_ns() - ARRIVAL_STRAY_S * NS_PER_S
        names = await asyncio.to_thread(
            lambda: [s.name for s in self._objects.iter_names(ARRIVING) if s.written_ns < before_ns]
        )
        by_namespace: defaultdict[NamespaceId, dict[bytes, str]] = defaultdict(dict)
        for name in names:
            if parsed := parse_arrival_name(name):
                by_namespace[parsed[0]][parsed[1]] = name
        for namespace_id, mine in by_namespace.items():
            ids = list(mine)
            for start in range(0, len(ids), _AT_ONCE):
                part = ids[start : start + _AT_ONCE]
                known = await self._find_kept(namespace_id, part)
                for arrival_id in part:
                    if arrival_id not in known:
                        log.info("strays.stray", name=mine[arrival_id])
                        await asyncio.to_thread(self._objects.delete, mine[arrival_id])
                        self._count(strays=1)

    async def _list_due(self, state: ArrivalState) -> Sequence[Arrival]:
        now_s = self._clock.now_ns() // NS_PER_S
        return await self._writer.read(lambda unit: unit.arrivals.list_due(state, now_s, _AT_ONCE))

    async def _find_kept(
        self, namespace_id: NamespaceId, arrival_ids: Sequence[bytes]
    ) -> set[bytes]:
        """Returns those of these arrivals whose object is still wanted."""
        found = await self._writer.read(lambda unit: unit.arrivals.find(namespace_id, arrival_ids))
        return {arrival.arrival_id for arrival in found if arrival.state != ArrivalState.LOST}

    async def _remove(self, arrival: Arrival) -> None:
        now_s = self._clock.now_ns() // NS_PER_S

        def forget(unit: Unit) -> bool:
            self._duty.require(unit)
            [*still] = unit.arrivals.find(arrival.namespace_id, (arrival.arrival_id,))
            if not still or still[0].state != arrival.state or still[0].due_s > now_s:
                return False
            layout = read_heads(Offer(arrival.pack_id, arrival.heads), arrival.name)
            ids = {place.block_id for place in layout.places}
            claimed = unit.arrivals.find_damaged(arrival.namespace_id, ids).keys()
            if claimed <= unit.blocks.find_held(arrival.namespace_id, claimed):
                unit.arrivals.remove(arrival.namespace_id, arrival.arrival_id)
            else:
                # Entries may refer to what it should have held: that stays known to be damaged.
                lost = arrival._replace(state=ArrivalState.LOST, due_s=_NEVER_S)
                unit.arrivals.change(lost)
            return True

        if not await self._writer.write(forget):
            return
        if arrival.upload and arrival.state == ArrivalState.PROMISED:
            await asyncio.to_thread(self._signing.abort_parts, arrival.name, arrival.upload)
        await asyncio.to_thread(self._objects.delete, arrival.name)
        what = _COUNTED[ArrivalState(arrival.state)]
        log.info("strays.removed", name=arrival.name, why=what)
        self._count(**{what: 1})

    def _count(self, **more: int) -> None:
        counts = self._stats._asdict()
        self._stats = StraysStats(**{key: counts[key] + more.get(key, 0) for key in counts})
