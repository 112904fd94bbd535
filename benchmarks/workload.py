# SPDX-License-Identifier: Apache-2.0
"""The steps: what is done to A's folder, and what it cost until it stood on B.

Both devices run the daemon, so a step's clock runs from the change on A's disk until the change
stands on B's disk and both devices say that nothing is left to do. New content is made outside of
the synced folder and moved in by one rename, so that the copying is not measured with it.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import edits
from benchmarks.network import WireCount, read_wire
from benchmarks.peers import PeerResult, Rsync
from benchmarks.processes import Cost, Meter
from benchmarks.report import StepResult
from drystone.cli.demo import trees
from drystone.cli.demo.world import Device, World

TREE: Final = "tree"
_RENAMED: Final = "renamed"
_COPY: Final = "copy"
_BIG: Final = "big.random"
_APPENDED_BYTES: Final = 10_000_000
_STEP_S_MAX: Final = 1_800.0
_EDIT_S_MAX: Final = 30.0
_SETTLING_S: Final = 15.0
_IDLE_S: Final = 60.0


class Sizes(NamedTuple):
    """How much of each."""

    edits: int
    upgrade_files: int
    big_bytes: int


class Workload:
    """Carries out the steps on a world with two devices and keeps what each cost.

    Args:
        world: A started server.
        source: The input tree; only read.
        outside: An empty folder on the devices' filesystem, to prepare content in.
        sizes: How much of each.
        rsync_home: An empty folder for rsync's copies; None leaves rsync out.
    """

    def __init__(
        self, world: World, source: Path, outside: Path, sizes: Sizes, rsync_home: Path | None
    ) -> None:
        self._world = world
        self._source = source
        self._outside = outside
        self._sizes = sizes
        self._a, self._b = world.devices
        self._rsync = Rsync(self._a.folder, rsync_home) if rsync_home is not None else None
        self.results: list[StepResult] = []

    def run(self, wanted: Iterable[str], show: Callable[[StepResult], None]) -> None:
        """Carries out the wanted steps, and before them those that they stand on.

        Raises:
            WorldBroken: A process ended, or a step never came to rest.
        """
        chosen: set[str] = set()
        for name in wanted:
            needed = name
            while needed and needed not in chosen:
                chosen.add(needed)
                needed = STEPS[needed][0]
        for name in (name for name in STEPS if name in chosen):
            result = STEPS[name][1](self)
            self.results.append(result)
            show(result)

    def close(self) -> None:
        """Ends what was started here. Idempotent."""
        if self._rsync is not None:
            self._rsync.close()

    # --- the tree --------------------------------------------------------------------------------

    def sync_first(self) -> StepResult:
        """The whole tree, from A through the server to an empty B."""
        staged = self._outside / TREE
        trees.copy_tree(self._source, staged)
        size = trees.measure_tree(staged)
        return self._measure(
            "first-sync",
            lambda: staged.rename(self._a.folder / TREE),
            logical_bytes=size.content_bytes,
        )

    def rescan(self) -> StepResult:
        """A full look at a folder in which nothing changed."""
        return self._measure("rescan", self._a.look_now, is_change=False)

    def start_and_rescan(self) -> StepResult:
        """The same by a program started for it."""
        self._a.stop()
        result = self._measure(
            "rescan-once",
            lambda: self._a.ask("sync", str(self._a.folder), "--once"),
            is_change=False,
            note="`drystone sync --once`, from the start of Python to its end",
        )
        self._a.start()
        self._world.wait_quiet(_STEP_S_MAX)
        return result

    def idle(self) -> StepResult:
        """Nothing at all, after what is left to do when a device comes to rest."""
        time.sleep(_SETTLING_S)
        meters = {device.name: Meter(device.daemon_pid) for device in (self._a, self._b)}
        told: list[str] = []

        def do_nothing() -> None:
            # Counted around the sleep alone: being asked how they stand wakes them, too.
            before = {name: meter.count_wakeups() for name, meter in meters.items()}
            time.sleep(_IDLE_S)
            for name, meter in meters.items():
                count = meter.count_wakeups() - before[name]
                told.append(f"{name}: {meter.resident_mb():.0f} MB resident, {count} wake-ups")

        result = self._measure("idle", do_nothing, is_change=False)
        return result._replace(note="; ".join([*told, "A began anew before it"]), peers=())

    def rename(self) -> StepResult:
        """The top folder under another name."""
        stood_s = 0.0

        def rename_and_see() -> None:
            nonlocal stood_s
            started_s = time.perf_counter()
            self._path(TREE).rename(self._a.folder / _RENAMED)
            while not (self._b.folder / _RENAMED).exists():
                if time.perf_counter() - started_s > _EDIT_S_MAX:
                    break
                time.sleep(0.001)
            stood_s = time.perf_counter() - started_s

        result = self._measure("rename", rename_and_see)
        note = f"stood on B after {stood_s:.2f} s; then A looked at all below it once more"
        return result._replace(note=note)

    def edit_lines(self) -> StepResult:
        """Single edits of one line, one after the other, each until it stands on B."""
        latencies_ms: list[float] = []
        draft = self._outside / "draft"
        chosen = edits.choose_files(self._path(TREE), self._sizes.edits, seed=1)

        def edit_each() -> None:
            for number, path in enumerate(chosen):
                twin = self._b.folder / path.relative_to(self._a.folder)
                edits.edit_line(path, f"/* edited {number} */", draft)
                started_s = time.perf_counter()
                wanted = path.stat()
                while not _is_alike(twin, wanted.st_size, wanted.st_mtime_ns):
                    if time.perf_counter() - started_s > _EDIT_S_MAX:
                        break
                    time.sleep(0.001)
                latencies_ms.append((time.perf_counter() - started_s) * 1_000)
                # A person's pace: the next edit must not ride along with this one.
                time.sleep(0.05)

        result = self._measure("edits", edit_each)
        count = max(1, len(chosen))
        per_edit = WireCount(result.wire.wire_bytes // count, result.wire.packets // count)
        return result._replace(
            latencies_ms=tuple(latencies_ms), wire=per_edit, note=f"{count} edits; WIRE is per edit"
        )

    def upgrade(self) -> StepResult:
        """A few lines in each of many files, as a patch release brings them."""
        staged = self._outside / "upgrade"
        trees.copy_tree(self._path(TREE), staged)
        before = {p: p.stat().st_mtime_ns for p in _iter_files(staged)}
        edited_bytes = edits.upgrade_files(staged, self._sizes.upgrade_files, seed=2)
        edited = [p for p, mtime_ns in before.items() if p.stat().st_mtime_ns != mtime_ns]

        def move_in() -> None:
            for path in edited:
                path.replace(self._path(TREE) / path.relative_to(staged))

        result = self._measure(
            "upgrade", move_in, logical_bytes=edited_bytes, note=f"{len(edited):,} files edited"
        )
        shutil.rmtree(staged)
        return result

    def copy_beside(self) -> StepResult:
        """The whole tree once more, beside the first."""
        staged = self._outside / _COPY
        trees.copy_tree(self._path(TREE), staged)
        size = trees.measure_tree(staged)
        return self._measure(
            "copy",
            lambda: staged.rename(self._a.folder / _COPY),
            logical_bytes=size.content_bytes,
        )

    def delete(self) -> StepResult:
        """The copy is deleted on A."""
        gone = self._outside / "deleted"
        # Half of all that is synced: the guard against mass deletion lets it pass.
        result = self._measure("delete", lambda: (self._a.folder / _COPY).rename(gone))
        shutil.rmtree(gone)
        return result

    def restore(self) -> StepResult:
        """The copy is restored on the server, and comes back to both devices."""
        return self._measure(
            "restore",
            lambda: self._a.ask("restore", f"/{_COPY}"),
            note="comes back to A and B",
        )

    # --- one large file --------------------------------------------------------------------------

    def sync_big(self) -> StepResult:
        """A large file of random bytes."""
        staged = self._outside / _BIG
        trees.make_random_file(staged, self._sizes.big_bytes, seed=3)
        return self._measure(
            "big-first",
            lambda: staged.rename(self._a.folder / _BIG),
            logical_bytes=self._sizes.big_bytes,
        )

    def overwrite_big(self) -> StepResult:
        """One byte in its middle, in place."""
        path = self._a.folder / _BIG
        middle = path.stat().st_size // 2
        return self._measure("big-overwrite", lambda: trees.overwrite_byte(path, middle))

    def insert_big(self) -> StepResult:
        """One byte at offset 100, as an editor would: a new file in place of the old one."""
        # Written aside first: only the rename is on the clock, not the writing.
        staged = self._outside / _BIG
        shutil.copyfile(self._a.folder / _BIG, staged)
        trees.insert_byte(staged, 100, self._outside / "draft")
        return self._measure("big-insert", lambda: staged.replace(self._a.folder / _BIG))

    def append_big(self) -> StepResult:
        """Ten million random bytes at its end, in place."""
        path = self._a.folder / _BIG
        return self._measure(
            "big-append",
            lambda: edits.append_random(path, _APPENDED_BYTES, seed=4),
            logical_bytes=_APPENDED_BYTES,
        )

    # --- measuring -------------------------------------------------------------------------------

    def _measure(
        self,
        name: str,
        act: Callable[[], object],
        *,
        logical_bytes: int = 0,
        is_change: bool = True,
        note: str = "",
    ) -> StepResult:
        # What earlier steps left to be written must not be written on this step's time.
        os.sync()
        devices = [device for device in (self._a, self._b) if device.is_started]
        meters = {"server": Meter(self._world.server_pid).reset()}
        meters |= {device.name: Meter(device.daemon_pid).reset() for device in devices}
        seq = self._world.find_seq() if is_change else -1
        requests_before = self._count_requests()
        wire_before = read_wire()
        started_s = time.perf_counter()
        act()
        acted_s = time.perf_counter() - started_s
        seconds = acted_s + self._world.wait_quiet(_STEP_S_MAX, beyond_seq=seq)
        wire = read_wire().since(wire_before)
        costs: dict[str, Cost] = {key: meter.cost() for key, meter in meters.items()}
        return StepResult(
            name,
            seconds,
            costs,
            wire,
            self._count_requests() - requests_before,
            logical_bytes,
            not trees.find_differences(self._a.folder, self._b.folder, limit=1),
            peers=self._carry_by_others(),
            note=note,
        )

    def _carry_by_others(self) -> tuple[PeerResult, ...]:
        if self._rsync is None:
            return ()
        os.sync()
        return tuple(self._rsync.carry())

    def _count_requests(self) -> int:
        devices = [device for device in (self._a, self._b) if device.is_started]
        standings = [device.find_standing() for device in devices]
        return sum(standing.requests_count for standing in standings if standing is not None)

    def _path(self, name: str) -> Path:
        """Returns where the tree stands now on A."""
        renamed = self._a.folder / _RENAMED
        return renamed if name == TREE and renamed.exists() else self._a.folder / name


def _is_alike(path: Path, size_bytes: int, mtime_ns: int) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (size_bytes, mtime_ns)


def _iter_files(root: Path) -> list[Path]:
    return [Path(e.path) for e in trees.iter_entries(root) if e.is_file(follow_symlinks=False)]


def open_devices(world: World) -> tuple[Device, Device]:
    """Adds devices A and B to a started world; their daemons run and wait."""
    a, b = world.add_device("A"), world.add_device("B")
    for device in (a, b):
        device.add_root()
        device.start()
    world.wait_quiet(_STEP_S_MAX)
    return a, b


STEPS: Final[dict[str, tuple[str, Callable[[Workload], StepResult]]]] = {
    "first-sync": ("", Workload.sync_first),
    "rescan": ("first-sync", Workload.rescan),
    "rescan-once": ("first-sync", Workload.start_and_rescan),
    "idle": ("rescan-once", Workload.idle),
    "rename": ("first-sync", Workload.rename),
    "edits": ("first-sync", Workload.edit_lines),
    "upgrade": ("first-sync", Workload.upgrade),
    "copy": ("first-sync", Workload.copy_beside),
    "delete": ("copy", Workload.delete),
    "restore": ("delete", Workload.restore),
    "big-first": ("", Workload.sync_big),
    "big-overwrite": ("big-first", Workload.overwrite_big),
    "big-insert": ("big-first", Workload.insert_big),
    "big-append": ("big-first", Workload.append_big),
}
"""The steps in order: for each the step it stands on, and what does it."""
