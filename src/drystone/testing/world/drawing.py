# SPDX-License-Identifier: Apache-2.0
"""Drawing: a script from a seed."""

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from drystone.core.names.standing import MARK
from drystone.testing.world.script import Act, Script
from drystone.testing.world.stage.device import DeviceNature

_NAMES: Final = ("a", "b", "c", "d")
_HARD_NAMES: Final = (
    "a", "A", "b", "B", "\u00e9", "e\u0301", "\u00c9", "c.txt", "C.txt", "a:", "A:", "a.",
    "con", "Con", f"a{MARK}\uff1a", f"a (twin{MARK}2)", f"a (twin{MARK}{MARK}2)", f"a{MARK}",
    "a ", "a\u0301", "\u00e1",
)  # fmt: skip
"""Of worlds in which some disk cannot hold every name."""


_NARROW_SHARE: Final = 0.2


_CHOOSING: Final = 0.25
"""In how many worlds somebody selects folders, or writes ignore rules."""
_COLLECTING: Final = 0.25
"""In how many worlds is collected."""
_SCRUBBING: Final = 0.12
"""In how many packs are scrubbed, and most of the time some are damaged."""
_RULES: Final = ("a\n", "/b\n", "c/\n", "*\n", "b\n!a/b\n", "# none\n", "a/*\n!a/c\n")


class _Map:
    """What is probably where, so that most deeds find something to be done to."""

    def __init__(self, chance: Random, names: Sequence[str]) -> None:
        self._chance = chance
        self._names = names
        self.files: list[str] = []
        self.folders: list[str] = [""]

    def new_path(self) -> str:
        """Returns a path that may be free."""
        folder = self._chance.choice(self.folders)
        name = self._chance.choice(self._names)
        return f"{folder}/{name}" if folder else name

    def some_path(self) -> str:
        """Returns a path where something may stand."""
        found = self.files + self.folders[1:]
        return self._chance.choice(found) if found else self.new_path()

    def file(self) -> str:
        """Returns where a file may stand."""
        return self._chance.choice(self.files) if self.files else self.new_path()

    def note_file(self, path: str) -> None:
        """A file stands there now."""
        if path not in self.files:
            self.files.append(path)

    def note_folder(self, path: str) -> None:
        """A folder stands there now."""
        if path not in self.folders and path.count("/") < 3:
            self.folders.append(path)

    def note_move(self, path: str, new_path: str) -> None:
        """All that was at one path is at another."""
        for known in (self.files, self.folders):
            for index, old in enumerate(known):
                if old == path or old.startswith(f"{path}/"):
                    known[index] = new_path + old[len(path) :]


