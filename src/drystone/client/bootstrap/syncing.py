# SPDX-License-Identifier: Apache-2.0
"""Syncing: everything that one synced folder needs, opened in order and closed in order."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from drystone.client.adapters.clock import SystemClock, make_file_ids
from drystone.client.adapters.credentials import find_credential
from drystone.client.adapters.disk import open_disk
from drystone.client.adapters.narrow import widen
from drystone.client.adapters.remote_below import RemoteBelow
from drystone.client.adapters.remote_http import HttpRemote, HttpSession
from drystone.client.adapters.roots import RootLine
from drystone.client.adapters.state_sqlite import BOND_KEY, drop_state, open_state
from drystone.client.adapters.watch import make_watcher
from drystone.client.bootstrap.bonds import free_state, make_bond
from drystone.client.loop.parts import World
from drystone.client.loop.running import Loop
from drystone.client.loop.summary import Summary
from drystone.client.ports import Notices, Remote, Watcher
from drystone.client.settings import ClientSettings
from drystone.client.steps.pull import Selection
from drystone.core.ids import ROOT_ID, FileId, NamespaceId

CONTROL_NAME: Final = ".drystone"
STATE_NAME: Final = "state.db"


def sync_once(
    settings: ClientSettings, root: RootLine, notices: Notices, *, allow_deletions: bool = False
) -> Summary:
    """Brings a folder and its remote folder in step once, and returns what was done.

    Args:
        settings: Of this device.
        root: The folder.
        notices: Is told how it goes.
        allow_deletions: A human agreed to whatever guards would stop.

    Raises:
        RootBusy: Another client, perhaps the daemon, syncs this folder.
        RootGone: The folder or its marker is missing.
        RootElsewhere: Its state is of another remote folder.
        Unavailable: The server is away.
        Halted: A guard asks for permission first.
    """

    async def run() -> Summary:
        async with opened_loop(settings, root, notices) as loop:
            if allow_deletions:
                loop.allow_deletions()
            summary = await loop.run_once()
            await loop.flush()
            return summary

    return asyncio.run(run())


def sync_forever(settings: ClientSettings, root: RootLine, notices: Notices) -> None:
    """Keeps a folder in step until the process is interrupted (SIGINT, SIGTERM).

    Trouble that passes is waited out. Raises as ``sync_once`` when the folder is opened.
    """

    async def run() -> None:
        async with opened_loop(settings, root, notices) as loop:
            keeping = asyncio.create_task(loop.run_forever(watch(root, notices)))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, keeping.cancel)
            try:
                await keeping
            except asyncio.CancelledError:
                await loop.flush()
            except ExceptionGroup as group:
                raise group.exceptions[0] from None

    asyncio.run(run())


def watch(root: RootLine, notices: Notices) -> Watcher:
    """Returns what hints at changes below a synced folder."""
    return make_watcher(Path(root.path), notices.message)


@asynccontextmanager
async def opened_loop(
    settings: ClientSettings, root: RootLine, notices: Notices
) -> AsyncIterator[Loop]:
    """Opens one synced folder for the time of the context.

    Raises as ``sync_once`` does.
    """
    credential = find_credential(settings.credentials_path, root.url)
    clock = SystemClock()
    path = Path(root.path)
    async with contextlib.AsyncExitStack() as stack:
        notices.phase("connect")
        # It looks for the marker first: the lock lies in the control folder, which must be the
        # right one. Then it takes the lock: only whoever has it may clean up in there.
        disk = widen(open_disk(path, root.root_id, clock.now_ns))
        stack.callback(disk.close)
        state_path = str(path / CONTROL_NAME / STATE_NAME)
        free_state(state_path, root)
        state, damaged = open_state(state_path, settings.boot_id, clock.now_ns())
        if Selection(state).is_outdated(root.selects_count):
            notices.message(
                f"The state of {path} is older than the last change of what is selected; it is made"
                " anew from the folder and the server."
            )
            state.close()
            drop_state(state_path)
            state, damaged = open_state(state_path, settings.boot_id, clock.now_ns())
        stack.callback(state.close)
        state.put(BOND_KEY, make_bond(root))
        Selection(state).adopt([FileId(i) for i in root.unselected], root.selects_count)
        if damaged:
            notices.message(
                f"The state of {path} was damaged; it is made anew from the folder and the server."
                f" The damaged file is kept as {damaged}."
            )
        session = HttpSession(credential.url, credential.token)
        remote: Remote = HttpRemote(
            session,
            NamespaceId(root.namespace_id),
            is_direct=settings.transfer != "relay",
            tell=notices.message,
        )
        if root.folder_id != ROOT_ID:
            remote = RemoteBelow(remote, FileId(root.folder_id), root.remote_path)
        stack.push_async_callback(remote.close)
        world = World(
            disk=disk,
            state=state,
            remote=remote,
            clock=clock,
            notices=notices,
            new_file_id=make_file_ids(clock.now_ns),
            new_key=lambda: secrets.token_hex(16),
            device_name=credential.device_name,
        )
        loop = Loop(world)
        stack.push_async_callback(loop.close)
        yield loop
