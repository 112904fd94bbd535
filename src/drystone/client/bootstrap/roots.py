# SPDX-License-Identifier: Apache-2.0
"""Roots: which folder of this device is kept in step with which remote folder."""

import asyncio
import secrets
from pathlib import Path

from drystone.client.adapters.clock import SystemClock, make_file_ids
from drystone.client.adapters.credentials import Credential, find_credential
from drystone.client.adapters.disk import (
    RootBusy,
    RootLock,
    RootTaken,
    create_root,
    drop_marker,
    read_root_id,
)
from drystone.client.adapters.remote_http import HttpRemote, HttpSession
from drystone.client.adapters.roots import (
    RootLine,
    drop_root,
    find_root,
    find_root_above,
    load_roots,
    save_root,
)
from drystone.client.bootstrap.bonds import RootElsewhere, check_bond
from drystone.client.bootstrap.syncing import CONTROL_NAME, STATE_NAME
from drystone.client.control.client import DaemonAway, ask_daemon
from drystone.client.settings import ClientSettings
from drystone.core.errors import DrystoneError, Refused
from drystone.core.ids import ROOT_ID, FileId, NamespaceId, Rev, Seq
from drystone.core.journal.change import Accepted, Create
from drystone.core.tree.entry import Entry, Kind


class NotARoot(Refused):
    """A folder is not synced."""

    code = "not-a-synced-folder"


class NotARemoteFolder(Refused):
    """A remote path names a file where a folder is needed, or cannot be made."""

    code = "not-a-remote-folder"


def open_root(
    settings: ClientSettings, directory: Path, to: str | None = None, url: str | None = None
) -> RootLine:
    """Returns the synced folder at ``directory``; makes it one at the first use.

    Args:
        settings: Of this device.
        directory: The folder; made if it is missing.
        to: The remote folder, made if it is missing; None: as before, or the top.
        url: Of the server; None: as before, or the one signed in to last.

    Raises:
        NotLoggedIn: This device is signed in to no such server.
        RootElsewhere: It is synced already, with another remote folder or account.
        RootTaken: It lies in, or holds, another synced folder.
        RootBusy: Another client, of another configuration, syncs it.
    """
    directory = directory.expanduser().absolute()
    known = find_root(settings.roots_path, directory)
    if known is not None:
        _check_same(known, to, url)
        return known
    _check_apart(settings, directory)
    if read_root_id(directory) is not None:
        RootLock(directory).release()
    credential = find_credential(settings.credentials_path, url)
    remote_path = "/" + (to or "").strip("/")
    folder_id = asyncio.run(_find_or_make_folder(credential, remote_path))
    root = RootLine(
        path=str(directory),
        root_id=read_root_id(directory) or secrets.token_hex(16),
        url=credential.url,
        namespace_id=credential.namespace_id,
        folder_id=folder_id,
        remote_path=remote_path,
    )
    check_bond(str(directory / CONTROL_NAME / STATE_NAME), root)
    create_root(directory, root.root_id)
    save_root(settings.roots_path, root)
    return root


def get_root(settings: ClientSettings, directory: Path) -> RootLine:
    """Returns the synced folder that ``directory`` is, or lies in.

    Raises:
        NotARoot: There is none.
    """
    directory = directory.expanduser().absolute()
    root = find_root_above(settings.roots_path, directory)
    if root is None:
        raise NotARoot(
            f"{directory} is not in a synced folder of this device",
            advice="Make it one with: drystone sync DIR. See all with: drystone status.",
        )
    return root


def list_roots(settings: ClientSettings) -> list[RootLine]:
    """Returns all synced folders of this device."""
    return load_roots(settings.roots_path)


def forget_root(settings: ClientSettings, directory: Path) -> None:
    """Stops syncing a folder. What is in it stays, here and on the server.

    If it is synced again one day, both sides are merged: what was deleted here in between is
    not deleted there. A client of another configuration that syncs it goes on.

    Raises:
        NotARoot: It is not synced.
    """
    directory = directory.expanduser().absolute()
    root = find_root(settings.roots_path, directory)
    if root is None:
        raise NotARoot(
            f"{directory} is not a synced folder of this device",
            advice="See which are: drystone status",
        )
    is_used_elsewhere = _is_used_elsewhere(settings, root)
    drop_root(settings.roots_path, directory)
    if not is_used_elsewhere:
        drop_marker(directory, root.root_id)


def _is_used_elsewhere(settings: ClientSettings, root: RootLine) -> bool:
    """Tells whether somebody syncs a folder who is not the daemon of this configuration."""
    directory = Path(root.path)
    if read_root_id(directory) is None:
        return False
    try:
        RootLock(directory).release()
    except RootBusy as error:
        return not _is_kept_by_daemon(settings, root, error.code)
    return False


def _is_kept_by_daemon(settings: ClientSettings, root: RootLine, busy_code: str) -> bool:
    try:
        lines = ask_daemon(settings.socket_path, "status", brief=True)["roots"]
    except DaemonAway:
        return False
    return any(line["path"] == root.path and line["why_code"] != busy_code for line in lines)


def _check_same(known: RootLine, to: str | None, url: str | None) -> None:
    wanted = None if to is None else "/" + to.strip("/")
    if (wanted is not None and wanted != known.remote_path) or (url and url != known.url):
        raise RootElsewhere(
            f"{known.path} is synced already with {known.remote_path} at {known.url}",
            advice="Choose another folder, or end this one first with: drystone forget DIR",
        )


def _check_apart(settings: ClientSettings, directory: Path) -> None:
    for root in load_roots(settings.roots_path):
        path = Path(root.path)
        if directory in path.parents or path in directory.parents:
            raise RootTaken(
                f"{directory} and the synced folder {path} would lie in each other",
                advice="Choose a folder beside it.",
            )


async def _find_or_make_folder(credential: Credential, remote_path: str) -> FileId:
    session = HttpSession(credential.url, credential.token)
    remote = HttpRemote(session, NamespaceId(credential.namespace_id))
    new_id = make_file_ids(SystemClock().now_ns)
    folder_id = ROOT_ID
    try:
        reached = ""
        for name in remote_path.strip("/").split("/") if remote_path != "/" else ():
            reached = f"{reached}/{name}"
            folder_id = await _find_or_make(remote, folder_id, name, reached, new_id())
        if remote_path == "/":
            # Asked all the same: a wrong token or URL is found now, not at the first sync.
            await remote.list_folder(ROOT_ID)
        return folder_id
    finally:
        await session.close()


async def _find_or_make(
    remote: HttpRemote, parent_id: FileId, name: str, path: str, new_id: FileId
) -> FileId:
    found = await _find_in(remote, parent_id, name)
    if found is None:
        entry = Entry(new_id, parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0))
        result = await remote.commit([Create(entry)], Seq(0), secrets.token_hex(16))
        outcome = result.outcomes[0]
        if isinstance(outcome, Accepted):
            return new_id
        # Another device may have made it in between.
        found = await _find_in(remote, parent_id, name)
        if found is None:
            raise NotARemoteFolder(f"{path} cannot be made on the server: {outcome.message}")
    if found.kind != Kind.FOLDER:
        raise NotARemoteFolder(
            f"{path} is a file on the server, not a folder", advice="Choose another folder."
        )
    return found.file_id


async def _find_in(remote: HttpRemote, parent_id: FileId, name: str) -> Entry | None:
    try:
        entries = await remote.list_folder(parent_id)
    except DrystoneError as error:
        if error.code == "entry-not-found":
            return None
        raise
    return next((stored.entry for stored in entries if stored.entry.name == name), None)