class _Deeds:
    """Draws what a user does next."""

    def __init__(self, chance: Random, names: Sequence[str] = _NAMES) -> None:
        self._chance = chance
        self._names = names
        self._map = _Map(chance, names)
        self._number = 0
        self._kinds = (
            [self._write] * 6 + [self._edit] * 6 + [self._save] * 3 + [self._mkdir] * 3
            + [self._remove] * 4 + [self._move] * 6 + [self._swap] * 2 + [self._nest]
            + [self._make_file] + [self._make_folder] + [self._replace] * 2 + [self._copy]
            + [self._chmod] + [self._touch] + [self._link] + [self._append]
        )  # fmt: skip
        if names is not _NAMES:
            self._kinds += [self._recase] * 5

    def draw(self) -> tuple[str, tuple[Any, ...]]:
        """Returns a deed and its arguments."""
        return self._chance.choice(self._kinds)()

    def _next_number(self) -> int:
        # Now and then two people write the same.
        if self._number and self._chance.random() < 0.08:
            return self._chance.randint(1, self._number)
        self._number += 1
        return self._number

    def _size(self) -> str:
        lot = self._chance.random()
        if lot < 0.005:
            return "large"
        return "empty" if lot < 0.03 else "long" if lot < 0.25 else "small"

    def _write(self) -> tuple[str, tuple[Any, ...]]:
        path = self._map.new_path()
        self._map.note_file(path)
        return "write", (path, self._next_number(), self._size())

    def _edit(self) -> tuple[str, tuple[Any, ...]]:
        return "write", (self._map.file(), self._next_number(), self._size())

    def _save(self) -> tuple[str, tuple[Any, ...]]:
        return "save", (self._map.file(), self._next_number(), self._size())

    def _append(self) -> tuple[str, tuple[Any, ...]]:
        return "append", (self._map.file(), self._next_number())

    def _mkdir(self) -> tuple[str, tuple[Any, ...]]:
        path = self._map.new_path()
        self._map.note_folder(path)
        return "mkdir", (path,)

    def _remove(self) -> tuple[str, tuple[Any, ...]]:
        return "remove", (self._map.some_path(),)

    def _move(self) -> tuple[str, tuple[Any, ...]]:
        path, new_path = self._map.some_path(), self._map.new_path()
        if not f"{new_path}/".startswith(f"{path}/"):
            self._map.note_move(path, new_path)
        return "move", (path, new_path)

    def _replace(self) -> tuple[str, tuple[Any, ...]]:
        return "replace", (self._map.file(), self._map.file())

    def _swap(self) -> tuple[str, tuple[Any, ...]]:
        return "swap", (self._map.some_path(), self._map.some_path())

    def _recase(self) -> tuple[str, tuple[Any, ...]]:
        path = self._map.some_path()
        above, slash, name = path.rpartition("/")
        self._map.note_move(path, above + slash + name.swapcase())
        return "recase", (path,)

    def _nest(self) -> tuple[str, tuple[Any, ...]]:
        path, name = self._map.some_path(), self._chance.choice(self._names)
        self._map.note_move(path, f"{path}/{name}")
        self._map.note_folder(path)
        return "nest", (path, name)

    def _make_file(self) -> tuple[str, tuple[Any, ...]]:
        path = self._map.some_path()
        self._map.note_file(path)
        return "make_file", (path, self._next_number())

    def _make_folder(self) -> tuple[str, tuple[Any, ...]]:
        path = self._map.some_path()
        self._map.note_folder(path)
        return "make_folder", (path,)

    def _copy(self) -> tuple[str, tuple[Any, ...]]:
        new_path = self._map.new_path()
        path = self._map.file()
        self._map.note_file(new_path)
        return "copy", (path, new_path)

    def _chmod(self) -> tuple[str, tuple[Any, ...]]:
        return "chmod", (self._map.some_path(), self._chance.choice((0o600, 0o644, 0o755, 0o444)))

    def _touch(self) -> tuple[str, tuple[Any, ...]]:
        return "touch", (
            self._map.file(),
            self._chance.choice((0, 1, 1_000_000_000, 4_000_000_000)),
        )

    def _link(self) -> tuple[str, tuple[Any, ...]]:
        return "link", (self._map.new_path(), self._chance.choice(("a", "b/c", "nowhere")))


