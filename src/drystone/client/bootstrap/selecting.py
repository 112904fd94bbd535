# SPDX-License-Identifier: Apache-2.0
"""Selecting: which folders of the server are on this device, looked at and changed."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from drystone.client.adapters.credentials import find_credential
from drystone.client.adapters.remote_http import HttpRemote, HttpSession
from drystone.client.adapters.roots import RootLine, save_root
from drystone.client.bootstrap.inspecting import Opened, with_opened
from drystone.client.bootstrap.roots import NotARemoteFolder, get_root
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.loop.parts import World
from drystone.client.ports import State
from drystone.client.settings import ClientSettings
from drystone.client.steps.pull import Selection
from drystone.client.steps.scan import compare_rules
from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, FileId, NamespaceId, Rev, Seq
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.names.path import split_path
from drystone.core.tree.entry import Entry, Kind


class NotUnselected(Refused):
    """A folder is to be selected that is not left out."""

    code = "not-unselected"


class ChangesNotSent(Refused):
    """A folder is to leave this device while it holds what the server does not have yet."""

    code = "changes-not-sent"


class FolderStandsHere(Refused):
    """Something stands under the name of a folder that is to be left out, and is not synced."""

    code = "folder-stands-here"


class UnselectedView(NamedTuple):
    """A folder that is not on this device. ``path`` is inside the synced folder."""

    path: str
    file_id: str


class LeavingView(NamedTuple):
    """What leaves the disk with a folder.

    Attributes:
        path: Of the folder, inside the synced folder.
        entries_count: What the server has of it, and keeps.
        left_out: What ignore rules leave out in it, and so only this disk has: see
            ``client.steps.scan.Group``.
        problem_paths: What could not be synced in it.
    """

    path: str
    entries_count: int
    left_out: Mapping[str, Any]
    problem_paths: list[str]

    @property
    def has_own(self) -> bool:
        """True if this disk has something in it that the server has not."""
        return bool(self.problem_paths or self.left_out["files_count"])


Chosen = Sequence[StoredEntry]
"""Folders of the server, as they are there."""


def list_unselected(settings: ClientSettings, directory: Path) -> list[UnselectedView]:
    """Returns the folders that are not on this device, by path."""
    root = get_root(settings, directory)
    found = _ask(settings, "selection", folder=root.path)
    if found is None:
        found = {"lines": with_opened(settings, root, lambda o: tell_unselected(o.state))}
    return [UnselectedView(**line) for line in found["lines"]]


def find_folders(settings: ClientSettings, directory: Path, paths: Sequence[str]) -> Chosen:
    """Looks up folders on the server.

    Args:
        settings: Of this device.
        directory: The synced folder.
        paths: Inside it, or of where they stand on this device.

    Raises:
        NotARemoteFolder: There is no such folder on the server.
        Unavailable: The server is away.
    """
    root = get_root(settings, directory)
    inside = [_inside(root, path) for path in paths]
    return asyncio.run(_find_all(settings, root, inside)) if inside else []


def find_unselected(
    settings: ClientSettings, directory: Path, paths: Sequence[str]
) -> list[FileId]:
    """Returns the ids of folders that are left out, by their paths or ids.

    Raises:
        NotUnselected: One of them is not.
    """
    root = get_root(settings, directory)
    lines = list_unselected(settings, directory) if paths else []
    found: list[FileId] = []
    for path in paths:
        line = next((x for x in lines if x.path == _inside(root, path) or x.file_id == path), None)
        if line is None:
            raise NotUnselected(
                f"{path} is not left out here",
                advice="See what is with: drystone select DIR",
            )
        found.append(FileId(bytes.fromhex(line.file_id)))
    return found


def examine_folders(
    settings: ClientSettings, directory: Path, folders: Chosen
) -> list[LeavingView]:
    """Returns what would leave this disk with folders. Nothing is changed.

    Raises:
        ChangesNotSent: The server does not have all of it as it is.
        FolderStandsHere: Something stands under a folder's name that is not it.
    """
    root = get_root(settings, directory)
    if not folders:
        return []
    found = _ask(settings, "examine-folders", folder=root.path, without=to_lines(folders))
    if found is None:
        found = {"lines": with_opened(settings, root, lambda o: examine_open(o, folders))}
    return [LeavingView(**line) for line in found["lines"]]


def choose_folders(
    settings: ClientSettings, directory: Path, without: Chosen, wanted: Collection[FileId]
) -> bool:
    """Takes folders off this device, or has them come again. On the server nothing changes.

    Returns whether a daemon does it now; otherwise the next sync does.

    Raises:
        TooManyUnselected: Nothing was changed.
    """
    root = get_root(settings, directory)
    ids = [file_id.hex() for file_id in wanted]
    asked = {"without": to_lines(without), "wanted": ids}
    if _ask(settings, "choose-folders", folder=root.path, **asked) is not None:
        return True

    def change(opened: Opened) -> None:
        choose_open(settings, root, opened.state, without, wanted)

    with_opened(settings, root, change)
    return False


# --- for a folder that is open ------------------------------------------------------------------


def tell_unselected(state: State) -> list[dict[str, Any]]:
    """As ``list_unselected``. Uses State."""
    paths = Selection(state).list_paths()
    return [
        UnselectedView(path, file_id.hex())._asdict()
        for file_id, path in sorted(paths.items(), key=lambda item: item[1])
    ]


def examine_open(opened: Opened | World, folders: Chosen) -> list[dict[str, Any]]:
    """As ``examine_folders``. Uses State and disk."""
    disk, state = opened.disk, opened.state
    selection, found = Selection(state), []
    for stored in folders:
        file_id = stored.file_id
        path = state.path_of(state.local, file_id)
        if path is None:
            _check_free(opened, stored)
            continue
        unsent_count = selection.count_unsent(file_id)
        if unsent_count:
            raise ChangesNotSent(
                f"{unsent_count:,} changes in {path!r} are not on the server yet",
                advice="Wait until `drystone status` says that all is in step, and try again.",
            )
        left_out = compare_rules(disk, state, path, None).left_out
        problems = [row.path for row in state.problems() if f"{row.path}/".startswith(f"{path}/")]
        count = state.count_below(file_id)
        found.append(LeavingView(path, count, asdict(left_out), problems)._asdict())
    return found


def choose_open(
    settings: ClientSettings,
    root: RootLine,
    state: State,
    without: Chosen,
    wanted: Collection[FileId],
) -> RootLine:
    """As ``choose_folders``; returns the changed line of the list of roots. Uses State.

    What leaves is noted in the list of roots first, what comes again in the state first: whatever
    happens in between, nothing that was taken off the disk looks deleted.
    """
    selection = Selection(state)
    if selection.is_outdated(root.selects_count):
        # It is dropped when it is opened to sync.
        kept = {*root.unselected, *(stored.file_id for stored in without)} - set(wanted)
        after = _with_selection(root, sorted(kept), root.selects_count + 1)
        save_root(settings.roots_path, after)
        return after
    selection.unselect(without)
    more = dict.fromkeys((*root.unselected, *(stored.file_id for stored in without)))
    save_root(settings.roots_path, _with_selection(root, more, root.selects_count))
    state.save()
    selection.select(wanted)
    state.save()
    after = _with_selection(root, sorted(selection.ids), selection.selects_count)
    save_root(settings.roots_path, after)
    return after


def to_lines(folders: Chosen) -> list[dict[str, Any]]:
    """Returns folders as the daemon is told of them."""
    return [
        {
            "file_id": stored.file_id.hex(),
            "parent_id": stored.entry.parent_id.hex(),
            "name": stored.entry.name,
            "mode": stored.entry.mode,
            "rev": stored.entry.rev,
            "seq": stored.seq,
        }
        for stored in folders
    ]


def from_lines(lines: Sequence[Mapping[str, Any]]) -> Chosen:
    """Undoes ``to_lines``."""
    return [
        StoredEntry(
            Entry(
                FileId(bytes.fromhex(line["file_id"])),
                FileId(bytes.fromhex(line["parent_id"])),
                str(line["name"]),
                Kind.FOLDER,
                None,
                int(line["mode"]),
                0,
                "",
                Rev(int(line["rev"])),
            ),
            Seq(int(line["seq"])),
            Action.EDIT,
        )
        for line in lines
    ]


# --- inside -------------------------------------------------------------------------------------


def _ask(settings: ClientSettings, command: str, **asked: object) -> dict[str, Any] | None:
    """Returns the daemon's answer; None if none keeps the folder."""
    try:
        return ask_daemon(settings.socket_path, command, None, **asked)
    except DaemonRefused as error:
        if error.code != "no-such-root":
            raise
    except DaemonAway:
        pass
    return None


