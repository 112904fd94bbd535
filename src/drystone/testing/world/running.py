# SPDX-License-Identifier: Apache-2.0
"""Running: one world from its script to its rest, judged all the way."""

import asyncio
import gc
import hashlib
from collections import deque
from typing import Final, NamedTuple

from drystone.core.errors import DrystoneError
from drystone.core.planning.plan import Conflict
from drystone.server.service.blocks.shelf import LeaseTimes
from drystone.testing.fakes.clock import SOME_DAY_NS
from drystone.testing.world.accidents import Accidents
from drystone.testing.world.checkers import (
    Held,
    check_agreement,
    check_attributes,
    check_collected,
    check_cursors,
    check_deaths,
    check_held,
    check_no_false_conflict,
    check_no_loss,
    check_no_return,
    check_repeats,
    check_server,
    check_untroubled,
)
from drystone.testing.world.ledger import Broken, Ledger, show_content
from drystone.testing.world.script import Act, Script
from drystone.testing.world.stage.chance import Chance
from drystone.testing.world.stage.device import WorldDevice
from drystone.testing.world.stage.server import WorldServer
from drystone.testing.world.stage.timeline import Killed, Timeline
from drystone.testing.world.users import User

_FIRST_WINDOW_S: Final = 120.0
_WINDOW_S: Final = 3_700.0
"""More than the longest time between two full scans: who rests so long has looked everywhere."""
_WINDOWS_MAX: Final = 12
_REQUESTS_MAX: Final = 600
"""Of a device, from the last accident to rest."""
_NS_PER_S: Final = 1_000_000_000


class Verdict(NamedTuple):
    """What became of a world.

    Attributes:
        law: Which law broke; empty: none.
        what: How.
        digest: Of all that happened: the same for the same script.
        rest_s: When it came to rest, in virtual seconds.
        lines: The trace, if it was asked for.
    """

    law: str
    what: str
    digest: str
    rest_s: float
    lines: list[str]


