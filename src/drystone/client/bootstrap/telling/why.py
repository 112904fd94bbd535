# SPDX-License-Identifier: Apache-2.0
"""Why: one path as the three trees have it, the rule that applies, what blocks it, and its story.

Each part of the answer comes from a small function of a ``Scene``; whoever has another reason for a
path to be as it is adds one to ``_DECISIONS`` or ``_BLOCKS``.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from drystone.client.adapters.credentials import NotLoggedIn
from drystone.client.adapters.notices import SilentNotices
from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap.inspecting import Opened, with_opened
from drystone.client.bootstrap.roots import get_root
from drystone.client.bootstrap.syncing import CONTROL_NAME, opened_loop
from drystone.client.bootstrap.telling.places import (
    opened_remote,
    path_inside,
    remote_path_of,
    show,
)
from drystone.client.bootstrap.telling.standing import observe
from drystone.client.bootstrap.telling.story import LINES_MAX, Told, tell_story
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.loop.parts import World
from drystone.client.ports import Disk, ProblemRow, State
from drystone.client.settings import ClientSettings
from drystone.client.steps.pull import Selection
from drystone.client.steps.scan import LeftOut, find_left_out
from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, FileId, format_id, format_rev
from drystone.core.instant import NS_PER_S, format_instant
from drystone.core.planning.explaining import Decision, explain
from drystone.core.planning.guards import Halt, find_halt
from drystone.core.planning.plan import Plan
from drystone.core.planning.policy import Policy
from drystone.core.planning.reconcile import reconcile
from drystone.core.safety import Stop
from drystone.core.tree.entry import Entry
from drystone.core.tree.view import TreeView

_PLANNED_MAX: Final = 20_000
"""Entries in which the sides differ; with more of them it is not planned for one question."""

_ALL_LINES: Final = 1_000_000


class Running(NamedTuple):
    """How the client that keeps the folder gets on.

    Attributes:
        is_kept: One does.
        is_paused: It was told to leave the folder alone.
        stop: What keeps it from going on.
        retry_s: In how many seconds it tries again; None if it waits for something to happen.
        now_ns: The time.
    """

    is_kept: bool = False
    is_paused: bool = False
    stop: Stop | None = None
    retry_s: float | None = None
    now_ns: int = 0


class Seen(NamedTuple):
    """One entry as the three trees have it."""

    local: Entry | None
    synced: Entry | None
    remote: Entry | None

    @property
    def file_ids(self) -> frozenset[FileId]:
        """Its ids."""
        return frozenset(entry.file_id for entry in self if entry is not None)


class Scene(NamedTuple):
    """All that is known of a path on this device."""

    state: State
    inside: str
    seen: Seen
    stands: bool
    problems: list[ProblemRow]
    """Of the path and of the folders above it, the path's own first."""
    left_out: LeftOut | None
    unselected: str | None
    """The unselected folder that it is, or is in, as the server has it."""
    plan: Plan | None
    halt: Halt | None
    running: Running

    @property
    def problem(self) -> ProblemRow | None:
        """The path's own trouble."""
        own = (self.inside, show(self.inside))
        return next((row for row in self.problems if row.path in own), None)


