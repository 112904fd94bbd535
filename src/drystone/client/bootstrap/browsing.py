# SPDX-License-Identifier: Apache-2.0
"""Browsing: the server's tree by remote path, without syncing anything.

Each function opens a connection, does one thing, and closes it. Remote paths begin with
``/``. What raises is a ``DrystoneError`` with a message for the user.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from drystone.client.adapters.clock import SystemClock, make_file_ids
from drystone.client.adapters.credentials import find_credential
from drystone.client.adapters.loose_files import fetch_file, send_file
from drystone.client.adapters.remote_http import HttpRemote, HttpSession
from drystone.client.settings import ClientSettings
from drystone.core.errors import DrystoneError, Refused
from drystone.core.ids import (
    ROOT_ID,
    FileId,
    NamespaceId,
    Rev,
    Seq,
    format_id,
    format_rev,
    parse_rev,
)
from drystone.core.journal.change import (
    Change,
    Create,
    Delete,
    Edit,
    Move,
    Refusal,
    RefusalCode,
    Restore,
)
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.names.path import join_path, split_path
from drystone.core.names.quoting import quoted
from drystone.core.tree.entry import Entry, Kind

T = TypeVar("T")
Progress = Callable[[int], None]

_SEEN_NOTHING: Final = Seq(0)


class RemoteNotFound(Refused):
    """There is nothing at a remote path."""

    code = "remote-not-found"


class RemoteExists(Refused):
    """Something else stands at a remote path already."""

    code = "remote-exists"


class TopFolder(Refused):
    """The top folder was named for what can only be done to something in it."""

    code = "top-folder"


class NotAFile(Refused):
    """A remote path is that of a folder or a symlink, where a file is needed."""

    code = "not-a-remote-file"


class ChangeRefused(Refused):
    """The server refused a change; ``code`` is its own."""

    code = "change-refused"

    def __init__(self, refusal: Refusal) -> None:
        advice = _ADVICE.get(refusal.code, "Look at what is there: drystone ls")
        super().__init__(refusal.message, advice=advice)
        self.code = refusal.code


_NAME_SOMETHING: Final = "Name something in it: /NAME."
_CHANGED: Final = "Look at what is there now (drystone ls), and try again if you still want to."
_ADVICE: Final = {
    RefusalCode.CYCLE: "Choose a target outside of it.",
    RefusalCode.NAME_TAKEN: "Choose another name, or remove or rename the other one first.",
    RefusalCode.INVALID_NAME: "Choose another name.",
    RefusalCode.TOO_DEEP: "Choose a shorter name, or a place higher up.",
    RefusalCode.NOT_A_FOLDER: "Choose another folder.",
    RefusalCode.NOT_FOUND: _CHANGED,
    RefusalCode.STALE_BASE: _CHANGED,
    RefusalCode.PARENT_GONE: _CHANGED,
    RefusalCode.FOLDER_CHANGED: _CHANGED,
    RefusalCode.HISTORY_REWOUND: _CHANGED,
    RefusalCode.CONTENT_COLLECTED: "If you still have the file somewhere: drystone put FILE PATH.",
}


class EntryView(NamedTuple):
    """One entry of the server's tree, for people and programs."""

    path: str
    kind: str
    size_bytes: int
    mtime_ns: int
    mode: int
    rev: str
    file_id: str
    target: str


class TrashView(NamedTuple):
    """One deleted entry: as ``EntryView``, with when it was deleted, and from which folder.

    ``path`` is its name. ``folder`` is called by the names of today; ``""``: not known.
    """

    path: str
    kind: str
    size_bytes: int
    mtime_ns: int
    mode: int
    rev: str
    file_id: str
    target: str
    deleted_ns: int
    folder: str


class RevisionView(NamedTuple):
    """One record of an entry's history. ``gone``: the server does not have its content any more."""

    rev: str
    action: str
    path_name: str
    size_bytes: int
    at_ns: int
    account: str
    device: str
    gone: bool


def list_entries(settings: ClientSettings, path: str, url: str | None = None) -> list[EntryView]:
    """Returns what is in a remote folder, by name; for a file, the file itself."""

    async def run(remote: HttpRemote) -> list[EntryView]:
        names = split_path(path)
        found = await _get(remote, path) if names else None
        if found is not None and found.kind != Kind.FOLDER:
            return [_view(found, join_path(names))]
        folder_id = ROOT_ID if found is None else found.file_id
        listed = await remote.list_folder(folder_id)
        return [_view(s.entry, join_path((*names, s.entry.name))) for s in listed]

    return _with_remote(settings, url, run)


