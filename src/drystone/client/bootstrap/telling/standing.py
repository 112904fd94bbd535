# SPDX-License-Identifier: Apache-2.0
"""Standing: how the synced folders of this device stand, and whether everything in them is safe.

The daemon knows if it runs. Else each folder is looked at here: the disk is compared with what was
agreed on, and the server is asked what it has since; nothing of that is kept.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from drystone.client.adapters.clock import SystemClock
from drystone.client.adapters.disk import RootBusy
from drystone.client.adapters.notices import SilentNotices
from drystone.client.adapters.roots import RootLine, load_roots
from drystone.client.bootstrap.syncing import opened_loop
from drystone.client.control.client import DaemonAway, ask_daemon
from drystone.client.loop.parts import World
from drystone.client.loop.planning import load_review
from drystone.client.loop.rounds import SETTLED_KEY
from drystone.client.loop.summary import weigh
from drystone.client.loop.tally import Pace, Tally
from drystone.client.settings import ClientSettings
from drystone.client.steps.pull import Pull
from drystone.client.steps.scan import Scan
from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.planning.guards import HALT_CODES
from drystone.core.safety import Evidence, Safety, Stop, join, judge

_PAGES_MAX: Final = 3
"""Of the server's changes are read. Who is further behind is told just that."""


def describe_device(settings: ClientSettings) -> dict[str, Any]:
    """Returns how all synced folders stand.

    Keys: ``pid`` of the daemon (None: it does not run), ``safe`` (see ``tell_safety``), ``roots``:
    for each folder what ``Standing`` has, ``problems`` (rows) and ``safe``.

    Raises:
        ConfigUnusable: The list of folders cannot be read.

    Cost: without a daemon a scan of each folder, and a few requests.
    """
    try:
        return ask_daemon(settings.socket_path, "status")
    except DaemonAway:
        pass
    looked = [asyncio.run(_look(settings, root)) for root in load_roots(settings.roots_path)]
    return {
        "pid": None,
        "safe": tell_safety(join(safety for _, safety in looked)),
        "roots": [told for told, _ in looked],
    }


def tell_safety(safety: Safety) -> dict[str, Any]:
    """Returns an answer as ``--json`` has it: ``answer`` is ``yes``, ``not_yet`` or ``no``."""
    told = safety._asdict()
    told["answer"] = safety.answer.name.lower()
    told["reasons"] = [reason._asdict() for reason in safety.reasons]
    return told


def join_told(safeties: Iterable[Safety]) -> dict[str, Any]:
    """Returns the answer for several folders, as ``tell_safety`` does."""
    return tell_safety(join(safeties))


def weigh_trouble(error: DrystoneError, now_ns: int, since_ns: int = 0) -> Evidence:
    """Returns what is known of a folder that cannot be opened."""
    if isinstance(error, RootBusy):
        return Evidence(now_ns, is_kept=True, kept_by="another client")
    return Evidence(now_ns, stop=stop_of(error, since_ns))


def stop_of(error: DrystoneError, since_ns: int = 0) -> Stop:
    """Returns what an error keeps from going on."""
    return Stop(error.code, error.message, error.advice, since_ns)


async def _look(settings: ClientSettings, root: RootLine) -> tuple[dict[str, Any], Safety]:
    """Looks at a folder that no daemon keeps."""
    clock = SystemClock()
    told: dict[str, Any] = {
        "path": root.path,
        "url": root.url,
        "remote_path": root.remote_path,
        "phase": "unkept",
        "is_settled": False,
        "why": "",
        "why_code": "",
        "why_advice": "",
        "problems": [],
    }
    try:
        async with opened_loop(settings, root, SilentNotices()) as loop:
            world = await loop.inspect(lambda world: world)
            known = await observe(world)
            told["problems"] = [row._asdict() for row in world.state.problems()]
            told["synced_count"] = world.state.count_synced()
            told["settled_ns"] = known.settled_ns
            if known.stop is not None:
                phase = "halted" if known.stop.code in HALT_CODES else "away"
                told |= {"phase": phase, "why": known.stop.message, "why_code": known.stop.code}
                told["why_advice"] = known.stop.advice
    except RootBusy as error:
        told |= {"phase": "elsewhere", "why": error.message, "why_code": error.code}
        known = weigh_trouble(error, clock.now_ns())
    except DrystoneError as error:
        phase = "away" if isinstance(error, Unavailable) else "halted"
        told |= {"phase": phase, "why": error.message, "why_code": error.code}
        told["why_advice"] = error.advice
        known = weigh_trouble(error, clock.now_ns())
    safety = judge(known)
    return {**told, "safe": tell_safety(safety)}, safety


async def observe(world: World) -> Evidence:
    """Looks at disk and server, for a folder that no client keeps. State learns of it, and must
    not be saved.
    """
    state, clock = world.state, world.clock
    scanned_ns = clock.now_ns()
    for _ in Scan(world.disk, state, world.new_file_id, clock.now_ns, set()).full():
        pass
    stop: Stop | None = None
    is_behind = True
    try:
        is_behind = await _peek(Pull(world.remote, state))
    except DrystoneError as error:
        stop = stop_of(error)
    review = load_review(state)
    if review is not None and (state.local_changes or state.remote_changes):
        # What the last plan kept back still waits for a human.
        stop = Stop(review.code, review.message, "See what it is: drystone review")
    known = Evidence(
        clock.now_ns(),
        stop=stop,
        scanned_ns=scanned_ns,
        is_behind=is_behind,
        silent_s=world.remote.silent_s(),
        settled_ns=int(state.get(SETTLED_KEY) or 0),
    )
    return weigh(known, state, Tally(world.notices, Pace(clock.monotonic_s)))


async def _peek(pull: Pull) -> bool:
    """Reads what the server has since; returns whether there is more than was read."""
    for _ in range(_PAGES_MAX):
        if not pull.note(await pull.read(pull.find_cursor())).has_more:
            return pull.find_unlisted() is not None
    return True
