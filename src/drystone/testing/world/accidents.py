# SPDX-License-Identifier: Apache-2.0
"""Accidents: what machines, networks and disks do wrong, and what heals all of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from drystone.client.adapters.disk.trouble import DiskBusy, FlushFailed
from drystone.client.ports import Unreadable
from drystone.server.workers.collecting import CollectRules
from drystone.testing.world.ledger import Ledger, list_contents
from drystone.testing.world.script import Act
from drystone.testing.world.stage.device import WorldDevice
from drystone.testing.world.stage.server import WorldServer
from drystone.testing.world.stage.timeline import Timeline

_REOPEN_S: Final = 10.0
"""Until a client that has ended by itself is started again."""
_WRITE_BACK_S: Final = 30.0
"""Between two times at which a machine writes back by itself what was not flushed."""
_FAULT_PART: Final = 0.3
"""Of the calls of a bad disk, so many fail."""


class Scene(Protocol):
    """What accidents happen to."""

    @property
    def timeline(self) -> Timeline: ...

    @property
    def devices(self) -> Mapping[str, WorldDevice]: ...

    @property
    def server(self) -> WorldServer: ...

    @property
    def ledger(self) -> Ledger: ...

    server_skew_s: float

    def note(self, *what: object) -> None:
        """Something happened, for the trace."""
        ...


class Accidents:
    """Does accidents.

    Args:
        scene: To whom.
        acts: All that will happen: what must be prepared for is in there.

    Attributes:
        of_device: Accidents of a device, by name.
        of_server: Accidents of the server, by name.
        has_any: Something has gone wrong.
        has_turned_back: Somebody knows less than before: a disk, a database, a server.
        is_server_steady: It still knows all that it has answered, and keys have not expired.
        is_over: Nobody is started again: the world ends.
    """

    def __init__(self, scene: Scene, acts: Sequence[Act]) -> None:
        self._scene = scene
        self._timeline = scene.timeline
        self._is_healed = self.is_over = False
        self.has_any = self.has_turned_back = False
        self.is_server_steady = True
        self._down_s: dict[str, float] = {}
        self._copies: dict[str, bytes] = {}
        self.of_device: dict[str, Callable[..., None]] = {
            accident.__name__: accident
            for accident in (
                self.crash, self.power, self.cut, self.slow, self.lose_answers,
                self.lose_requests, self.full, self.bad_disk, self.deaf, self.invent,
                self.overflow, self.jump, self.copy_state, self.old_state, self.lie,
            )
        }  # fmt: skip
        self.of_server: dict[str, Callable[..., None]] = {
            "crash": self.crash_server,
            "back_up": self.back_up,
            "restore": self.restore,
            "put_back": self.put_back,
            "jump": self.jump_server,
            "collect": self.collect,
            "scrub": self.scrub,
            "rot": self.rot,
        }
        for name, device in scene.devices.items():
            device.on_end = lambda device=device: self._start_later(device)  # type: ignore[misc]
            if any(act.who == name and act.deed == "power" for act in acts):
                device.disk.is_fragile = True
                self._write_back(device)
        scene.server.on_end.append(self._start_server_later)

    def perform(self, act: Act) -> None:
        """Does one."""
        # Collecting and scrubbing are no accidents: nobody may notice.
        self.has_any |= act.deed not in ("collect", "scrub")
        self.has_turned_back |= act.deed in ("power", "old_state", "restore", "put_back")
        # What a killed client had written and not noted is like a person's when it starts again.
        self.has_turned_back |= act.deed == "crash"
        if act.who == "server":
            self.is_server_steady &= act.deed in ("crash", "back_up", "collect", "scrub", "rot")
            self.of_server[act.deed](*act.args)
        else:
            self.of_device[act.deed](self._scene.devices[act.who], *act.args)

    def heal(self) -> None:
        """Ends all that is wrong: from now on everything works, and everybody runs.

        Clocks stay wrong: nobody may count on them.
        """
        self._is_healed = True
        self._scene.note("heal")
        self._scene.server.life.spare()
        self._scene.server.scrub_all()
        self._scene.server.start()
        for device in self._scene.devices.values():
            device.life.spare()
            device.link.is_up = True
            device.link.lost_requests = device.link.lost_answers = 0
            device.disk_ms = device.nature.disk_ms
            device.disk.room_bytes = None
            device.disk.is_lying = device.is_deaf = False
            device.faulty = _is_fine
            device.start()

    # --- machines ----------------------------------------------------------------------------

    def crash(self, device: WorldDevice, effects_count: int, down_s: float) -> None:
        """The client is killed after so many effects, and started again after a while."""
        self._down_s[device.name] = down_s
        device.life.end_after(effects_count)
        if not effects_count:
            device.life.end()

    def power(self, device: WorldDevice, down_s: float, how: str) -> None:
        """The machine loses power: what was not flushed is lost, or some of it."""
        self._down_s[device.name] = down_s
        before = list_contents(device.disk.root)
        device.lose_power(how)
        after = list_contents(device.disk.root)
        self._scene.ledger.take(before, after, is_lying=device.disk.is_lying)

    def jump(self, device: WorldDevice, seconds: float) -> None:
        """Its clock jumps."""
        device.clock.jump(seconds)

    def copy_state(self, device: WorldDevice) -> None:
        """Somebody makes a copy of the client's database."""
        self._copies[device.name] = device.find_image()

    def old_state(self, device: WorldDevice, down_s: float) -> None:
        """The client's database is replaced by the last copy; without one it is lost."""
        self._down_s[device.name] = down_s
        device.life.end()
        device.image = self._copies.get(device.name, b"")

    # --- network -----------------------------------------------------------------------------

    def cut(self, device: WorldDevice, for_s: float) -> None:
        """Its connections break, and for a while none can be made."""
        device.link.is_up = False
        device.link.break_off()
        self._later(for_s, lambda: setattr(device.link, "is_up", True))

    def lose_answers(self, device: WorldDevice, count: int) -> None:
        """Its next requests are carried out, and it is not told."""
        device.link.lost_answers = count

    def lose_requests(self, device: WorldDevice, count: int) -> None:
        """Its next requests do not arrive."""
        device.link.lost_requests = count

    # --- disk and watcher --------------------------------------------------------------------

    def slow(self, device: WorldDevice, for_s: float, disk_ms: float) -> None:
        """Its disk takes long for everything."""
        device.disk_ms = disk_ms
        self._later(for_s, lambda: setattr(device, "disk_ms", device.nature.disk_ms))

    def full(self, device: WorldDevice, for_s: float, room_bytes: int) -> None:
        """Its disk has hardly any room."""
        device.disk.room_bytes = room_bytes
        self._later(for_s, lambda: setattr(device.disk, "room_bytes", None))

    def bad_disk(self, device: WorldDevice, for_s: float, *kinds: str) -> None:
        """Some calls of some kinds fail."""
        chance = device.chance

        def fault(kind: str, path: str) -> None:
            if kind not in kinds or chance.random() >= _FAULT_PART:
                return
            if kind == "flush":
                raise FlushFailed("the disk did not take what was written")
            if kind in ("write", "change"):
                raise DiskBusy(f"{path!r} is busy")
            if path:
                raise Unreadable(f"the disk failed at {path!r}")

        device.faulty = fault
        self._later(for_s, lambda: setattr(device, "faulty", _is_fine))

    def lie(self, device: WorldDevice) -> None:
        """From now on its disk only says that it has flushed."""
        device.disk.is_lying = True

    def deaf(self, device: WorldDevice, for_s: float) -> None:
        """Its watcher misses everything for a while."""
        device.is_deaf = True
        self._later(for_s, lambda: setattr(device, "is_deaf", False))

    def invent(self, device: WorldDevice, folder: str) -> None:
        """Its watcher tells of a change that nobody made."""
        device.invent_hint(folder)

    def overflow(self, device: WorldDevice) -> None:
        """Its watcher says that it has missed something."""
        device.overflow()

    # --- server ------------------------------------------------------------------------------

    def crash_server(self, effects_count: int, down_s: float) -> None:
        """The server is killed after so many effects, and started again after a while."""
        server = self._scene.server
        self._down_s["server"] = down_s
        server.life.end_after(effects_count)
        if not effects_count:
            server.life.end()

    def collect(
        self, _lease_s: int, age_s: int, quarantine_s: int, step_s: float, effects_count: int
    ) -> None:
        """The operator collects what nothing refers to; that may be killed in the middle."""
        rules = CollectRules(age_s, 0, quarantine_s, thin_percent=80, remembered_s=10_000)
        self._scene.server.collect(rules, step_s, effects_count)

    def scrub(self, step_s: float, effects_count: int) -> None:
        """The operator reads all that is kept; that may be killed in the middle."""
        self._scene.server.scrub(step_s, effects_count)

    def rot(self, which: int, for_s: float) -> None:
        """One of the server's objects is damaged, and is brought back a while later."""
        self._scene.server.rot(which, for_s)

    def back_up(self) -> None:
        """The operator makes a backup."""
        self._scene.server.back_up()

    def restore(self, down_s: float) -> None:
        """The operator restores the last backup, if there is one."""
        server = self._scene.server
        self._down_s["server"] = down_s
        server.life.end()
        self._scene.note("restored", server.restore())

    def put_back(self) -> None:
        """The database takes the place of an earlier one, while the workers go on: a replica that
        lacks what came last, or a backup.
        """
        self._scene.note("put back", self._scene.server.put_back())

    def jump_server(self, seconds: float) -> None:
        """The server's clock jumps."""
        self._scene.server_skew_s += seconds

    # --- inside ------------------------------------------------------------------------------

    def _start_later(self, device: WorldDevice) -> None:
        if self.is_over:
            return
        down_s = self._down_s.pop(device.name, _REOPEN_S)
        self._timeline.call_later(down_s, device.start)

    def _start_server_later(self) -> None:
        if self.is_over:
            return
        down_s = self._down_s.pop("server", _REOPEN_S)
        self._timeline.call_later(down_s, self._scene.server.start)

    def _later(self, for_s: float, end: Callable[[], None]) -> None:
        self._timeline.call_later(for_s, end)

    def _write_back(self, device: WorldDevice) -> None:
        if not self._is_healed and not device.disk.is_lying:
            device.disk.write_back()
        if not self._is_healed:
            self._timeline.call_later(_WRITE_BACK_S, self._write_back, device)


def _is_fine(_: str, __: str) -> None:
    """What a good disk raises."""
