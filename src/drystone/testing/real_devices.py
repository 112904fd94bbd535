# SPDX-License-Identifier: Apache-2.0
"""Real devices: a configuration, a synced folder on a real disk, and what was told of a sync."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from drystone.client.adapters.disk.folders import CONTROL_NAME
from drystone.client.adapters.notices import SilentNotices
from drystone.client.bootstrap import login, open_root, sync_once
from drystone.client.loop.summary import Summary
from drystone.client.ports import ProblemRow
from drystone.client.settings import ClientSettings
from drystone.core.planning.plan import Conflict
from drystone.testing.servers import ServerProcess

PASSWORD: Final = "correct horse"  # noqa: S105  of accounts that live for a second on loopback

_TURNS_MAX: Final = 4


class Told(SilentNotices):
    """Notices that keeps what it is told.

    Args:
        on_phase: Is called with each phase: the place for a test to interfere.

    Attributes:
        problems: In the order in which they were told.
        conflicts: Paths of conflicts.
        conflict_kinds: What kinds these are, in the same order.
        messages: Sentences.
    """

    def __init__(self, on_phase: Callable[[str], None]) -> None:
        self.problems: list[ProblemRow] = []
        self.conflicts: list[str] = []
        self.conflict_kinds: list[str] = []
        self.messages: list[str] = []
        self._on_phase = on_phase

    def phase(self, name: str) -> None:
        self._on_phase(name)

    def problem(self, row: ProblemRow) -> None:
        self.problems.append(row)

    def conflict(self, conflict: Conflict, path: str) -> None:
        self.conflicts.append(path)
        self.conflict_kinds.append(conflict.kind.value)

    def message(self, text: str) -> None:
        self.messages.append(text)


class Look(NamedTuple):
    """What stands under a name: all that must be alike on two devices.

    Attributes:
        kind: ``file``, ``folder`` or ``symlink``.
        content: Bytes of a file, target of a symlink.
        mode: Permission bits; 0 for symlinks.
        mtime_ns: 0 for folders.
    """

    kind: str
    content: bytes
    mode: int
    mtime_ns: int


class RealDevice:
    """One device of an account, with one synced folder.

    Args:
        home: A folder for its configuration and, in ``folder``, for what is synced.
        url: Of the server, or of a relay in front of it.
        account: Whose it is.
        name: Of the device.
    """

    def __init__(self, home: Path, url: str, account: str, name: str) -> None:
        self.home = home
        self.url = url
        self.account = account
        self.name = name
        self.folder = home / "folder"
        self.settings = ClientSettings(config_dir=home / "config", device_name=name, boot_id="test")
        self.told = Told(_ignore)
        """By the last sync."""

    def log_in(self, password: str = PASSWORD) -> None:
        """Signs in."""
        login(self.settings, self.url, self.account, password)

    def sync(self, *, on_phase: Callable[[str], None] = lambda _: None) -> Summary:
        """Syncs once, as a program that is started for it does."""
        self.told = Told(on_phase)
        root = open_root(self.settings, self.folder, url=self.url)
        return sync_once(self.settings, root, self.told)

    def write(self, path: str, content: bytes) -> Path:
        """Writes a file, with the folders above it."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    def read(self, path: str) -> bytes:
        """Returns what a file holds."""
        return (self.folder / path).read_bytes()

    def look(self) -> dict[str, Look]:
        """Returns all there is in the folder, by path."""
        return look_at(self.folder)

    @property
    def control(self) -> Path:
        """The folder in which the client keeps what is its own."""
        return self.folder / CONTROL_NAME

    def list_stage(self) -> list[str]:
        """Returns what lies in the stage: nothing, unless a sync is under way."""
        stage = self.control / "stage"
        return sorted(path.name for path in stage.iterdir()) if stage.exists() else []

    def list_problems(self) -> dict[str, str]:
        """Returns the codes of what is in trouble, by path."""
        with closing(sqlite3.connect(self.control / "state.db")) as db:
            return dict(db.execute("SELECT path, code FROM problem"))


def converge(*devices: RealDevice) -> None:
    """Syncs devices in turn until they are alike; then nothing may be left of any trouble.

    Raises:
        AssertionError: They do not become alike, or something is left in a stage or a list of
            problems.
    """
    looks: list[dict[str, Look]] = []
    for _ in range(_TURNS_MAX):
        unsettled_count = sum(device.sync().unsettled_count for device in devices)
        looks = [device.look() for device in devices]
        if not unsettled_count and all(look == looks[0] for look in looks):
            break
    for device, look in zip(devices, looks, strict=True):
        assert find_difference(looks[0], look) == {}, f"{device.name} is not like the first"
        assert device.list_problems() == {}
        assert device.list_stage() == []


def find_difference(one: dict[str, Look], other: dict[str, Look]) -> dict[str, object]:
    """Returns what differs between two folders, by path; contents are left out."""
    paths = {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}
    return {path: (_shorten(one.get(path)), _shorten(other.get(path))) for path in sorted(paths)}


def look_at(top: Path) -> dict[str, Look]:
    """Returns all there is below a folder, by path; special files and the control folder are left
    out.
    """
    found: dict[str, Look] = {}
    for folder, folders, files in os.walk(top):
        if Path(folder) == top and CONTROL_NAME in folders:
            folders.remove(CONTROL_NAME)
        for name in [*folders, *files]:
            place = Path(folder, name)
            if place.is_symlink() or place.is_dir() or place.is_file():
                found[str(place.relative_to(top))] = _look(place)
    return found


def list_incoming(server: ServerProcess) -> list[str]:
    """Returns objects that were begun and not finished: none, unless an upload is under way."""
    incoming = server.data_dir / "objects" / ".incoming"
    return sorted(path.name for path in incoming.iterdir())


def list_packs(server: ServerProcess) -> list[Path]:
    """Returns the packs on a server's disk, oldest first."""
    packs = (server.data_dir / "objects" / "packs").glob("*/*")
    return sorted(packs, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _look(place: Path) -> Look:
    stat = place.lstat()
    if place.is_symlink():
        return Look("symlink", os.fsencode(place.readlink()), 0, stat.st_mtime_ns)
    if place.is_dir():
        return Look("folder", b"", stat.st_mode & 0o777, 0)
    return Look("file", place.read_bytes(), stat.st_mode & 0o777, stat.st_mtime_ns)


def _shorten(look: Look | None) -> object:
    return None if look is None else look._replace(content=look.content[:20])


def _ignore(_: str) -> None:
    pass
