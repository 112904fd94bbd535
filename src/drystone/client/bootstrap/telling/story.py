# SPDX-License-Identifier: Apache-2.0
"""Stories: which device did what to a path, and when, as the server's journal has it.

A path's story is that of the entry which stands there, or stood there before it was deleted; and
of the folders above it, as far as they were moved, deleted or restored.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from drystone.client.adapters.remote_http import HttpRemote
from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap.telling.places import find_remote, is_text
from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, FileId, format_id, format_rev, parse_file_id
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.limits import DEPTH_MAX
from drystone.core.names.conflicted import is_conflicted_name
from drystone.core.tree.entry import Entry, Kind

LINES_MAX: Final = 20
"""Lines of a story that is not asked for wholly."""

_ABOVE_MAX: Final = 16
_DELETED_PAGES_MAX: Final = 4
_MOVED_MAX: Final = 50
"""Entries that are asked whether they once stood at a path."""


class StoryLine(NamedTuple):
    """One thing that happened.

    Attributes:
        at_ns: When the server took it.
        account: Who.
        device: On which device.
        action: ``create``, ``edit``, ``move``, ``delete`` or ``restore``.
        what: The same in words.
        about: ``""``: the entry itself; else the folder above it that it happened to.
        rev: The revision that it left.
    """

    at_ns: int
    account: str
    device: str
    action: str
    what: str
    about: str
    rev: str


class Told(NamedTuple):
    """A story.

    Attributes:
        lines: Newest first.
        more_count: How many older ones there are.
        is_living: The entry stands on the server now. None: the server never had it.
        deleted_with: The folder that was deleted with it, if it was not deleted by itself.
        moved_to: Where it is now, from the top of the tree, if it was once at the path that was
            asked for; ``""``: it is there, or not known to have been.
    """

    lines: list[StoryLine]
    more_count: int
    is_living: bool | None
    deleted_with: str = ""
    moved_to: str = ""


async def tell_story(
    remote: HttpRemote, root: RootLine, inside: str, known_id: str, lines_max: int
) -> Told:
    """Returns the story of a path.

    Args:
        remote: The server.
        root: The synced folder.
        inside: The path below it.
        known_id: The file id that this device knows it by; ``""``: it knows none.
        lines_max: At most so many lines.

    Raises:
        Unavailable: The server is away.

    Cost: a request for the entry and each folder above it; a few more if it is deleted; if nothing
    is found so, a listing of the whole tree and up to 50 more.
    """
    teller = _Teller(remote, root)
    file_id, is_living, deleted_with = await teller.find(inside, known_id)
    moved_to = ""
    if file_id is None:
        file_id, moved_to = await teller.find_moved(inside)
        is_living = True
    if file_id is None:
        return Told([], 0, None)
    lines = await teller.list_own(file_id, deleted_with)
    for folder_id in await teller.list_above(file_id):
        lines += await teller.list_moves(folder_id)
    lines.sort(key=lambda line: -line.at_ns)
    more_count = max(0, len(lines) - lines_max)
    return Told(lines[:lines_max], more_count, is_living, deleted_with, moved_to)


class _Teller:
    """Asks for histories, each once."""

    def __init__(self, remote: HttpRemote, root: RootLine) -> None:
        self._remote = remote
        self._root = root
        self._top_id = FileId(root.folder_id)
        self._histories: dict[FileId, Sequence[tuple[StoredEntry, Any]]] = {}

    async def find(self, inside: str, known_id: str) -> tuple[FileId | None, bool | None, str]:
        """Returns who it is, whether it lives, and with which folder it was deleted if so."""
        found = await find_remote(self._remote, self._root, inside)
        if found is not None and known_id in ("", format_id(found.entry.file_id)):
            return found.entry.file_id, True, ""
        if known_id:
            file_id = parse_file_id(known_id)
            history = await self._history(file_id)
            if history:
                return file_id, not history[0][0].is_deleted, ""
        if found is not None:
            return found.entry.file_id, True, ""
        return await self._find_deleted(inside)

    async def _find_deleted(self, inside: str) -> tuple[FileId | None, bool | None, str]:
        """Looks for what was deleted last at a path, or for the folder that went with it."""
        if not is_text(inside):
            return None, None, ""
        names = inside.split("/")
        living = len(names) - 1
        folder_id = self._top_id
        while living:
            above = await find_remote(self._remote, self._root, "/".join(names[:living]))
            if above is not None:
                folder_id = above.entry.file_id
                break
            living -= 1
        deleted: dict[tuple[FileId, str], Entry] = {}
        after = ""
        for _ in range(_DELETED_PAGES_MAX):
            page, after = await self._remote.list_deleted(after)
            for stored in page:
                deleted.setdefault((stored.entry.parent_id, stored.entry.name), stored.entry)
            if not after:
                break
        reached: Entry | None = None
        depth = living
        for name in names[living:]:
            entry = deleted.get((folder_id, name))
            if entry is None:
                break
            reached, folder_id, depth = entry, entry.file_id, depth + 1
        if reached is None:
            return None, None, ""
        folder = "/".join(names[:depth]) if depth < len(names) else ""
        return reached.file_id, False, folder

    async def find_moved(self, inside: str) -> tuple[FileId | None, str]:
        """Looks for what once stood at a path, or for a folder above it that did, and was moved or
        renamed since; returns who it is, and where it is now.

        Only what was moved last of all that ever happened to it is found: folders always are.
        """
        if not is_text(inside):
            return None, ""
        names = inside.split("/")
        depth = len(names) - 1
        parent_id = self._top_id
        while depth:
            above = await find_remote(self._remote, self._root, "/".join(names[:depth]))
            if above is not None:
                parent_id = above.entry.file_id
                break
            depth -= 1
        name, rest = names[depth], names[depth + 1 :]
        for file_id in await self._list_moved():
            history = await self._history(file_id)
            places = {(stored.entry.parent_id, stored.entry.name) for stored, _ in history}
            if (parent_id, name) not in places:
                continue
            place = await self._find_path(file_id)
            found: FileId | None = file_id
            for below in rest:
                listed = [] if found is None else await self._remote.list_folder(found)
                found = next((s.entry.file_id for s in listed if s.entry.name == below), None)
            if found is not None:
                return found, "/".join([place, *rest])
        return None, ""

    async def _list_moved(self) -> list[FileId]:
        """Returns what was moved or renamed last, newest first."""
        moved: list[StoredEntry] = []
        after = ""
        while True:
            page, after = await self._remote.list_below(self._top_id, after)
            moved += [stored for stored in page if stored.action == Action.MOVE]
            if not after:
                break
        moved.sort(key=lambda stored: -stored.seq)
        return [stored.entry.file_id for stored in moved[:_MOVED_MAX]]

    async def list_own(self, file_id: FileId, about: str) -> list[StoryLine]:
        """Returns what happened to an entry itself."""
        history = await self._history(file_id)
        lines = []
        for index, (stored, line) in enumerate(history):
            before = history[index + 1][0].entry if index + 1 < len(history) else None
            what = await self._describe(stored, before)
            lines.append(_line(stored, line, what, about))
        return lines

    async def list_above(self, file_id: FileId) -> list[FileId]:
        """Returns the folders above an entry, as they are now, the nearest first."""
        found: list[FileId] = []
        history = await self._history(file_id)
        while history and len(found) < _ABOVE_MAX:
            folder_id = history[0][0].entry.parent_id
            if folder_id in (ROOT_ID, self._top_id) or folder_id in found:
                break
            found.append(folder_id)
            history = await self._history(folder_id)
        return found

    async def list_moves(self, folder_id: FileId) -> list[StoryLine]:
        """Returns what happened to a folder that concerns all below it."""
        history = await self._history(folder_id)
        if not history:
            return []
        about = await self._find_path(folder_id)
        lines = []
        for index, (stored, line) in enumerate(history):
            if stored.action in (Action.MOVE, Action.DELETE, Action.RESTORE):
                before = history[index + 1][0].entry if index + 1 < len(history) else None
                what = await self._describe(stored, before)
                lines.append(_line(stored, line, what, about))
        return lines

    async def _describe(self, stored: StoredEntry, before: Entry | None) -> str:
        """Returns a record in words; ``before`` is the state that it changed."""
        entry = stored.entry
        match stored.action:
            case Action.CREATE if is_conflicted_name(entry.name):
                return f"kept as a conflicted copy{_amount(entry)}"
            case Action.CREATE:
                return f"made{_amount(entry)}"
            case Action.EDIT:
                return _describe_edit(entry, before)
            case Action.MOVE:
                return await self._describe_move(entry, before)
            case Action.DELETE:
                return "deleted"
            case _:
                return f"restored{_amount(entry)}"

    async def _describe_move(self, entry: Entry, before: Entry | None) -> str:
        if before is None:
            return f"moved, to {entry.name}"
        if before.parent_id == entry.parent_id:
            return f"renamed from {before.name} to {entry.name}"
        source = await self._find_path(before.parent_id)
        target = await self._find_path(entry.parent_id)
        return f"moved from {_join(source, before.name)} to {_join(target, entry.name)}"

    async def _find_path(self, folder_id: FileId) -> str:
        """Returns where a folder is by now, from the top of the tree."""
        names: list[str] = []
        while folder_id != ROOT_ID and len(names) < DEPTH_MAX:
            history = await self._history(folder_id)
            if not history:
                return "?"
            entry = history[0][0].entry
            names.append(entry.name)
            folder_id = entry.parent_id
        return "/" + "/".join(reversed(names))

    async def _history(self, file_id: FileId) -> Sequence[tuple[StoredEntry, Any]]:
        """Returns an entry's records; none if the server never had it."""
        if file_id not in self._histories:
            try:
                self._histories[file_id] = await self._remote.list_revisions(file_id)
            except Refused as error:
                if error.code not in ("entry-not-found", "not-found"):
                    raise
                self._histories[file_id] = []
        return self._histories[file_id]


def _describe_edit(entry: Entry, before: Entry | None) -> str:
    if before is None:
        return f"changed{_amount(entry)}"
    if entry.content == before.content and entry.target == before.target:
        if entry.mode != before.mode:
            return f"permissions changed from {before.mode:03o} to {entry.mode:03o}"
        return "time changed"
    was = "" if before.content is None else f"{before.content.size_bytes:,} to "
    is_now = "" if entry.content is None else f", {was}{entry.content.size_bytes:,} bytes"
    return f"changed{is_now}"


def _amount(entry: Entry) -> str:
    if entry.content is not None:
        return f", {entry.content.size_bytes:,} bytes"
    return f" as a {entry.kind.name.lower()}" if entry.kind != Kind.FILE else ""


def _line(stored: StoredEntry, line: Any, what: str, about: str) -> StoryLine:
    return StoryLine(
        line.at_ns,
        line.account,
        line.device,
        Action(stored.action).name.lower(),
        what,
        about,
        format_rev(stored.entry.rev) if stored.entry.rev else "",
    )


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"