class _Misfortune:
    """Draws accidents: of each world only some kinds, so that none hides the others."""

    def __init__(self, chance: Random, names: Sequence[str], storm_s: float) -> None:
        self._chance = chance
        self._names = names
        self._storm_s = storm_s

    def draw(self, kinds: Sequence[str]) -> list[Act]:
        """Returns the accidents of some kinds."""
        acts: list[Act] = []
        for kind in kinds:
            for _ in range(self._chance.choice((1, 1, 2, 3))):
                acts += self._draw(kind)
        return acts

    def _draw(self, kind: str) -> list[Act]:
        chance, at_s, who = self._chance, self._moment(), self._chance.choice(self._names)
        match kind:
            case "crash":
                return [
                    Act(at_s, who, "crash", (chance.choice((0, 1, 2, 5, 9, 20)), self._while()))
                ]
            case "power":
                how = chance.choice(("kept", "reverted", "torn"))
                return [Act(at_s, who, "power", (self._while(), how))]
            case "lie":
                return [Act(0.0, who, "lie"), *self._draw("power")]
            case "cut" | "deaf":
                return [Act(at_s, who, kind, (self._while(),))]
            case "slow":
                return [Act(at_s, who, "slow", (self._while(), chance.choice((50.0, 500.0))))]
            case "lose_answers" | "lose_requests":
                return [Act(at_s, who, kind, (chance.randint(1, 4),))]
            case "full":
                return [Act(at_s, who, "full", (self._while(), chance.choice((0, 20, 700))))]
            case "bad_disk":
                kinds = [
                    k for k in ("read", "look", "write", "change", "flush") if chance.random() < 0.5
                ]
                return [Act(at_s, who, "bad_disk", (self._while(), *kinds))]
            case "invent":
                return [
                    Act(at_s, who, "invent", (chance.choice(("", "a", "b", "a/b", "nowhere")),))
                ]
            case "overflow":
                return [Act(at_s, who, "overflow")]
            case "jump":
                seconds = chance.choice((-1_700_000_000.0, -86_400.0, -3.0, -0.01, 2.0, 1e8))
                return [Act(at_s, chance.choice((*self._names, "server")), "jump", (seconds,))]
            case "old_state":
                copies = [Act(self._moment(), who, "copy_state")] if chance.random() < 0.7 else []
                return [*copies, Act(at_s, who, "old_state", (self._while(),))]
            case "server_crash":
                effects_count = chance.choice((0, 1, 2, 3, 6))
                return [Act(at_s, "server", "crash", (effects_count, self._while()))]
            case _:
                assert kind == "restore", kind
                backup_s = round(at_s * chance.random(), 3)
                return [
                    Act(backup_s, "server", "back_up"),
                    Act(at_s, "server", "restore", (self._while(),)),
                ]

    def _moment(self) -> float:
        return round(self._chance.random() * self._storm_s, 3)

    def _while(self) -> float:
        return self._chance.choice((0.05, 0.5, self._storm_s / 4, self._storm_s))


ACCIDENTS: Final = (
    "crash", "cut", "lose_answers", "lose_requests", "server_crash", "slow", "deaf", "invent",
    "overflow", "full", "bad_disk", "jump", "power", "old_state",
    "restore", "lie",
)  # fmt: skip
"""What every world may meet."""


_CATASTROPHES: Final = 0.03
"""Of all worlds, so many have more files, which are then encrypted or all deleted."""


def draw_script(seed: int, *, accidents: Sequence[str] = ACCIDENTS) -> Script:
    """Returns the world of a seed.

    Args:
        seed: Any number.
        accidents: Which kinds may happen. In a third of the worlds none does.
    """
    chance = Random(f"script/{seed}")
    names = ["a", "b", "c"] if chance.random() < 0.15 else ["a", "b"]
    devices = {name: draw_nature(chance) for name in names}
    # From a second, in which everything meets everything, to a few minutes' work.
    storm_s = chance.choice((0.5, 3.0, 20.0, 200.0))
    names_there = _narrow(devices, Random(f"names/{seed}"))
    deeds = _Deeds(chance, names_there)
    count = chance.randint(2, 14) if chance.random() < 0.9 else chance.randint(15, 60)
    moments = sorted(chance.random() * storm_s for _ in range(count))
    acts = [Act(round(at_s, 3), chance.choice(names), *deeds.draw()) for at_s in moments]
    if accidents and chance.random() < 0.67:
        kinds = chance.sample(accidents, min(len(accidents), chance.choice((1, 1, 2, 3))))
        acts += _Misfortune(chance, names, storm_s).draw(kinds)
    acts += _draw_catastrophe(seed, names, storm_s)
    acts += _draw_choices(seed, names, storm_s)
    acts += _draw_collecting(seed, storm_s)
    acts += _draw_scrubbing(seed, storm_s)
    return Script(seed, devices, tuple(sorted(acts, key=lambda act: act.at_s)))


def _draw_choices(seed: int, names: Sequence[str], storm_s: float) -> list[Act]:
    """Returns what people choose to have on a device, and to leave out. Drawn by itself: all else
    that a seed means stays what it is.
    """
    chance = Random(f"choices/{seed}")
    lot = chance.random()
    if lot > _CHOOSING:
        return []
    acts: list[Act] = []
    for _ in range(chance.randint(1, 5)):
        at_s, who = round(chance.random() * storm_s, 3), chance.choice(names)
        folder = "/".join(chance.choice(_NAMES) for _ in range(chance.choice((1, 1, 2))))
        if lot > _CHOOSING * 0.7:
            acts.append(
                Act(at_s, who, "rule", (chance.choice(("", folder)), chance.choice(_RULES)))
            )
        else:
            deed = chance.choice(("unselect", "unselect", "select"))
            acts.append(Act(at_s, who, deed, (chance.randrange(6),)))
    return acts


