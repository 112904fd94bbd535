# SPDX-License-Identifier: Apache-2.0
"""A device of a world: the real loop, with a disk, a database, a network and a clock that lie."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from drystone.client.adapters.clock import make_file_ids
from drystone.client.adapters.narrow import widen
from drystone.client.loop.parts import World as LoopWorld
from drystone.client.loop.running import Loop
from drystone.client.loop.summary import Standing
from drystone.client.ports import Hints, NoSymlinks, ProblemRow, State
from drystone.client.steps.pull import Selection
from drystone.client.steps.scan import find_left_out
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.instant import NS_PER_S
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.planning.guards import HALT_CODES
from drystone.core.planning.plan import Conflict
from drystone.core.tree.entry import Kind
from drystone.testing.fakes.clock import SOME_DAY_NS
from drystone.testing.fakes.disk import Inode
from drystone.testing.fakes.narrow import DISKS
from drystone.testing.world.stage.chance import Chance
from drystone.testing.world.stage.database import KeptDatabase, KeptState
from drystone.testing.world.stage.disk import WorldDisk
from drystone.testing.world.stage.life import Life
from drystone.testing.world.stage.mortal_disk import MortalDisk
from drystone.testing.world.stage.network import Link, LinkedRemote
from drystone.testing.world.stage.server import WorldServer
from drystone.testing.world.stage.timeline import Killed, Timeline

_NS_PER_MS: Final = 1_000_000
_TICK_NS: Final = 4 * _NS_PER_MS
"""Between two stamps of a usual disk that can differ."""


class DeviceNature(NamedTuple):
    """What a device is like.

    Attributes:
        disk_ms: How long one call of its disk takes, at most.
        stamp_ms: How coarse its disk's stamps are; 0: as usual.
        skew_s: How far its clock is from the server's.
        link_ms: The mean of how long a message takes to the server or back.
        hint_ms: How long the watcher takes to tell, at most.
        disk: Which names its disk can hold; see ``testing.fakes.narrow``.
    """

    disk_ms: float = 0.2
    stamp_ms: int = 0
    skew_s: float = 0.0
    link_ms: float = 5.0
    hint_ms: float = 100.0
    disk: str = "wide"


class Watching(Protocol):
    """Who looks at what happens on a device, to judge it."""

    def act_due(self) -> None:
        """Time has passed in the middle of something: does what is due by now."""
        ...

    def note(self, *what: object) -> None:
        """Something happened, for the trace."""
        ...

    def note_content(self, device: str, path: str, content: bytes) -> None:
        """The client put a file in place."""
        ...

    def note_conflict(self, device: str, path: str, conflict: Conflict) -> None:
        """The client told of a conflict."""
        ...

    def note_death(self, device: str, error: BaseException) -> None:
        """The loop ended by itself: a defect."""
        ...


class DeviceClock:
    """Implements the client's ``Clock``: virtual time and an error that may change."""

    def __init__(self, timeline: Timeline, skew_s: float) -> None:
        self._timeline = timeline
        self.skew_s = skew_s

    def now_ns(self) -> int:
        return SOME_DAY_NS + round((self._timeline.time() + self.skew_s) * NS_PER_S)

    def jump(self, seconds: float) -> None:
        """Jumps, but not to before 1970."""
        self.skew_s = max(self.skew_s + seconds, -SOME_DAY_NS / NS_PER_S)

    def date_text(self) -> str:
        return "2023-11-14"

    def monotonic_s(self) -> float:
        return self._timeline.time()


