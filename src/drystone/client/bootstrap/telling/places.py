# SPDX-License-Identifier: Apache-2.0
"""Places: a path of a synced folder, and what stands there on the server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from drystone.client.adapters.credentials import find_credential
from drystone.client.adapters.disk import read_kept_traits
from drystone.client.adapters.remote_http import HttpRemote, HttpSession
from drystone.client.adapters.roots import RootLine
from drystone.client.settings import ClientSettings
from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, FileId, NamespaceId
from drystone.core.journal.record import StoredEntry
from drystone.core.names.standing import ALL_NAMES, NameTraits, true_path
from drystone.core.tree.entry import Entry, Kind

_NOT_FOUND = "entry-not-found"


@asynccontextmanager
async def opened_remote(settings: ClientSettings, root: RootLine) -> AsyncIterator[HttpRemote]:
    """Opens the namespace that a folder is synced with, for the time of the context.

    Raises:
        NotLoggedIn: This device is not signed in to its server any more.
    """
    credential = find_credential(settings.credentials_path, root.url)
    remote = HttpRemote(
        HttpSession(credential.url, credential.token), NamespaceId(root.namespace_id)
    )
    try:
        yield remote
    finally:
        await remote.close()


def path_inside(root: RootLine, path: Path) -> str:
    """Returns a path of this device as one below its synced folder; ``""`` for the folder. On a
    disk that cannot hold every name, it is the path in the journal.
    """
    inside = path.relative_to(root.path).as_posix()
    return "" if inside == "." else true_path(inside, names_on(root))


def names_on(root: RootLine) -> NameTraits:
    """Returns which names the disk of a synced folder cannot hold, as found when it was opened."""
    kept = read_kept_traits(Path(root.path))
    return ALL_NAMES if kept is None else kept.names


def remote_path_of(root: RootLine, inside: str) -> str:
    """Returns where it should be on the server, for people."""
    return f"{root.remote_path.rstrip('/')}/{inside}"


async def find_remote(remote: HttpRemote, root: RootLine, inside: str) -> StoredEntry | None:
    """Returns what stands on the server at a path below a synced folder; None: nothing does.

    Cost: a request, or one for each folder above if a part of the tree is synced. That part is
    found by its file id, whatever it is called by now.
    """
    if not is_text(inside):
        return None
    if root.folder_id == ROOT_ID:
        try:
            return await remote.find_entry(f"/{inside}")
        except Refused as error:
            if error.code in (_NOT_FOUND, "not-found"):
                return None
            raise
    folder_id = FileId(root.folder_id)
    found: StoredEntry | None = None
    for name in inside.split("/"):
        if found is not None and found.entry.kind != Kind.FOLDER:
            return None
        try:
            listed = await remote.list_folder(folder_id)
        except Refused as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        found = next((stored for stored in listed if stored.entry.name == name), None)
        if found is None:
            return None
        folder_id = found.entry.file_id
    return found


async def list_remote(remote: HttpRemote, folder_id: FileId) -> dict[str, Entry]:
    """Returns all that lives below a remote folder, by path from there.

    Cost: a request and a megabyte or so of memory per 2,000 entries.
    """
    places: dict[FileId, str] = {folder_id: ""}
    found: dict[str, Entry] = {}
    after = ""
    while True:
        page, after = await remote.list_below(folder_id, after)
        for stored in page:
            entry = stored.entry
            above = places.get(entry.parent_id)
            if above is None:
                continue  # Its folder moved away while the pages were read.
            path = f"{above}/{entry.name}" if above else entry.name
            found[path] = entry
            if entry.kind == Kind.FOLDER:
                places[entry.file_id] = path
        if not after:
            return found


def is_text(path: str) -> bool:
    """Tells whether a path is text that a server can know; else it has bytes that are not UTF-8."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in path)


def show(path: str | Path) -> str:
    """Returns a path with bytes that are not UTF-8 escaped, as problems have it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