def _draw_collecting(seed: int, storm_s: float) -> list[Act]:
    """Returns runs of collectors, one after the other and at the same time, in a world in which
    leases are short. Drawn by itself, too.
    """
    chance = Random(f"collecting/{seed}")
    if chance.random() >= _COLLECTING:
        return []
    lease_s = chance.choice((2, 5, 30, 100))
    age_s, quarantine_s = chance.choice((0, 0, 3)), chance.choice((0, 1, 20))
    step_s = chance.choice((0.0, 0.001, 0.02, 0.3))
    span_s = storm_s + chance.choice((1.0, 10.0, 100.0))
    moments = sorted(chance.random() * span_s for _ in range(chance.randint(2, 12)))
    return [
        Act(
            round(at_s, 3),
            "server",
            "collect",
            (lease_s, age_s, quarantine_s, step_s, chance.choice((3, 9, 40, 100_000, 100_000))),
        )
        for at_s in moments
    ]


def _draw_scrubbing(seed: int, storm_s: float) -> list[Act]:
    """Returns scrubs, and damage that they may find. Drawn by itself, too."""
    chance = Random(f"scrubbing/{seed}")
    if chance.random() >= _SCRUBBING:
        return []
    acts = []
    for _ in range(chance.randint(1, 4)):
        args = chance.choice((0.0, 0.001, 0.3)), chance.choice((1, 5, 100_000, 100_000))
        acts.append(Act(round(chance.random() * storm_s * 1.2, 3), "server", "scrub", args))
    for _ in range(chance.randint(0, 3)):
        rotting = chance.randrange(100), chance.choice((0.5, 5.0, 100.0))
        acts.append(Act(round(chance.random() * storm_s, 3), "server", "rot", rotting))
    return acts


def _draw_catastrophe(seed: int, names: Sequence[str], storm_s: float) -> list[Act]:
    """Returns what makes guards fire, for a few worlds. With a chance of its own, so that the rest
    of each world stays as it is.
    """
    chance = Random(f"catastrophe/{seed}")
    if chance.random() >= _CATASTROPHES:
        return []
    number = 500_000
    filled_s, at_s = sorted(round(chance.random() * storm_s, 3) for _ in range(2))
    fill = Act(filled_s, chance.choice(names), "fill", (number, chance.choice((45, 60))))
    who, deed = chance.choice(names), chance.choice(("encrypt", "encrypt", "empty"))
    again_s = round(at_s + chance.choice((0.0, 60.0, 4_000.0)), 3)
    args = (number + 1_000,) if deed == "encrypt" else ()
    return [fill, Act(at_s, who, deed, args), Act(again_s, who, deed, args)]


def _narrow(devices: dict[str, DeviceNature], chance: Random) -> Sequence[str]:
    """Gives some devices of some worlds disks that cannot hold every name; returns the names that
    people give there. By a chance of its own, so that all other worlds are what they were.
    """
    if chance.random() >= _NARROW_SHARE:
        return _NAMES
    for name in chance.sample(sorted(devices), chance.choice((1, 1, 2))):
        disk = chance.choice(("casefold", "hfs", "vfat"))
        stamp_ms = 2_000 if disk == "vfat" else devices[name].stamp_ms
        devices[name] = devices[name]._replace(disk=disk, stamp_ms=stamp_ms)
    return chance.sample(_HARD_NAMES, 6)


def draw_nature(chance: Random) -> DeviceNature:
    """Returns what a device is like."""
    return DeviceNature(
        disk_ms=chance.choice((0.1, 0.1, 5.0, 100.0)),
        stamp_ms=chance.choice((0, 0, 0, 1_000, 2_000)),
        skew_s=chance.choice((0.0, 0.0, 0.0, -5.0, 3_600.0)),
        link_ms=chance.choice((1.0, 20.0, 20.0, 300.0)),
        hint_ms=chance.choice((10.0, 100.0, 1_000.0)),
    )
