# SPDX-License-Identifier: Apache-2.0
"""Inspecting: why a path is as it is, what was in conflict, what is in trouble."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from drystone.client.adapters.clock import SystemClock
from drystone.client.adapters.disk import open_disk
from drystone.client.adapters.roots import RootLine
from drystone.client.adapters.state_sqlite import open_state
from drystone.client.bootstrap.roots import get_root
from drystone.client.bootstrap.syncing import CONTROL_NAME, STATE_NAME
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.loop.parts import World
from drystone.client.ports import Disk, ProblemRow, State
from drystone.client.settings import ClientSettings
from drystone.client.steps.pull import Selection
from drystone.client.steps.scan import LeftOut, find_left_out
from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, FileId, format_id, format_rev
from drystone.core.instant import format_instant
from drystone.core.tree.entry import Entry
from drystone.core.tree.view import TreeView

R = TypeVar("R")

_COPY_MARK: Final = re.compile(r" \(conflicted copy, [^()]*\)")
_COPY_TEXT: Final = " (conflicted copy, "


class Opened(NamedTuple):
    """A synced folder and its state, opened to be looked at."""

    disk: Disk
    state: State


class Seen(NamedTuple):
    """One entry as the three trees have it."""

    local: Entry | None
    synced: Entry | None
    remote: Entry | None


class ConflictView(NamedTuple):
    """A conflicted copy, and the file it lost against."""

    path: str
    winner_path: str
    winner_exists: bool


def why(settings: ClientSettings, path: Path) -> dict[str, Any]:
    """Returns the evidence about one path of a synced folder, and what follows from it.

    Keys: ``path``, ``verdict`` (one sentence), ``local``, ``synced``, ``remote`` (what each
    tree says, None: nothing), ``problem`` (None: none), ``rule`` (the path that an ignore rule
    leaves out, with all below it, if one does), ``rule_line`` (that rule), ``unselected`` (the
    path of the folder that is not selected here, if it is that or below it).

    Raises:
        NotARoot: It is in no synced folder of this device.
    """
    path = path.expanduser().absolute()
    root = get_root(settings, path)
    try:
        return ask_daemon(settings.socket_path, "why", target=str(path))
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
    except DaemonAway:
        pass
    return with_opened(settings, root, lambda opened: explain_open(opened, root, path))


def list_conflicts(settings: ClientSettings, directory: Path) -> list[ConflictView]:
    """Returns the conflicted copies in a synced folder, by path."""
    root = get_root(settings, directory)
    return _from_state(settings, root, "conflicts", _find_conflicts, ConflictView)


def list_problems(settings: ClientSettings, directory: Path) -> list[ProblemRow]:
    """Returns the paths in trouble in a synced folder."""
    root = get_root(settings, directory)
    return _from_state(settings, root, "problems", lambda o: o.state.problems(), ProblemRow)


def explain_open(opened: Opened | World, root: RootLine, path: Path) -> dict[str, Any]:
    """As ``why``, for a folder that is open; uses its State and disk."""
    disk, state = opened.disk, opened.state
    inside = path.relative_to(root.path).as_posix()
    inside = "" if inside == "." else inside
    seen = _see(state, inside)
    # What is not UTF-8 is told of with its bytes escaped.
    shown = os.fsencode(inside).decode("utf-8", "backslashreplace")
    problem = next((row for row in state.problems() if row.path in (inside, shown)), None)
    left_out = find_left_out(disk, state, inside)
    unselected = _find_unselected(state, inside)
    try:
        stands = disk.find_stat(inside) is not None if inside else True
    except DrystoneError:
        stands = False
    verdict = _judge(inside, seen, problem, left_out, stands=stands)
    if unselected is not None and seen.local is None:
        verdict = f"it is not selected on this device: {unselected} is only on the server"
    return {
        "path": str(path),
        "root": root.path,
        "remote_path": f"{root.remote_path.rstrip('/')}/{inside}",
        "verdict": verdict,
        "local": _tell(state, state.local, seen.local),
        "synced": _tell(state, state.synced, seen.synced),
        "remote": _tell(state, state.remote, seen.remote),
        "problem": None if problem is None else problem._asdict(),
        "rule": None if left_out is None else left_out.path,
        "unselected": unselected,
        "rule_line": None if left_out is None else left_out.rule._asdict(),
    }


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
    disk = open_disk(path, root.root_id, clock.now_ns)
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


def _see(state: State, path: str) -> Seen:
    """Returns the entry that some tree has at a path, wherever the others have it."""
    views = (state.local, state.synced, state.remote)
    known = next((entry for view in views if (entry := _find(view, path)) is not None), None)
    if known is None:
        return Seen(None, None, None)
    return Seen(*(view.find(known.file_id) for view in views))


def _find_unselected(state: State, path: str) -> str | None:
    """Returns the unselected folder that a path names or lies in, as the server has it."""
    paths = Selection(state).list_paths().values()
    return next((one for one in paths if f"{path}/".startswith(f"{one}/")), None)


def _find(view: TreeView, path: str) -> Entry | None:
    folder_id: FileId = ROOT_ID
    entry: Entry | None = None
    for name in path.split("/") if path else ():
        entry = view.children(folder_id).get(name)
        if entry is None:
            return None
        folder_id = entry.file_id
    return entry


def _judge(
    path: str, seen: Seen, problem: ProblemRow | None, left_out: LeftOut | None, *, stands: bool
) -> str:
    if not path:
        return "this is the synced folder itself"
    if path.split("/", maxsplit=1)[0] == CONTROL_NAME:
        return f"{CONTROL_NAME} is the client's own and is never synced"
    if problem is not None:
        return f"there is a problem: {problem.message}"
    if seen == (None, None, None):
        if left_out is not None:
            return f"it is left out: {left_out.path} matches an ignore rule"
        if stands:
            return "it stands on the disk and was not looked at yet"
        return "nothing is known of it: neither the disk nor the server has it"
    if seen.local is not None and seen.local == seen.synced == seen.remote:
        return "it is in step with the server"
    return _judge_difference(*seen)


def _judge_difference(local: Entry | None, synced: Entry | None, remote: Entry | None) -> str:
    is_local_new = local != synced
    is_remote_new = remote != synced
    if local is None and remote is None:
        return "it is gone on both sides"
    if is_local_new and is_remote_new:
        return "both sides changed it since they agreed last; the next round settles that"
    if is_local_new:
        return (
            "it was deleted here, which the server is still to be told"
            if local is None
            else "it was changed here, which the server is still to be told"
        )
    return (
        "it was deleted on the server, which is still to be done here"
        if remote is None
        else "it was changed on the server, which is still to be done here"
    )


def _tell(state: State, view: TreeView, entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    content = entry.content
    return {
        "file_id": format_id(entry.file_id),
        "path": state.path_of(view, entry.file_id),
        "kind": entry.kind.name.lower(),
        "size_bytes": None if content is None else content.size_bytes,
        "content_hash": None if content is None else content.content_hash.hex(),
        "mode": f"{entry.mode:03o}",
        "modified": format_instant(entry.mtime_ns) if entry.mtime_ns else None,
        "rev": format_rev(entry.rev) if entry.rev else None,
    }