def why(settings: ClientSettings, path: Path, *, is_whole: bool = False) -> dict[str, Any]:
    """Returns the evidence about one path of a synced folder, and what follows from it.

    Keys: ``path``, ``root``, ``remote_path``; ``standing_path`` (where it stands in the folder, if
    this disk cannot hold its name; else None); ``verdict`` (one sentence); ``local``, ``synced``,
    ``remote`` (what each tree says, None: nothing); ``decision`` (``code`` and ``message`` of the
    rule that applies); ``blocked_by`` (``code``, ``message``, ``advice`` each); ``next_try_ns``
    (None: nothing is to be done, or nobody does it); ``problem`` (None: none), ``rule`` (the path
    that an ignore rule leaves out, with all below it, if one does) and ``rule_line`` (that rule);
    ``unselected`` (the path of the folder that is not selected here, if it is that or in it);
    ``story`` (``lines`` newest first, ``more_count``, ``error``: why it cannot be told).

    Args:
        settings: Of this device.
        path: It need not exist.
        is_whole: The story is wanted wholly, not its last lines only.

    Raises:
        NotARoot: It is in no synced folder of this device.

    Cost: without a daemon a scan of the folder, and some requests.
    """
    path = path.expanduser().absolute()
    root = get_root(settings, path)
    found = _ask(settings, path)
    if found is None:
        found = asyncio.run(_look(settings, root, path))
    lines_max = _ALL_LINES if is_whole else LINES_MAX
    story = asyncio.run(_find_story(settings, root, path, found, lines_max))
    found["story"] = story
    if found["decision"]["code"] == "unknown" and story["is_living"] is not None:
        decision = _HEARD_LATER if story["is_living"] else _DELETED
        if story["moved_to"]:
            decision = Decision(
                "moved", f"it was moved, and is {story['moved_to']} on the server now"
            )
        found |= {"decision": decision._asdict(), "verdict": decision.message}
    return found


def explain_open(
    opened: Opened | World, root: RootLine, path: Path, running: Running
) -> dict[str, Any]:
    """As ``why`` without the story, for a folder that is open; uses its State and disk."""
    inside = path_inside(root, path)
    standing = opened.disk.standing_path(inside)
    scene = _set_scene(opened.disk, opened.state, inside, running)
    state, seen, problem, left_out = scene.state, scene.seen, scene.problem, scene.left_out
    decision = next(each for rule in _DECISIONS if (each := rule(scene)) is not None)
    blocks = [each for rule in _BLOCKS for each in rule(scene)]
    return {
        "path": show(path),
        "root": show(root.path),
        "remote_path": show(remote_path_of(root, scene.inside)),
        "standing_path": show(standing) if standing != inside else None,
        "verdict": decision.message,
        "decision": decision._asdict(),
        "blocked_by": blocks,
        "next_try_ns": _find_next_try(scene, is_blocked=bool(blocks)),
        "local": _tell(state, state.local, seen.local),
        "synced": _tell(state, state.synced, seen.synced),
        "remote": _tell(state, state.remote, seen.remote),
        "problem": None if problem is None else problem._asdict(),
        "unselected": scene.unselected,
        "rule": None if left_out is None else left_out.path,
        "rule_line": None if left_out is None else left_out.rule._asdict(),
    }


def _ask(settings: ClientSettings, path: Path) -> dict[str, Any] | None:
    """Asks the daemon; None if there is none, or it does not keep the folder now."""
    try:
        return ask_daemon(settings.socket_path, "why", target_bytes=os.fsencode(path).hex())
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
    except DaemonAway:
        pass
    return None


async def _look(settings: ClientSettings, root: RootLine, path: Path) -> dict[str, Any]:
    """Looks at the folder here. What is seen is not kept."""
    try:
        async with opened_loop(settings, root, SilentNotices()) as loop:
            world = await loop.inspect(lambda world: world)
            known = await observe(world)
            running = Running(stop=known.stop, now_ns=known.now_ns)
            return explain_open(world, root, path, running)
    except NotLoggedIn as error:
        stop = Stop(error.code, error.message, error.advice)
        running = Running(stop=stop)
        return with_opened(settings, root, lambda o: explain_open(o, root, path, running))


async def _find_story(
    settings: ClientSettings, root: RootLine, path: Path, found: dict[str, Any], lines_max: int
) -> dict[str, Any]:
    views = (found["remote"], found["synced"], found["local"])
    known_id = next((view["file_id"] for view in views if view is not None), "")
    story: dict[str, Any] = {**Told([], 0, None)._asdict(), "error": None}
    inside = path_inside(root, path)
    if not inside:
        return story
    try:
        async with opened_remote(settings, root) as remote:
            told = await tell_story(remote, root, inside, known_id, lines_max)
    except DrystoneError as error:
        error_told = {"code": error.code, "message": error.message, "advice": error.advice}
        return {**story, "error": error_told}
    return {**story, **told._asdict(), "lines": [line._asdict() for line in told.lines]}