def put_file(
    settings: ClientSettings,
    source: Path,
    path: str,
    progress: Progress = lambda _: None,
    *,
    url: str | None = None,
) -> EntryView:
    """Sends a local file to a remote path (into it, if that is a folder); replaces a file there.

    What it replaces stays in the history. Folders above are made as needed.
    """

    async def run(remote: HttpRemote) -> EntryView:
        names = split_path(path)
        there = await _find(remote, names)
        if there is None or there.kind == Kind.FOLDER:
            if not names or there is not None:
                names = (*names, source.name)
                there = await _find(remote, names)
            if there is not None and there.kind == Kind.FOLDER:
                raise RemoteExists(
                    f"{join_path(names)} is a folder on the server",
                    advice="Choose another name, or a path in that folder.",
                )
        content, mode, mtime_ns = await send_file(remote, source, progress)
        change: Change
        if there is not None:
            change = Edit(there.file_id, there.rev, content, mode, mtime_ns)
            entry = there._replace(content=content, mode=mode, mtime_ns=mtime_ns)
        else:
            parent_id = await _make_folders(remote, names[:-1])
            new_id = make_file_ids(SystemClock().now_ns)()
            entry = Entry(
                new_id, parent_id, names[-1], Kind.FILE, content, mode, mtime_ns, "", Rev(0)
            )
            change = Create(entry)
        return _view(entry._replace(rev=await _commit(remote, change)), join_path(names))

    return _with_remote(settings, url, run)


def get_file(
    settings: ClientSettings,
    path: str,
    target: Path,
    progress: Progress = lambda _: None,
    *,
    url: str | None = None,
    rev: str = "",
) -> Path:
    """Fetches a remote file into a local one (into a folder under its name), or an older
    revision of it; returns where it is. What stands there is replaced once all is verified.
    """
    is_folder = False
    with suppress(OSError):  # Why nothing can be written there is told when it is written.
        is_folder = target.is_dir()

    async def run(remote: HttpRemote) -> Path:
        entry = await _get(remote, path)
        place = target / entry.name if is_folder else target
        if rev:
            entry = await _find_revision(remote, entry, parse_rev(rev), path)
        if entry.kind == Kind.FOLDER:
            raise NotAFile(
                f"{path} is a folder",
                advice=f"Fetch all of it with: drystone sync DIR --to {path} --once. Or see what is"
                f" in it: drystone ls {path}",
            )
        if entry.content is None:
            raise NotAFile(
                f"{path} is a symlink, to {quoted(entry.target)}",
                advice="Name the file that it points to, if that is on the server.",
            )
        await fetch_file(
            remote, entry.content, place, progress, mode=entry.mode, mtime_ns=entry.mtime_ns
        )
        return place

    return _with_remote(settings, url, run)


def find_size(settings: ClientSettings, path: str, url: str | None = None) -> int:
    """Returns the bytes of a remote file; 0 for anything else. For progress bars."""

    async def run(remote: HttpRemote) -> int:
        entry = await _get(remote, path)
        return 0 if entry.content is None else entry.content.size_bytes

    return _with_remote(settings, url, run)


def make_folder(settings: ClientSettings, path: str, url: str | None = None) -> EntryView:
    """Makes a remote folder and those above it; one that is there already is fine."""

    async def run(remote: HttpRemote) -> EntryView:
        names = split_path(path)
        if not names:
            raise TopFolder("/ is the top folder: it is always there", advice=_NAME_SOMETHING)
        await _make_folders(remote, names)
        return _view(await _get(remote, path), join_path(names))

    return _with_remote(settings, url, run)


def move_entry(
    settings: ClientSettings, path: str, target: str, url: str | None = None
) -> EntryView:
    """Moves or renames a remote entry; into ``target`` if that is a folder."""

    async def run(remote: HttpRemote) -> EntryView:
        entry = await _get(remote, path)
        names = split_path(target)
        there = await _find(remote, names)
        if not names or (there is not None and there.kind == Kind.FOLDER):
            parent_id = ROOT_ID if there is None else there.file_id
            names = (*names, entry.name)
        elif there is not None:
            raise RemoteExists(
                f"{target} is there already",
                advice="Remove it first, or choose another name.",
            )
        else:
            parent_id = await _make_folders(remote, names[:-1])
        await _commit(
            remote, Move(entry.file_id, parent_id, names[-1], entry.parent_id, entry.name)
        )
        return _view(entry, join_path(names))

    return _with_remote(settings, url, run)


def remove_entry(settings: ClientSettings, path: str, url: str | None = None) -> EntryView:
    """Deletes a remote entry, a folder with all below it. It can be restored."""

    async def run(remote: HttpRemote) -> EntryView:
        entry = await _get(remote, path)
        # Who types this means what is there now, whoever changed it last; it can be restored.
        await _commit(remote, Delete(entry.file_id, entry.rev), await remote.find_head())
        return _view(entry, path)

    return _with_remote(settings, url, run)


def list_history(settings: ClientSettings, path: str, url: str | None = None) -> list[RevisionView]:
    """Returns what happened to the entry at a remote path, newest first."""

    async def run(remote: HttpRemote) -> list[RevisionView]:
        entry = await _get(remote, path)
        return [
            RevisionView(
                format_rev(stored.entry.rev),
                Action(stored.action).name.lower(),
                stored.entry.name,
                _size_bytes(stored.entry),
                line.at_ns,
                line.account,
                line.device,
                line.gone,
            )
            for stored, line in await remote.list_revisions(entry.file_id)
        ]

    return _with_remote(settings, url, run)


