# SPDX-License-Identifier: Apache-2.0
"""Repairing: what a server's disk lost is sent again from this device (``doctor --repair``)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from drystone.client.adapters.notices import SilentNotices
from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap.checking import Finding, trouble
from drystone.client.bootstrap.resending import Resend, list_files
from drystone.client.bootstrap.roots import get_root
from drystone.client.bootstrap.syncing import opened_loop
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.loop.parts import World
from drystone.client.loop.running import Loop
from drystone.client.ports import Notices
from drystone.client.settings import ClientSettings
from drystone.client.steps.upload import Outgoing, Upload
from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, FileId

_FILES_AT_ONCE: Final = 2_000
_THREADS_COUNT: Final = 2
_ASK_AGAIN_S: Final = 0.5


class UnsentView(NamedTuple):
    """A file of which the server still lacks something, and why it was not sent."""

    path: str
    code: str
    message: str
    advice: str


class Repaired(NamedTuple):
    """What became of the repair of one synced folder.

    Attributes:
        files_count: Files whose blocks the server was asked about.
        blocks_count: Blocks that it read back.
        lacking_count: Those that it lacked, or found to be damaged.
        sent_count: How many of those were sent again.
        unsent: Files of which it still lacks some.
    """

    files_count: int
    blocks_count: int
    lacking_count: int
    sent_count: int
    unsent: list[UnsentView]


def repair_roots(
    settings: ClientSettings, paths: Sequence[Path], notices: Notices
) -> list[Finding]:
    """Repairs what servers lost of these synced folders; returns what was found about each.

    ``notices`` is told how far it has come, as ``verify``.
    """
    findings: list[Finding] = []
    for path in paths:
        root = get_root(settings, path)
        subject = f"folder {root.path}"
        try:
            repaired = repair_root(settings, root, notices)
        except DrystoneError as error:
            findings.append(trouble(subject, error))
            continue
        findings.append(_tell(subject, repaired))
        findings += [
            Finding(f"{root.path}/{line.path}", "trouble", line.message, line.advice)
            for line in repaired.unsent
        ]
    return findings


def repair_root(settings: ClientSettings, root: RootLine, notices: Notices) -> Repaired:
    """Has a server read back all that a synced folder's files are made of, and sends again what
    is damaged or missing there. Neither the folder nor the server's tree is changed.

    The daemon does it if it keeps the folder in step.

    Raises:
        RootBusy, RootGone: As when the folder is synced.
        Unavailable: The server is away. What it acknowledged is not sent again.
    """

    def tell(files_count: int, bytes_count: int) -> None:
        notices.advance("verify", files_count, None, bytes_count, None)

    try:
        answer = _ask_daemon(settings, root, tell)
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
    except DaemonAway:
        pass
    else:
        return _from_answer(answer)

    async def run() -> Repaired:
        async with opened_loop(settings, root, SilentNotices()) as loop:
            return await repair(loop, tell)

    return asyncio.run(run())


def _ask_daemon(
    settings: ClientSettings, root: RootLine, tell: Callable[[int, int], None]
) -> dict[str, Any]:
    """Has the daemon repair a folder, and asks it meanwhile how far it has come."""
    with ThreadPoolExecutor(1, "repair") as threads:
        repairing = threads.submit(
            ask_daemon, settings.socket_path, "repair", None, folder=root.path
        )
        while True:
            with suppress(TimeoutError):
                return repairing.result(_ASK_AGAIN_S)
            with suppress(DrystoneError):
                roots = ask_daemon(settings.socket_path, "status", brief=True)["roots"]
                for line in roots:
                    if line["path"] == root.path and line.get("verified"):
                        tell(*line["verified"])


async def repair(
    loop: Loop, progress: Callable[[int, int], None] = lambda _files, _bytes: None
) -> Repaired:
    """As ``repair_root``, for a folder that is open; beside whatever its loop does."""
    world = await loop.inspect(lambda world: world)
    with ThreadPoolExecutor(_THREADS_COUNT, "repair") as threads:
        upload = Upload(world.disk, world.state, world.remote, threads, lambda _: None)
        resend = Resend(world.remote, upload, progress)
        folders: list[tuple[FileId, str]] = [(ROOT_ID, "")]
        files: list[Outgoing] = []
        while folders:
            found, below = await loop.inspect(partial(_list_files, *folders.pop()))
            files += found
            folders += below
            if len(files) >= _FILES_AT_ONCE or not folders:
                await resend.check(files)
                files = []
    unsent = [
        UnsentView(one.path, one.error.code, one.error.message, one.error.advice)
        for one in resend.failures
    ]
    return Repaired(
        resend.files_count, resend.blocks_count, resend.lacking_count, resend.sent_count, unsent
    )


def to_answer(repaired: Repaired) -> dict[str, Any]:
    """Returns what the daemon answers."""
    return {**repaired._asdict(), "unsent": [line._asdict() for line in repaired.unsent]}


def _from_answer(answer: Mapping[str, Any]) -> Repaired:
    return Repaired(**{**answer, "unsent": [UnsentView(**line) for line in answer["unsent"]]})


def _tell(subject: str, repaired: Repaired) -> Finding:
    looked = f"the server read back {repaired.blocks_count:,} blocks of {repaired.files_count:,}"
    files = "file" if repaired.files_count == 1 else "files"
    if not repaired.lacking_count:
        return Finding(subject, "ok", f"{looked} {files}: all are whole")
    message = (
        f"{looked} {files}: {repaired.lacking_count:,} were missing or damaged,"
        f" {repaired.sent_count:,} of them were sent again"
    )
    if repaired.sent_count == repaired.lacking_count:
        return Finding(subject, "ok", message)
    return Finding(subject, "trouble", message, "Repair from another device that has the files.")


def _list_files(
    folder_id: FileId, path: str, world: World
) -> tuple[list[Outgoing], list[tuple[FileId, str]]]:
    return list_files(world.state, folder_id, path)
