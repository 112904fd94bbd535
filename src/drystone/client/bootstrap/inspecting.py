# SPDX-License-Identifier: Apache-2.0
"""Inspecting: what was in conflict, what is in trouble."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from drystone.client.adapters.clock import SystemClock
from drystone.client.adapters.disk import open_disk
from drystone.client.adapters.narrow import widen
from drystone.client.adapters.roots import RootLine
from drystone.client.adapters.state_sqlite import open_state
from drystone.client.bootstrap.roots import get_root
from drystone.client.bootstrap.syncing import CONTROL_NAME, STATE_NAME
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.ports import Disk, ProblemRow, State
from drystone.client.settings import ClientSettings

R = TypeVar("R")

_COPY_MARK: Final = re.compile(r" \(conflicted copy, [^()]*\)")
_COPY_TEXT: Final = " (conflicted copy, "


class Opened(NamedTuple):
    """A synced folder and its state, opened to be looked at."""

    disk: Disk
    state: State


class ConflictView(NamedTuple):
    """A conflicted copy, and the file it lost against."""

    path: str
    winner_path: str
    winner_exists: bool


def list_conflicts(settings: ClientSettings, directory: Path) -> list[ConflictView]:
    """Returns the conflicted copies in a synced folder, by path."""
    root = get_root(settings, directory)
    return _from_state(settings, root, "conflicts", _find_conflicts, ConflictView)


def list_problems(settings: ClientSettings, directory: Path) -> list[ProblemRow]:
    """Returns the paths in trouble in a synced folder."""
    root = get_root(settings, directory)
    return _from_state(settings, root, "problems", lambda o: o.state.problems(), ProblemRow)


def find_conflicts(state: State) -> list[ConflictView]:
    """Returns the conflicted copies among the local entries, by path. Uses State."""
    found: list[ConflictView] = []
    for file_id in state.find_named(_COPY_TEXT):
        entry = state.local.find(file_id)
        path = state.path_of(state.local, file_id)
        if entry is None or path is None:
            continue
        winner = _COPY_MARK.sub("", entry.name)
        folder = path.rpartition("/")[0]
        exists = winner in state.local.children(entry.parent_id)
        found.append(ConflictView(path, f"{folder}/{winner}" if folder else winner, exists))
    return sorted(found)


def _find_conflicts(opened: Opened) -> list[ConflictView]:
    return find_conflicts(opened.state)


def _from_state(
    settings: ClientSettings,
    root: RootLine,
    command: str,
    look: Callable[[Opened], list[R]],
    make: Callable[..., R],
) -> list[R]:
    """Asks the daemon if it keeps the folder, else looks itself."""
    try:
        answer = ask_daemon(settings.socket_path, command, folder=root.path)
        return [make(**line) for line in answer["lines"]]
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
    except DaemonAway:
        pass
    return with_opened(settings, root, look)


def with_opened(settings: ClientSettings, root: RootLine, look: Callable[[Opened], R]) -> R:
    """Looks at a folder that nobody else has open.

    Raises:
        RootBusy: Another client has it open.
        RootGone: The folder or its marker is missing.
    """
    clock = SystemClock()
    path = Path(root.path)
    # Opening it takes its lock: nobody else changes it meanwhile.
    disk = widen(open_disk(path, root.root_id, clock.now_ns))
    try:
        state, _ = open_state(
            str(path / CONTROL_NAME / STATE_NAME), settings.boot_id, clock.now_ns()
        )
        try:
            return look(Opened(disk, state))
        finally:
            state.close()
    finally:
        disk.close()