def run_script(script: Script, *, keeps_trace: bool = False) -> Verdict:
    """Runs a world; the same script gives the same verdict, in whatever process.

    The collector of cycles rests meanwhile: what it finalises, and when, is no part of the world.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return World(script, keeps_trace=keeps_trace).run()
    finally:
        if was_enabled:
            gc.enable()


class World:
    """See the module.

    Args:
        script: What is done to it.
        keeps_trace: Whether to keep the trace, or only its digest.
    """

    def __init__(self, script: Script, *, keeps_trace: bool = False) -> None:
        self._trace = hashlib.sha256()
        self._lines: list[str] | None = [] if keeps_trace else None
        chance = Chance(script.seed)
        self.timeline = Timeline(chance.stream("threads"))
        self.ledger = Ledger(lambda who, inode: self.devices[who].find_entry(inode))
        self.server_skew_s = 0.0
        self._collecting = {act.args[0] for act in script.acts if act.deed == "collect"}
        leases = make_leases(min(self._collecting)) if self._collecting else LeaseTimes()
        self.server = WorldServer(self.timeline, self._server_now_ns, script.workers, leases=leases)
        self.devices = {
            name: WorldDevice(name, nature, self.timeline, chance, self.server, watching=self)
            for name, nature in sorted(script.devices.items())
        }
        self.server.on_end += [device.link.break_off for device in self.devices.values()]
        self.users = {
            name: User(name, device.disk, self.ledger) for name, device in self.devices.items()
        }
        self._accidents = Accidents(self, script.acts)
        self._acts = deque(sorted(script.acts, key=lambda act: act.at_s))
        self._storm_s = max((act.at_s for act in self._acts), default=0.0)
        self._broken: Broken | None = None
        self._has_agreed = False
        self._encrypting = {act.who for act in script.acts if act.deed == "encrypt"}

    def run(self) -> Verdict:
        """Lets it run until it rests, or a law breaks."""
        law = what = ""
        try:
            self.timeline.run_until_complete(self._play())
        except AssertionError as error:
            broken = self._broken or error
            law = broken.law if isinstance(broken, Broken) else type(broken).__name__
            what = str(broken)
        self.note("verdict", law, what)
        rest_s = self.timeline.time()
        self.end()
        return Verdict(law, what, self._trace.hexdigest(), rest_s, self._lines or [])

    # --- the course of events ----------------------------------------------------------------

    def begin(self) -> None:
        """Starts everybody: from now on it goes on as long as somebody lets time pass."""
        self.server.start()
        for device in self.devices.values():
            device.start()

    async def _play(self) -> None:
        self.begin()
        for act in self._acts:
            self.timeline.call_at(act.at_s, self.act_due)
        await asyncio.sleep(self._storm_s + 0.001)
        self.act_due()
        self._accidents.heal()
        await self.come_to_rest()
        held = self._judge()
        await check_cursors(self.server, held)
        if self._accidents.is_server_steady:
            await check_repeats(self.server)
        if self._collecting:
            check_collected(self.server, self.ledger)

    def act_due(self) -> None:
        """Does what the script wants done by now."""
        acts = self._acts
        while acts and acts[0].at_s <= self.timeline.time():
            self._perform(acts.popleft())

    def _perform(self, act: Act) -> None:
        self.note("act", act.who, act.deed, *act.args)
        user = self.users.get(act.who)
        if user is not None and act.deed in user.deeds:
            user.deeds[act.deed](*act.args)
        elif act.deed in ("select", "unselect") and act.who in self.devices:
            self.devices[act.who].select(*act.args, is_wanted=act.deed == "select")
        else:
            self._accidents.perform(act)

    async def come_to_rest(self) -> None:
        """Waits until nothing happens any more. Where nothing went wrong that has to be so
        soon; otherwise only after everybody has looked everywhere.

        Raises:
            Broken: It goes on for ever, or something else is not in order.
        """
        requests = {n: d.link.requests_count for n, d in self.devices.items()}
        wait_s, is_long = _FIRST_WINDOW_S, False
        for _ in range(_WINDOWS_MAX):
            before = self._count_changes()
            await asyncio.sleep(wait_s)
            self._check_broken()
            self._check_held()
            agreed = [await device.agree() for device in self.devices.values()]
            self._has_agreed |= any(agreed)
            if any(agreed):
                wait_s, is_long = _FIRST_WINDOW_S, False
            elif before == self._count_changes() and await self._is_settled():
                if is_long or not self._accidents.has_any:
                    break
                is_long = True
                wait_s = _WINDOW_S
            else:
                wait_s, is_long = _WINDOW_S, True
        else:
            await self._tell_unrest()
        for name, device in self.devices.items():
            count = device.link.requests_count - requests[name]
            if count > _REQUESTS_MAX:
                raise Broken("bounded", f"device {name} asked {count} times until it rested")

    def _check_held(self) -> None:
        # Whoever is killed may forget how much was sent, and lets a little more pass.
        if self._encrypting and not self._has_agreed and not self._accidents.has_any:
            check_held(self.server, len(self._encrypting))

    async def _is_settled(self) -> bool:
        for device in self.devices.values():
            standing = await device.describe()
            if standing is None:
                return False
            if standing.is_settled:
                continue
            # What a disk cannot hold stays open; all else must be settled.
            open_count = standing.summary.unsettled_count
            if not open_count or open_count != len(device.find_unheld()):
                return False
        return True

    async def _tell_unrest(self) -> None:
        told = []
        for device in self.devices.values():
            standing = await device.describe()
            rows = ", ".join(f"{row.path}: {row.code}" for row in device.find_problems())
            if standing is None:
                told.append(f"{device.name} does not run")
            elif not standing.is_settled:
                left = standing.summary.unsettled_count
                told.append(f"{device.name}: {standing.phase} {standing.why} {left} open [{rows}]")
        raise Broken("rest", "; ".join(told) or "something goes on for ever")

    def _count_changes(self) -> tuple[int, ...]:
        counts = [device.disk.changes_count for device in self.devices.values()]
        return (self.server.head(), self.server.starts_count, *counts)

    # --- judging -----------------------------------------------------------------------------

    def _judge(self) -> Held:
        self._check_broken()
        held = check_server(self.server, self.ledger)
        for path in sorted(held.paths):
            self.note("at rest", path, held.paths[path])
        devices = list(self.devices.values())
        check_agreement(devices, held.paths)
        check_attributes(devices, held)
        check_no_loss(self.ledger, held, devices)
        if not self._accidents.has_turned_back:
            check_no_return(self.ledger, held)
            check_no_false_conflict(self.ledger, held)
        check_untroubled(devices)
        return held

    def _check_broken(self) -> None:
        if self._broken is not None:
            raise self._broken
        check_deaths(self.timeline.troubles, (DrystoneError, Killed, asyncio.CancelledError))

    def note(self, *what: object) -> None:
        """Adds a line to the trace."""
        line = f"{self.timeline.time():.6f} {what!r}\n"
        self._trace.update(line.encode())
        if self._lines is not None:
            self._lines.append(line)

    def note_content(self, device: str, path: str, content: bytes) -> None:
        """A client has put a file in place: it must be one that somebody wrote."""
        if not self.ledger.is_known(content):
            what = f"{path!r} on {device} holds what nobody wrote: {show_content(content)}"
            self._broken = self._broken or Broken("whole", what)

    def note_conflict(self, device: str, path: str, conflict: Conflict) -> None:
        """A client tells of a conflict."""
        self.note(device, "conflict", path, conflict.kind.value, conflict.kept_as)

    def note_death(self, device: str, error: BaseException) -> None:
        """A client's loop has ended by itself."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        what = f"the loop of {device} ended: {_show_error(error)}"
        self.note(device, what)
        if isinstance(error, DrystoneError):
            return  # Told to the user; the daemon begins anew.
        self._broken = self._broken or Broken("no defect", what)

    # --- small things ------------------------------------------------------------------------

    def _server_now_ns(self) -> int:
        return SOME_DAY_NS + round((self.timeline.time() + self.server_skew_s) * _NS_PER_S)

    def end(self) -> None:
        """Ends all that runs. The world is of no use afterwards."""
        self._accidents.is_over = True
        for device in self.devices.values():
            device.life.end()
        self.server.life.end()
        self.timeline.drain()


def make_leases(lasts_s: int) -> LeaseTimes:
    """Returns how long things are leased in a world in which is collected."""
    return LeaseTimes(lasts_s, lasts_s // 2, max(1, lasts_s // 8))


def _show_error(error: BaseException) -> str:
    where = ""
    trace = error.__traceback__
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rpartition('drystone/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {where}: {error}"