def list_trash(settings: ClientSettings, url: str | None = None) -> list[TrashView]:
    """Returns the first few thousand deleted entries, newest first."""

    async def run(remote: HttpRemote) -> list[TrashView]:
        deleted, _ = await remote.list_trash("")
        return [
            TrashView(*_view(line.stored.entry, line.stored.entry.name), line.at_ns, line.folder)
            for line in deleted
        ]

    return _with_remote(settings, url, run)


def restore_entry(
    settings: ClientSettings, what: str, rev: str = "", url: str | None = None
) -> EntryView:
    """Brings back a deleted entry, or an earlier revision of a living one.

    Args:
        settings: Of this device.
        what: A remote path (with ``rev``), or the file id or name of something deleted.
        rev: The revision whose content is to be current again.
        url: Of the server.
    """

    async def run(remote: HttpRemote) -> EntryView:
        if rev:
            entry = await _get(remote, what)
            await _commit(remote, Restore(entry.file_id, parse_rev(rev)))
            return _view(await _get(remote, what), what)
        deleted, _ = await remote.list_deleted("")
        found = _find_deleted(deleted, what)
        await _commit(remote, Restore(found.file_id))
        return _view(found, found.name)

    return _with_remote(settings, url, run)


def _find_deleted(deleted: list[StoredEntry], what: str) -> Entry:
    """Returns what was deleted last under this name, or with this file id."""
    name = what.rstrip("/").rpartition("/")[2]
    for stored in deleted:
        if name in (stored.entry.name, format_id(stored.file_id)):
            return stored.entry
    raise RemoteNotFound(
        f"nothing called {quoted(name)} was deleted", advice="See what was: drystone trash"
    )


async def _find_revision(remote: HttpRemote, entry: Entry, rev: Rev, path: str) -> Entry:
    for stored, _ in await remote.list_revisions(entry.file_id):
        if stored.entry.rev == rev:
            return stored.entry
    raise RemoteNotFound(
        f"{path} has no revision {format_rev(rev)}",
        advice=f"See which it has: drystone history {path}",
    )


async def _find(remote: HttpRemote, names: tuple[str, ...]) -> Entry | None:
    """Returns the living entry at a path; None if there is none, or for the top folder."""
    if not names:
        return None
    try:
        return (await remote.find_entry(join_path(names))).entry
    except DrystoneError as error:
        if error.code in ("entry-not-found", "not-found"):
            return None
        raise


async def _get(remote: HttpRemote, path: str) -> Entry:
    names = split_path(path)
    found = await _find(remote, names)
    if found is None:
        if not names:
            raise TopFolder(
                "/ is the top folder itself, which stays as it is", advice=_NAME_SOMETHING
            )
        raise RemoteNotFound(
            f"there is nothing at {path} on the server", advice="See what is there: drystone ls /"
        )
    return found


async def _make_folders(remote: HttpRemote, names: tuple[str, ...]) -> FileId:
    """Returns the id of a remote folder; makes it, and those above it, where missing."""
    parent_id = ROOT_ID
    new_id = make_file_ids(SystemClock().now_ns)
    for depth in range(1, len(names) + 1):
        found = await _find(remote, names[:depth])
        if found is None:
            entry = Entry(
                new_id(), parent_id, names[depth - 1], Kind.FOLDER, None, 0o755, 0, "", Rev(0)
            )
            found = entry._replace(rev=await _commit(remote, Create(entry)))
        if found.kind != Kind.FOLDER:
            raise RemoteExists(
                f"{join_path(names[:depth])} is a file on the server, and cannot hold anything",
                advice="Choose another folder, or move the file away: drystone mv",
            )
        parent_id = found.file_id
    return parent_id


async def _commit(remote: HttpRemote, change: Change, seen_seq: Seq = _SEEN_NOTHING) -> Rev:
    """Commits one change and returns the entry's rev then.

    Raises:
        ChangeRefused: The server said no.
    """
    result = await remote.commit([change], seen_seq, secrets.token_hex(16))
    outcome = result.outcomes[0]
    if isinstance(outcome, Refusal):
        raise ChangeRefused(outcome)
    return outcome.rev


def _view(entry: Entry, path: str) -> EntryView:
    return EntryView(
        path,
        Kind(entry.kind).name.lower(),
        _size_bytes(entry),
        entry.mtime_ns,
        entry.mode,
        format_rev(entry.rev),
        format_id(entry.file_id),
        entry.target,
    )


def _size_bytes(entry: Entry) -> int:
    return 0 if entry.content is None else entry.content.size_bytes


def _with_remote(
    settings: ClientSettings, url: str | None, work: Callable[[HttpRemote], Awaitable[T]]
) -> T:
    async def run() -> T:
        async with _opened(settings, url) as remote:
            return await work(remote)

    return asyncio.run(run())


@asynccontextmanager
async def _opened(settings: ClientSettings, url: str | None) -> AsyncIterator[HttpRemote]:
    credential = find_credential(settings.credentials_path, url)
    session = HttpSession(credential.url, credential.token)
    remote = HttpRemote(
        session,
        NamespaceId(credential.namespace_id),
        is_direct=settings.transfer != "relay",
    )
    try:
        yield remote
    finally:
        await remote.close()