# --- the scene -----------------------------------------------------------------------------------


def _set_scene(disk: Disk, state: State, inside: str, running: Running) -> Scene:
    above = {"/".join(inside.split("/")[:depth]) for depth in range(inside.count("/") + 1)}
    wanted = {inside, show(inside), *above, *map(show, above)} - {""}
    rows = sorted(
        (row for row in state.problems() if row.path in wanted and not row.is_notice),
        key=lambda row: -len(row.path),
    )
    rows += [row for row in state.problems() if row.path == show(inside) and row.is_notice]
    try:
        stands = disk.find_stat(inside) is not None if inside else True
    except DrystoneError:
        stands = False
    plan, halt = _plan(state)
    return Scene(
        state,
        inside,
        _see(state, inside),
        stands,
        rows,
        find_left_out(disk, state, inside),
        _find_unselected(state, inside),
        plan,
        halt,
        running,
    )


def _plan(state: State) -> tuple[Plan | None, Halt | None]:
    """Makes the plan that a client would make now; None if that would take too long."""
    candidates = [*state.local_changes]
    candidates += [i for i in state.remote_changes if i not in state.local_changes]
    selection = Selection(state)
    candidates += selection.ids
    if len(candidates) > _PLANNED_MAX:
        return None, None
    numbers = itertools.count(1)
    policy = Policy(
        "this device",
        "today",
        lambda: FileId(b"\xff" * 8 + next(numbers).to_bytes(8, "big")),
        unselected=selection.ids,
    )
    plan = reconcile(candidates, state.local, state.synced, state.remote, policy)
    judged = selection.without_leaving(plan)
    halt = find_halt(judged, state.synced, state.count_synced(), state.count_below)
    return plan, halt


def _find_unselected(state: State, path: str) -> str | None:
    paths = Selection(state).list_paths().values()
    return next((one for one in paths if f"{path}/".startswith(f"{one}/")), None)


def _see(state: State, path: str) -> Seen:
    """Returns the entry that some tree has at a path, wherever the others have it."""
    views = (state.local, state.remote, state.synced)
    known = next((entry for view in views if (entry := _find(view, path)) is not None), None)
    if known is None:
        return Seen(None, None, None)
    file_id = known.file_id
    return Seen(*(view.find(file_id) for view in (state.local, state.synced, state.remote)))


def _find(view: TreeView, path: str) -> Entry | None:
    folder_id: FileId = ROOT_ID
    entry: Entry | None = None
    for name in path.split("/") if path else ():
        entry = view.children(folder_id).get(name)
        if entry is None:
            return None
        folder_id = entry.file_id
    return entry


# --- which rule applies: the first that has something to say -------------------------------------


def _decide_place(scene: Scene) -> Decision | None:
    if not scene.inside:
        return Decision("root", "this is the synced folder itself")
    if scene.inside.split("/", maxsplit=1)[0] == CONTROL_NAME:
        told = f"{CONTROL_NAME} is the client's own and is never synced"
        return Decision("control-folder", told)
    return None


def _decide_problem(scene: Scene) -> Decision | None:
    row = scene.problem
    if row is None:
        return None
    if row.is_notice:
        return Decision(row.code, row.message)
    return Decision(row.code, f"there is a problem: {row.message}")


def _decide_unselected(scene: Scene) -> Decision | None:
    if scene.unselected is None or scene.seen.local is not None:
        return None
    told = f"it is not selected on this device: {scene.unselected} is only on the server"
    return Decision("unselected", told)


def _decide_unknown(scene: Scene) -> Decision | None:
    if scene.seen.file_ids:
        return None
    if scene.left_out is not None:
        told = f"it is left out: {scene.left_out.path} matches an ignore rule"
        return Decision("ignored", told)
    if scene.stands:
        return Decision("not-looked-at", "it stands on the disk and was not looked at yet")
    return Decision("unknown", "nothing is known of it: neither the disk nor the server has it")


