# SPDX-License-Identifier: Apache-2.0
"""Reviewing: what a guard keeps back, and the answer that a human gives."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap.accounts import allow_device
from drystone.client.bootstrap.inspecting import with_opened
from drystone.client.bootstrap.syncing import opened_loop
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.loop.planning import load_review
from drystone.client.loop.running import Loop
from drystone.client.ports import Notices
from drystone.client.settings import ClientSettings
from drystone.core.errors import DrystoneError, Refused
from drystone.core.planning.guards import BURST_HELD
from drystone.core.planning.review import Review, ReviewLine

ACCEPT: Final = "accept"
UNDO: Final = "undo"

_ASK_AGAIN_S: Final = 0.1
_ALLOWED_S: Final = 3600
"""For which the server's brake is lifted: time enough to tell it."""


class NothingToReview(Refused):
    """No guard keeps anything back in this folder."""

    code = "nothing-to-review"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"nothing is kept back in {path}", advice="Look at how it stands: drystone status."
        )


def find_review(settings: ClientSettings, root: RootLine) -> Review | None:
    """Returns what was kept back when the folder was synced last; None: nothing.

    Raises:
        RootGone, RootBusy: No daemon keeps the folder, and it cannot be opened.
    """
    told = _ask(settings, root, "")
    if told is not None:
        return _parse(told["review"])
    return with_opened(settings, root, lambda opened: load_review(opened.state))


def answer_review(
    settings: ClientSettings,
    root: RootLine,
    choice: str,
    notices: Notices,
    ask_password: Callable[[], str],
) -> Review:
    """Agrees to what is kept back, or has it undone, and brings the folder in step.

    Args:
        settings: Of this device.
        root: The folder.
        choice: ``ACCEPT``: as much as ``find_review`` tells, and no more. ``UNDO``: what the disk
            or the server lost is brought back; what is replaced goes to the local trash.
        notices: Is told how it goes, where no daemon does it.
        ask_password: Returns the account's password; asked for if the server's brake is to be
            lifted, also after a guard has let it pass.

    Returns:
        What was agreed to or undone.

    Raises:
        NothingToReview: There is nothing to answer.
        Halted: There is more by now, or something else. (By a daemon: ``DaemonRefused``.)
        Unavailable: The server is away. By a daemon, it is done as soon as it can be.
    """
    found = find_review(settings, root)
    try:
        if found is None or found.code != BURST_HELD or choice != ACCEPT:
            return _answer(settings, root, choice, notices)
    except DrystoneError as error:
        if error.code != BURST_HELD or choice != ACCEPT:
            raise
        found = find_review(settings, root)
    count = 0 if found is None else found.entries_count
    password = ask_password()
    allow_device(settings, "", count, _ALLOWED_S, root.url, password=password)
    return _answer(settings, root, choice, notices)


async def answer_open(loop: Loop, choice: str) -> Review | None:
    """Gives an open loop the answer; its next round acts on it. Returns what it is about."""
    if choice == ACCEPT:
        return await loop.answers.accept()
    if choice == UNDO:
        return await loop.answers.undo()
    return await loop.answers.find_review()


def tell_review(review: Review | None) -> dict[str, Any] | None:
    """Returns a review as the daemon and ``--json`` tell it."""
    if review is None:
        return None
    return {**review._asdict(), "lines": [line._asdict() for line in review.lines]}


def _answer(settings: ClientSettings, root: RootLine, choice: str, notices: Notices) -> Review:
    told = _ask(settings, root, choice)
    if told is None:
        return asyncio.run(_answer_here(settings, root, choice, notices))
    review = _parse(told["review"])
    if review is None:
        raise NothingToReview(root.path)
    while not (standing := _find_standing(settings, root))["is_settled"]:
        if standing.get("why"):
            raise DaemonRefused(standing["why_code"], standing["why"], standing["why_advice"])
        if standing["phase"] == "idle" and standing.get("summary", {}).get("problems_count"):
            break
        time.sleep(_ASK_AGAIN_S)
    return review


async def _answer_here(
    settings: ClientSettings, root: RootLine, choice: str, notices: Notices
) -> Review:
    async with opened_loop(settings, root, notices) as loop:
        review = await answer_open(loop, choice)
        if review is None:
            raise NothingToReview(root.path)
        await loop.run_once()
        await loop.flush()
        return review


def _ask(settings: ClientSettings, root: RootLine, choice: str) -> dict[str, Any] | None:
    """Asks the daemon; None if none keeps the folder open."""
    try:
        return ask_daemon(settings.socket_path, "review", folder=root.path, answer=choice)
    except DaemonAway:
        return None
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
        return None


def _find_standing(settings: ClientSettings, root: RootLine) -> dict[str, Any]:
    roots = ask_daemon(settings.socket_path, "status")["roots"]
    found: dict[str, Any] = next(line for line in roots if line["path"] == root.path)
    return found


def _parse(told: Mapping[str, Any] | None) -> Review | None:
    if told is None:
        return None
    lines = tuple(ReviewLine(**line) for line in told["lines"])
    return Review(**{**told, "lines": lines})
