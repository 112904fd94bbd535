# SPDX-License-Identifier: Apache-2.0
"""Pull: what changed on the server becomes the remote tree.

    page = await pull.read(pull.find_cursor())   # State, then server
    pulled = pull.note(page)                     # State
    while folder := pull.find_unlisted():        # State
        entries, after = await pull.list_below(folder)   # server
        pull.note_listed(folder, entries, after)         # State

The cursor is noted with what was read up to it, so both survive together or not at all. A
folder that lives again, or comes from outside, is listed; until then it is on a list of its
own, which survives too.
"""

from typing import Final, NamedTuple

from drystone.client.ports import Remote, RemotePage, State
from drystone.client.steps.pull.selection import UNLISTED_KEY, Selection
from drystone.core.errors import Refused, Unavailable
from drystone.core.ids import ROOT_ID, FileId, Seq
from drystone.core.journal.cursor import ForgedCursor
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Kind

CURSOR_KEY: Final = "cursor"
SEEN_SEQ_KEY: Final = "seen_seq"
_RESET_KEY: Final = "reset"
_NOT_FOUND: Final = "entry-not-found"


class LeadsNowhere(Unavailable):
    """The server sends its reader in a circle."""

    code = "leads-nowhere"


class Pulled(NamedTuple):
    """What a page brought.

    Attributes:
        changed: Ids of entries that may differ from synced now, in the page's order.
        has_more: Another page follows at once.
    """

    changed: tuple[FileId, ...]
    has_more: bool


class Pull:
    """Reads the server's changes.

    Args:
        remote: The server.
        state: Its trees, and what of the server is not selected here.
    """

    def __init__(self, remote: Remote, state: State) -> None:
        self._remote = remote
        self._state = state
        self._selection = Selection(state)
        self._seen: set[FileId] | None = None
        """While everything is read anew: what lives on the server."""

    def find_cursor(self) -> str:
        """Returns where to read on; ``""``: from the beginning. Uses State."""
        if self._seen is None and self._state.get(_RESET_KEY):
            # What was seen before the program ended is forgotten, so nothing may count as
            # unseen: once more from the beginning.
            self._begin_anew()
        return self._state.get(CURSOR_KEY)

    def find_seen_seq(self) -> Seq:
        """Returns the seq up to which the server's tree is known. Uses State."""
        return Seq(int(self._state.get(SEEN_SEQ_KEY) or 0))

    async def read(self, cursor: str) -> RemotePage:
        """Returns the next page of changes; says ``reset`` if the server cannot go on from the
        cursor, for whatever reason: a server with another key takes ours for forged.

        Raises:
            LeadsNowhere: The answer would be asked for again and again.
        """
        try:
            page = await self._remote.read_changes(cursor, None)
        except Refused as error:
            if not cursor or error.code != ForgedCursor.code:
                raise
            return RemotePage([], [], "", Seq(0), has_more=False, reset=True)
        if (page.reset and not cursor) or (page.has_more and page.cursor == cursor):
            raise LeadsNowhere(
                "the server's answers do not lead to the end of its changes; nothing was changed"
                " here",
                advice="Tell its operator, or check whether the URL is right.",
            )
        return page

    def note(self, page: RemotePage) -> Pulled:
        """Tells State what a page says. Uses State."""
        state = self._state
        if page.reset:
            self._begin_anew()
            return Pulled((), has_more=True)
        unlisted = self._unlisted()
        for stored in page.entries:
            entry = stored.entry
            if self._seen is not None and not stored.is_deleted:
                self._seen.add(entry.file_id)
            if stored.is_deleted:
                self._selection.note_gone(entry.file_id)
            if self._selection.is_of_no_interest(stored):
                continue
            if entry.kind == Kind.FOLDER and self._is_to_be_listed(stored):
                unlisted.append(entry.file_id)
            state.note_remote(stored)
        for file_id in page.gone:
            self._note_gone(file_id, page.head)
        state.put(CURSOR_KEY, page.cursor)
        self._put_unlisted(unlisted)
        if not page.has_more:
            state.put(SEEN_SEQ_KEY, str(page.head))
            if self._seen is not None:
                self._note_unseen(page.head)
        changed = [stored.entry.file_id for stored in page.entries]
        changed += page.gone
        return Pulled(
            tuple(file_id for file_id in changed if file_id in state.remote_changes), page.has_more
        )

    def find_unlisted(self) -> FileId | None:
        """Returns a folder whose entries are not known yet, or None. Uses State."""
        unlisted = self._unlisted()
        return unlisted[0] if unlisted else None

    async def list_below(self, folder_id: FileId, after: str) -> tuple[list[StoredEntry], str]:
        """Returns a page of all below a folder, and where to go on.

        Nothing, if it was deleted since it was told of: the changes to come tell that as well.
        """
        try:
            return await self._remote.list_below(folder_id, after)
        except Refused as error:
            if error.code != _NOT_FOUND:
                raise
            return [], ""

    def note_listed(self, folder_id: FileId, entries: list[StoredEntry], after: str) -> Pulled:
        """Tells State what a listing says. Uses State."""
        for stored in entries:
            if not self._selection.is_of_no_interest(stored):
                self._state.note_remote(stored)
        if not after:
            self._put_unlisted([other for other in self._unlisted() if other != folder_id])
        changed = (stored.entry.file_id for stored in entries)
        return Pulled(
            tuple(file_id for file_id in changed if file_id in self._state.remote_changes),
            bool(after),
        )

    # --- inside ------------------------------------------------------------------------------

    def _is_to_be_listed(self, stored: StoredEntry) -> bool:
        """Tells whether a folder may hold what the feed does not say."""
        if self._seen is not None or not self._state.get(CURSOR_KEY):
            return False  # Everything is being read: what is below comes by itself.
        if stored.entry.file_id in self._selection.ids:
            return False
        if stored.action == Action.RESTORE:
            return True
        # It came from outside, whatever was done to it since.
        is_known = self._state.remote.find(stored.entry.file_id) is not None
        return stored.action in (Action.MOVE, Action.EDIT) and not is_known

    def _note_gone(self, file_id: FileId, head: Seq) -> None:
        self._selection.note_gone(file_id)
        entry = self._state.remote.find(file_id)
        if entry is not None:
            self._state.note_remote(StoredEntry(entry, head, Action.DELETE))

    def _begin_anew(self) -> None:
        """The cursor cannot be continued: nothing known of the server counts any longer."""
        self._state.forget_remote()
        self._state.put(_RESET_KEY, "1")
        self._state.put(CURSOR_KEY, "")
        self._put_unlisted([])
        self._seen = set()

    def _note_unseen(self, head: Seq) -> None:
        """What is synced and was not seen on the server is gone there."""
        assert self._seen is not None
        for file_id in self._selection.ids - self._seen:
            self._selection.note_gone(file_id)
        waiting = [ROOT_ID]
        while waiting:
            for row in self._state.synced_rows(waiting.pop()).values():
                entry = row.entry
                if entry.file_id not in self._seen:
                    self._state.note_remote(StoredEntry(entry, head, Action.DELETE))
                elif entry.kind == Kind.FOLDER:
                    waiting.append(entry.file_id)
        self._seen = None
        self._state.put(_RESET_KEY, "")

    def _unlisted(self) -> list[FileId]:
        text = self._state.get(UNLISTED_KEY)
        return [FileId(bytes.fromhex(part)) for part in text.split(",")] if text else []

    def _put_unlisted(self, folders: list[FileId]) -> None:
        distinct = dict.fromkeys(folders)
        self._state.put(UNLISTED_KEY, ",".join(folder_id.hex() for folder_id in distinct))