def _with_selection(root: RootLine, ids: Collection[bytes], selects_count: int) -> RootLine:
    changes = {"unselected": tuple(ids), "selects_count": selects_count}
    fields = {name: getattr(root, name) for name in root.__struct_fields__}
    return RootLine(**{**fields, **changes})


def _inside(root: RootLine, path: str) -> str:
    """Returns a path inside a root, from one inside it or one of this device."""
    given = Path(path).expanduser()
    if given.is_absolute() and given.is_relative_to(root.path):
        path = given.relative_to(root.path).as_posix()
    return "/".join(part for part in PurePosixPath(path).parts if part not in ("/", "."))


def _check_free(opened: Opened | World, stored: StoredEntry) -> None:
    """A folder of this name that is not that of the server would be set aside as a conflict."""
    state, entry = opened.state, stored.entry
    parent_id = entry.parent_id
    above = "" if parent_id == ROOT_ID else state.path_of(state.local, parent_id)
    if above is None:
        return
    path = f"{above}/{entry.name}" if above else entry.name
    if opened.disk.find_stat(path) is not None:
        raise FolderStandsHere(
            f"{path!r} stands here, and was never in step with that of the server",
            advice="Sync it first and leave it out then; or move it away.",
        )


async def _find_all(
    settings: ClientSettings, root: RootLine, paths: Sequence[str]
) -> list[StoredEntry]:
    credential = find_credential(settings.credentials_path, root.url)
    session = HttpSession(credential.url, credential.token)
    remote = HttpRemote(session, NamespaceId(root.namespace_id))
    try:
        return [await _find(remote, FileId(root.folder_id), path) for path in paths]
    finally:
        await session.close()


async def _find(remote: HttpRemote, top_id: FileId, path: str) -> StoredEntry:
    folder_id, found = top_id, None
    for name in split_path(f"/{path}"):
        listed = await remote.list_folder(folder_id)
        found = next((stored for stored in listed if stored.entry.name == name), None)
        if found is None or found.entry.kind != Kind.FOLDER:
            raise NotARemoteFolder(
                f"{path!r} is no folder on the server", advice="See: drystone ls"
            )
        folder_id = found.file_id
    if found is None:
        raise NotARemoteFolder(
            "all of a synced folder cannot be left out",
            advice="To end keeping it in step: drystone forget DIR",
        )
    if found.entry.parent_id == top_id:
        # The loop knows the folder that is mirrored as the root.
        found = found._replace(entry=found.entry._replace(parent_id=ROOT_ID))
    return found