class WorldDevice:
    """What lasts of a device, and the client as it runs there now, if it does.

    Attributes:
        disk: Its folder.
        link: Its network.
        clock: Its clock.
        chance: What else happens to it.
        is_deaf: Its watcher tells nothing.
        faulty: Raises what a bad disk raises, given the kind of call and the path.
    """

    def __init__(
        self,
        name: str,
        nature: DeviceNature,
        timeline: Timeline,
        chance: Chance,
        server: WorldServer,
        *,
        watching: Watching,
    ) -> None:
        self.name = name
        self.nature = nature
        self._timeline = timeline
        self._server = server
        self._watching = watching
        self.chance = chance.stream(f"device {name}")
        self.clock = DeviceClock(timeline, nature.skew_s)
        step_ns = nature.stamp_ms * _NS_PER_MS or _TICK_NS
        stated_ns = max(1, nature.stamp_ms * _NS_PER_MS)
        traits = DISKS[nature.disk]._replace(mtime_step_ns=stated_ns)
        self.disk = WorldDisk(self.clock.now_ns, step_ns, traits)
        self.disk.tell = self._tell_watcher
        self.disk.check_content = lambda path, content: watching.note_content(name, path, content)
        self.link = Link(timeline, chance.stream(f"link {name}"), nature.link_ms / 1_000)
        self.disk_ms = nature.disk_ms
        self.is_deaf = False
        self.faulty: Callable[[str, str], None] = lambda _, __: None
        self._actor = server.add_device(name)
        # Those of one life are never those of another: what was not saved is forgotten.
        self._new_file_id = make_file_ids(self.clock.now_ns, chance.stream(f"ids {name}"))
        self._keys = itertools.count(1)
        self._boots_count = 1
        self.image = b""
        """The database as it was saved last; empty: none."""
        self.images: list[bytes] = []
        """What a loss of power may leave of it, if the disk is fragile."""
        self.unselected: tuple[FileId, ...] = ()
        """Which folders are not to be here, as the list of roots says, and how often some were
        selected again. Nothing happens to that list.
        """
        self.selects_count = 0
        self._selecting: list[asyncio.Task[None]] = []
        self.on_end: Callable[[], None] = lambda: None
        """Is told when the client has ended."""
        self._state: KeptState | None = None
        self._watcher: _Watcher | None = None
        self._task: asyncio.Task[None] | None = None
        self.loop: Loop | None = None
        self.life = Life(lambda: None)
        self.life.end()

    # --- its life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the client, if it does not run."""
        if self.life.is_alive:
            return
        life = self.life = Life(self._end)
        self._watching.note("start", self.name)
        database = KeptDatabase(self.image)
        self._state = KeptState(database, f"boot {self._boots_count}", self._note_image, life)
        if Selection(self._state).is_outdated(self.selects_count):
            self._state.die()
            self._state = KeptState(
                KeptDatabase(b""), f"boot {self._boots_count}", self._note_image, life
            )
        Selection(self._state).adopt(self.unselected, self.selects_count)
        if self.disk.is_fragile:
            self._state.saved = self.images = [self.image]
        self._watcher = _Watcher()
        remote = LinkedRemote(self._server, self._actor, self.link, life)
        world = LoopWorld(
            disk=widen(MortalDisk(self.disk, self._meet_disk(life), life.meet)),
            state=self._state,
            remote=remote,
            clock=self.clock,
            notices=_Notices(self.name, self._watching),
            new_file_id=self._new_file_id,
            new_key=lambda: f"{self.name}-{next(self._keys)}",
            device_name=self.name,
            # No time passes while a thread works: what was just written is looked at again.
            rest=lambda _: None,
        )
        self._task = self._timeline.create_task(self._run(world, life))

    def lose_power(self, how: str) -> None:
        """The machine stops at once; what was not flushed is lost as ``WorldDisk`` tells."""
        self.life.end()
        self._boots_count += 1
        if self.images and how in ("reverted", "torn"):
            self.image = self.chance.choice(self.images)
        self.disk.lose_power(how, self.chance)

    async def agree(self) -> bool:
        """A human looks: agrees to what a guard stopped. Returns whether it was so."""
        if self.loop is None:
            return False
        standing = await self.loop.describe()
        if standing.why_code not in HALT_CODES:
            return False
        self._watching.note("agree", self.name, standing.why_code)
        await self.loop.answers.accept()
        self.loop.hint_all()
        return True

    def select(self, number: int, *, is_wanted: bool) -> None:
        """Somebody takes a folder off this device, if the client runs; or has one come back.

        Args:
            number: Which of those that there are.
            is_wanted: Have one come back.
        """
        if self.loop is not None:
            selecting = self._select(self.loop, self.life, number, is_wanted=is_wanted)
            self._selecting.append(self._timeline.create_task(selecting))

    async def _select(self, loop: Loop, life: Life, number: int, *, is_wanted: bool) -> None:
        def change(world: LoopWorld) -> None:
            if not life.is_alive:
                return
            selection = Selection(world.state)
            ids = sorted(selection.ids)
            if is_wanted and ids:
                selection.select([ids[number % len(ids)]])
                world.state.save()
            elif not is_wanted and (folders := list_folders(world.state)):
                stored = folders[number % len(folders)]
                # The list of roots is written first.
                self.unselected = (*self.unselected, stored.file_id)
                selection.unselect([stored])
                world.state.save()
            self.unselected = tuple(sorted(selection.ids))
            self.selects_count = selection.selects_count

        # A client that ends meanwhile has changed nothing, or all.
        with suppress(Killed, RuntimeError):
            await loop.inspect(change)
            loop.hint_all()

    def find_image(self) -> bytes:
        """Returns what a copy of its database made now would hold: what was saved last."""
        return self.image if self._state is None else self._state.copy_saved()

    async def describe(self) -> Standing | None:
        """Returns how it stands; None if it does not run."""
        return None if self.loop is None else await self.loop.describe()

    def find_problems(self) -> list[ProblemRow]:
        """Returns what is in trouble."""
        return [] if self._state is None else self._state.problems()

    def find_entry(self, inode: Inode) -> tuple[FileId | None, bool]:
        """Returns as which entry the client, if it runs, knows an inode, and whether it knows
        that the server has that entry. Where folders are not selected, it may be one that is on
        its way out of this disk: to remove that deletes nothing.
        """
        state, is_sure = self._state, not self.unselected
        if state is None:
            return None, False
        for file_id, change in state.local_changes.items():
            if change.stat is not None and change.stat.ino == inode.ino:
                return file_id, is_sure and state.find_synced_row(file_id) is not None
        rows = state.list_by_inode(inode.dev, inode.ino)
        return (rows[0].entry.file_id, is_sure) if len(rows) == 1 else (None, False)

    def find_unheld(self) -> list[ProblemRow]:
        """Returns what its disk cannot hold."""
        return [row for row in self.find_problems() if row.code == NoSymlinks.code]

    def find_unselected(self) -> list[str]:
        """Returns where the folders are on the server that are not to be here."""
        return [] if self._state is None else list(Selection(self._state).list_paths().values())

    def is_left_out(self, path: str) -> bool:
        """Tells whether ignore rules leave out what stands at a path."""
        return self._state is not None and bool(find_left_out(widen(self.disk), self._state, path))

    async def _run(self, world: LoopWorld, life: Life) -> None:
        loop = self.loop = Loop(world, self.chance.random)
        assert self._watcher is not None
        try:
            await loop.run_forever(self._watcher)
        except BaseException as error:  # noqa: BLE001  judged by whoever watches
            if not life.is_alive:
                return
            self._watching.note_death(self.name, error)
            life.end()

    def _end(self) -> None:
        self._watching.note("end", self.name)
        assert self._state is not None
        assert self._task is not None
        self._state.die()
        self._task.cancel()
        self._state = self._watcher = self.loop = self._task = None
        self.on_end()

    def _note_image(self, image: bytes) -> None:
        self.image = image

    # --- what it meets -----------------------------------------------------------------------

    def _meet_disk(self, life: Life) -> Callable[[str, str], None]:
        def before(kind: str, path: str) -> None:
            life.meet()
            self._timeline.spend(self.disk_ms / 1_000 * self.chance.random())
            self._watching.act_due()
            if not life.is_alive:
                life.meet()
            self._watching.note(self.name, kind, path)
            self.faulty(kind, path)
            if kind == "flush" and not self.disk.is_lying:
                del self.images[:-1]

        return before

    def _tell_watcher(self, folder: str) -> None:
        watcher = self._watcher
        if watcher is not None and not self.is_deaf:
            delay_s = self.nature.hint_ms / 1_000 * self.chance.random()
            self._timeline.call_later(delay_s, watcher.tell, folder)

    def invent_hint(self, folder: str) -> None:
        """The watcher says that something changed in a folder."""
        if self._watcher is not None:
            self._watcher.tell(folder)

    def overflow(self) -> None:
        """The watcher says that it has lost events."""
        if self._watcher is not None:
            self._watcher.tell_all()


