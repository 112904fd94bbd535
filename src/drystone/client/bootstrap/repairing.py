# SPDX-License-Identifier: Apache-2.0
"""Repairing: what a server's disk lost is sent again from this device (``doctor --repair``)."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from drystone.client.settings import ClientSettings
from drystone.client.steps.upload import Outgoing, Upload
from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, FileId

_FILES_AT_ONCE: Final = 2_000
_THREADS_COUNT: Final = 2


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


def repair_roots(settings: ClientSettings, paths: Sequence[Path]) -> list[Finding]:
    """Repairs what servers lost of these synced folders; returns what was found about each."""
    findings: list[Finding] = []
    for path in paths:
        root = get_root(settings, path)
        subject = f"folder {root.path}"
        try:
            repaired = repair_root(settings, root)
        except DrystoneError as error:
            findings.append(trouble(subject, error))
            continue
        findings.append(_tell(subject, repaired))
        findings += [
            Finding(f"{root.path}/{line.path}", "trouble", line.message, line.advice)
            for line in repaired.unsent
        ]
    return findings


def repair_root(settings: ClientSettings, root: RootLine) -> Repaired:
    """Has a server read back all that a synced folder's files are made of, and sends again what
    is damaged or missing there. Neither the folder nor the server's tree is changed.

    The daemon does it if it keeps the folder in step.

    Raises:
        RootBusy, RootGone: As when the folder is synced.
        Unavailable: The server is away. What it acknowledged is not sent again.
    """
    try:
        answer = ask_daemon(settings.socket_path, "repair", None, folder=root.path)
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
    except DaemonAway:
        pass
    else:
        return _from_answer(answer)

    async def run() -> Repaired:
        async with opened_loop(settings, root, SilentNotices()) as loop:
            return await repair(loop)

    return asyncio.run(run())


async def repair(loop: Loop) -> Repaired:
    """As ``repair_root``, for a folder that is open; beside whatever its loop does."""
    world = await loop.inspect(lambda world: world)
    with ThreadPoolExecutor(_THREADS_COUNT, "repair") as threads:
        upload = Upload(world.disk, world.state, world.remote, threads, lambda _: None)
        resend = Resend(world.remote, upload)
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