def _decide_plan(scene: Scene) -> Decision | None:
    local, synced, remote = scene.seen
    if scene.plan is not None:
        for decision in explain(scene.plan, scene.seen.file_ids):
            if decision.code == "waits" and local is not None and local.content is None:
                return Decision("waits", "it changed here, and is still to be read")
            return decision
    if local == synced == remote:
        return None
    if scene.plan is None:
        return Decision("waits", "the sides differ in very many entries; its turn comes")
    return Decision("waits", "the sides differ, and other steps come first")


def _decide_above(scene: Scene) -> Decision | None:
    state, (local, _, remote) = scene.state, scene.seen
    if local is None or remote is None:
        return None
    here = state.path_of(state.local, local.file_id)
    there = state.path_of(state.remote, remote.file_id)
    if here == there:
        return None
    return Decision("folder-above", "a folder above it was moved or deleted, which is to be done")


def _decide_in_step(scene: Scene) -> Decision | None:
    if scene.seen.local is None:
        return Decision("forget", "it is gone on both sides")
    return Decision("in-step", "it is in step with the server")


_DELETED: Final = Decision("deleted", "it was deleted, and can be restored: drystone restore")
_HEARD_LATER: Final = Decision(
    "behind", "the server has it, which this device has not heard of yet"
)

_DECISIONS: Final[tuple[Callable[[Scene], Decision | None], ...]] = (
    _decide_place,
    _decide_problem,
    _decide_unselected,
    _decide_unknown,
    _decide_plan,
    _decide_above,
    _decide_in_step,
)


# --- what blocks it ------------------------------------------------------------------------------

Block = dict[str, str]


def _block_problems(scene: Scene) -> Iterator[Block]:
    for row in scene.problems:
        if not row.is_notice:
            yield {"code": row.code, "message": row.message, "advice": row.advice}


def _block_halt(scene: Scene) -> Iterator[Block]:
    stop, halt = scene.running.stop, scene.halt
    if stop is not None:
        yield {"code": stop.code, "message": stop.message, "advice": stop.advice}
    elif halt is not None and _differs(scene):
        advice = "If it was meant, say so: drystone sync DIR --allow-deletions."
        yield {"code": halt.code, "message": halt.message, "advice": advice}


def _block_nobody(scene: Scene) -> Iterator[Block]:
    if scene.running.is_paused:
        yield {"code": "paused", "message": "it is paused", "advice": "drystone resume"}
    if not scene.running.is_kept and _differs(scene):
        yield {
            "code": "daemon-not-running",
            "message": "nobody keeps the folder in step now",
            "advice": "Start the daemon: drystone start. Or once: drystone sync DIR --once",
        }


_BLOCKS: Final[tuple[Callable[[Scene], Iterator[Block]], ...]] = (
    _block_problems,
    _block_halt,
    _block_nobody,
)


def _differs(scene: Scene) -> bool:
    """Tells whether something is to be done for the path."""
    if scene.unselected is not None and scene.seen.local is None:
        return False
    if not scene.seen.file_ids:
        return scene.stands and scene.left_out is None and not scene.problems
    local, synced, remote = scene.seen
    return not local == synced == remote or _decide_above(scene) is not None


def _find_next_try(scene: Scene, *, is_blocked: bool) -> int | None:
    """Returns when something is done about it next; None if nothing is to be, or by nobody."""
    running, row = scene.running, scene.problem
    if not running.is_kept or running.is_paused:
        return None
    if running.stop is None and row is not None and row.next_try_ns:
        return max(row.next_try_ns, running.now_ns)
    if not _differs(scene) and row is None:
        return None
    if running.retry_s is None:
        return None if is_blocked else running.now_ns
    return running.now_ns + int(running.retry_s * NS_PER_S)


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