def list_folders(state: State) -> list[StoredEntry]:
    """Returns the folders of the server that a client knows, from the top down."""
    found: list[StoredEntry] = []
    waiting = [ROOT_ID]
    while waiting:
        for _, entry in sorted(state.remote.children(waiting.pop(0)).items()):
            if entry.kind == Kind.FOLDER:
                row = state.find_synced_row(entry.file_id)
                stored = state.remote_changes.get(entry.file_id)
                if stored is None and row is not None:
                    stored = StoredEntry(entry, row.seq, Action.EDIT)
                if stored is not None:
                    found.append(stored)
                waiting.append(entry.file_id)
    return found


class _Watcher:
    """Implements ``Watcher``: gathers what it is told until it is asked."""

    def __init__(self) -> None:
        self._folders: dict[str, None] = {}
        self._is_all = False
        self._told = asyncio.Event()
        self.is_whole = True

    def tell(self, folder: str) -> None:
        self._folders[folder] = None
        self._told.set()

    def tell_all(self) -> None:
        self._is_all = True
        self._told.set()

    async def hints(self) -> AsyncIterator[Hints]:
        yield Hints(frozenset())
        while True:
            await self._told.wait()
            self._told.clear()
            folders, self._folders = self._folders, {}
            is_all, self._is_all = self._is_all, False
            yield Hints(frozenset(folders), is_all)


class _Notices:
    """Implements ``Notices``."""

    def __init__(self, device: str, watching: Watching) -> None:
        self._device = device
        self._watching = watching

    def phase(self, name: str) -> None:
        self._watching.note(self._device, "phase", name)

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        pass

    def problem(self, row: ProblemRow) -> None:
        self._watching.note(self._device, "problem", row.path, row.code)

    def conflict(self, conflict: Conflict, path: str) -> None:
        self._watching.note_conflict(self._device, path, conflict)

    def message(self, text: str) -> None:
        self._watching.note(self._device, "message", text)
