# SPDX-License-Identifier: Apache-2.0
"""What happens in the demo, step by step, and what each step cost."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from drystone.cli.demo import trees
from drystone.cli.demo.relay import Traffic
from drystone.cli.demo.trees import Difference, Size
from drystone.cli.demo.world import Device, World, WorldBroken, run_command
from drystone.cli.output import count_of, format_bytes

TREE: Final = "tree"
_LARGE: Final = ("large/one.random", "large/two.random")
_NOTES: Final = "notes.txt"
_BUNDLE: Final = "folder"
_STEP_S_MAX: Final = 900.0
_DELETED_SHARE_MAX: Final = 0.25
"""More would, rightly, make a guard stop and ask."""


class StepLine(NamedTuple):
    """One step as it is told: seconds until all devices were at rest, and what crossed the wire."""

    title: str
    seconds: float
    traffic: Traffic
    remark: str = ""


class Stored(NamedTuple):
    """What the server keeps at a moment."""

    blocks: int
    plain_bytes: int
    """Of all blocks, each once: after deduplication."""
    stored_bytes: int
    """Of all blocks as they rest: after compression."""


class Outcome(NamedTuple):
    """The whole demo."""

    steps: list[StepLine]
    first_size: Size
    first_stored: Stored
    last_size: Size
    last_stored: Stored
    differences: list[Difference]

    @property
    def is_identical(self) -> bool:
        """Whether both devices ended with the same tree."""
        return not self.differences


class Story:
    """Tells one demo on a world whose server is started and whose devices A and B are signed in.

    Args:
        world: Where it happens.
        source: The input tree, on the filesystem of the world; it is moved to device A.
        large_bytes: Size of each of the two large files.
        begin: Told a step's title when it begins.
        end: Told a step when it has ended.
    """

    def __init__(
        self,
        world: World,
        source: Path,
        large_bytes: int,
        begin: Callable[[str], None],
        end: Callable[[StepLine], None],
    ) -> None:
        self._world = world
        self._source = source
        self._large_bytes = large_bytes
        self._begin = begin
        self._end = end
        self._a, self._b = world.devices
        self._steps: list[StepLine] = []

    def tell(self) -> Outcome:
        """Does it all.

        Raises:
            WorldBroken: A process ended, or a step never came to rest, or not as it should.
        """
        for device in (self._a, self._b):
            device.add_root()
            device.start()
        (self._a.folder / _NOTES).write_text("Buy flour.\n", encoding="utf-8")
        self._world.wait_quiet(_STEP_S_MAX, beyond_seq=0)
        self._sync_first()
        first_size, first_stored = trees.measure_tree(self._a.folder), self._find_stored()
        self._sync_large_files()
        self._edit_large_files()
        self._rename()
        self._conflict()
        self._delete_and_restore()
        return Outcome(
            self._steps,
            first_size,
            first_stored,
            trees.measure_tree(self._a.folder),
            self._find_stored(),
            trees.find_differences(self._a.folder, self._b.folder),
        )

    def _sync_first(self) -> None:
        size = trees.measure_tree(self._source)
        title = f"first sync: {count_of(size.files, 'file')}, {format_bytes(size.content_bytes)}"
        # Moved in by one rename, so that no copying is measured with it.
        self._step(title, lambda: self._source.rename(self._a.folder / TREE))

    def _sync_large_files(self) -> None:
        staged = self._a.folder.parent / "staged"
        (staged / _LARGE[0]).parent.mkdir(parents=True)
        for seed, name in enumerate(_LARGE):
            trees.make_random_file(staged / name, self._large_bytes, seed)
        self._step(
            f"two new files of {format_bytes(self._large_bytes)}, random bytes",
            lambda: (staged / "large").rename(self._a.folder / "large"),
        )

    def _edit_large_files(self) -> None:
        one, two = (self._a.folder / name for name in _LARGE)
        self._step(
            "one byte changed in the middle of the first",
            lambda: trees.overwrite_byte(one, self._large_bytes // 2),
        )
        draft = self._a.folder.parent / "draft"
        self._step(
            "one byte inserted at the front of the second",
            lambda: trees.insert_byte(two, 0, draft),
        )

    def _rename(self) -> None:
        folder = self._find_big_folder(share_max=1.0)
        size = trees.measure_tree(folder)
        self._step(
            f"the folder {folder.name} renamed: {count_of(size.files, 'file')} in it",
            lambda: folder.rename(folder.with_name(f"{folder.name} renamed")),
        )

    def _conflict(self) -> None:
        for device in (self._a, self._b):
            assert device.relay is not None, "the demo's devices have relays"
            device.relay.cut()
        (self._a.folder / _NOTES).write_text("Buy flour and eggs.\n", encoding="utf-8")
        (self._b.folder / _NOTES).write_text("Buy flour and milk.\n", encoding="utf-8")

        def meet_again() -> None:
            for device in (self._a, self._b):
                assert device.relay is not None, "the demo's devices have relays"
                device.relay.mend()
                device.look_now()

        self._step("both, cut off, edited notes.txt; connected again", meet_again)
        copies = sorted(p.name for p in self._a.folder.glob("notes*"))
        texts = {(self._a.folder / name).read_text(encoding="utf-8") for name in copies}
        if texts != {"Buy flour and eggs.\n", "Buy flour and milk.\n"}:
            raise WorldBroken(f"the conflict was not kept as two files: {copies}")
        self._remark(f"both kept: {' and '.join(copies)}")

    def _delete_and_restore(self) -> None:
        folder = self._find_big_folder(share_max=_DELETED_SHARE_MAX)
        size = trees.measure_tree(folder)
        path = "/" + folder.relative_to(self._a.folder).as_posix()
        # As a file manager deletes: into a waste basket, which lies outside of what is synced.
        basket = self._a.folder.parent / "basket"
        self._step(
            f"the folder {folder.name} deleted: {count_of(size.files, 'file')}",
            lambda: folder.rename(basket),
        )
        self._step(
            f"{folder.name} restored from the server, on both",
            lambda: self._b.ask("restore", path),
        )
        if not folder.exists() or trees.measure_tree(folder) != size:
            raise WorldBroken(f"{folder} was not restored as it was")

    def _find_big_folder(self, share_max: float) -> Path:
        """Returns the folder of the tree with most entries that is no more than a share of it."""
        top = self._a.folder / TREE
        counts: dict[str, int] = {}
        total = 0
        for entry in trees.iter_entries(top):
            total += 1
            name = Path(entry.path).relative_to(top).parts[0]
            counts[name] = counts.get(name, 0) + 1
        fitting = {
            name: count
            for name, count in counts.items()
            if 1 < count <= share_max * total and (top / name).is_dir()
        }
        if fitting:
            return top / max(fitting, key=lambda name: fitting[name])
        return self._make_folder()

    def _make_folder(self) -> Path:
        """Makes and syncs a folder of its own, for trees that have none of the right size."""
        folder = self._a.folder / _BUNDLE
        if not folder.exists():
            folder.mkdir()
            for number in range(20):
                (folder / f"{number}.txt").write_text(f"{number}\n" * 1_000, encoding="utf-8")
            self._world.wait_quiet(_STEP_S_MAX, beyond_seq=self._world.find_seq())
        return folder

    def _step(self, title: str, act: Callable[[], object]) -> None:
        self._begin(title)
        seq, before = self._world.find_seq(), self._count_traffic()
        started_s = time.monotonic()
        act()
        acted_s = time.monotonic() - started_s
        seconds = acted_s + self._world.wait_quiet(_STEP_S_MAX, beyond_seq=seq)
        line = StepLine(title, seconds, self._count_traffic().since(before))
        self._steps.append(line)
        self._end(line)

    def _remark(self, remark: str) -> None:
        self._steps[-1] = self._steps[-1]._replace(remark=remark)
        self._begin(f"    {remark}")

    def _count_traffic(self) -> Traffic:
        found = [device.relay.traffic for device in self._world.devices if device.relay]
        return Traffic(sum(t.up_bytes for t in found), sum(t.down_bytes for t in found))

    def _find_stored(self) -> Stored:
        flags = ["admin", "storage", "--data-dir", str(self._world.data_dir)]
        totals: dict[str, Any] = run_command(flags, self._world.environment)
        return Stored(totals["blocks"], totals["plain_bytes"], totals["stored_bytes"])


def open_devices(world: World) -> tuple[Device, Device]:
    """Adds the story's two devices, signed in."""
    return world.add_device("A"), world.add_device("B")
