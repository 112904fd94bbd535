# SPDX-License-Identifier: Apache-2.0
"""Pull: what changed on the server becomes the remote tree.

    page = await pull.read(pull.find_cursor())   # State, then server
    pulled = pull.note(page)                     # State
    while folder := pull.find_unlisted():        # State
        entries, after = await pull.list_below(folder)   # server
        pull.note_listed(folder, entries, after)         # State

The cursor is noted with what was read up to it, so both survive together or not at all. A
folder that lives again, or comes from outside, is listed; until then it is on a list of its
own, which survives too. When the cursor cannot be gone on from, everything is read anew, and
``reread`` compares it with what was agreed on.
"""

from typing import Final, NamedTuple

from drystone.client.ports import Remote, RemotePage, State, SyncedRow
from drystone.client.steps.pull.reread import Reread
from drystone.client.steps.pull.selection import UNLISTED_KEY, Selection
from drystone.core.errors import Refused, Unavailable
from drystone.core.ids import ROOT_ID, FileId, Seq
from drystone.core.journal.cursor import ForgedCursor
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Kind

CURSOR_KEY: Final = "cursor"
SEEN_SEQ_KEY: Final = "seen_seq"
RESET_KEY: Final = "reset"
"""While everything is read anew: the cursor that could not be continued."""
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
        self._reread: Reread | None = None
        """While everything is read anew."""

    def find_cursor(self) -> str:
        """Returns where to read on; ``""``: from the beginning. Uses State."""
        if self._reread is None and (given_up := self._state.get(RESET_KEY)):
            # What was told before the program ended is forgotten: once more from the beginning.
            # How far the server was put back, if it was, it tells of the cursor of that time.
            return given_up
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
            # Of which journal we know nothing: it may be an older one, or quite another.
            return RemotePage([], [], "", Seq(0), has_more=False, reset=True, rewound_to=Seq(0))
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
        if page.reset or (self._reread is None and state.get(RESET_KEY)):
            self._begin_anew(page.rewound_to)
            return Pulled((), has_more=True)
        unlisted = self._unlisted()
        for stored in page.entries:
            entry = stored.entry
            if stored.is_deleted:
                self._selection.note_gone(entry.file_id)
            if self._selection.is_of_no_interest(stored):
                continue
            if entry.kind == Kind.FOLDER and self._is_to_be_listed(stored):
                unlisted.append(entry.file_id)
            self._note_told(stored)
        for file_id in page.gone:
            self._note_gone(file_id, page.head)
        state.put(CURSOR_KEY, page.cursor)
        self._put_unlisted(unlisted)
        if not page.has_more:
            state.put(SEEN_SEQ_KEY, str(page.head))
            if self._reread is not None:
                self._end_rereading(self._reread)
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
        if self._reread is not None or not self._state.get(CURSOR_KEY):
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
            self._note_told(StoredEntry(entry, head, Action.DELETE))

    def _note_told(self, stored: StoredEntry) -> None:
        if self._reread is not None:
            self._reread.note(stored)
            return
        if stored.is_deleted:
            self._note_known_there(stored)
        self._state.note_remote(stored)

    def _note_known_there(self, stored: StoredEntry) -> None:
        """Notes that the server knew what stands here when somebody deleted it: the answer to
        this device's commit was lost, or another one had made the same. Then it is no change of
        ours that has to win over the deletion.
        """
        state, entry = self._state, stored.entry
        change = state.local_changes.get(entry.file_id)
        if change is None or change.entry is None or change.stat is None:
            return
        here = change.entry
        if not (
            here.kind is not Kind.FOLDER
            and here.is_same_state(entry)
            and here.is_at_same_place(entry)
            and (entry.parent_id == ROOT_ID or state.find_synced_row(entry.parent_id))
        ):
            return
        row = SyncedRow(here._replace(rev=entry.rev), change.stat, Seq(stored.seq - 1))
        state.settle(entry.file_id, row)

    def _begin_anew(self, rewound_to: Seq | None) -> None:
        """The cursor cannot be continued: nothing known of the server counts any longer."""
        state = self._state
        if not state.get(RESET_KEY):
            state.put(RESET_KEY, state.get(CURSOR_KEY))
        if self._reread is not None and self._reread.rewound_to is not None:
            # Put back twice: what was told in between is not known any longer either.
            before = self._reread.rewound_to
            rewound_to = before if rewound_to is None else min(before, rewound_to)
        state.forget_remote()
        state.put(CURSOR_KEY, "")
        state.put(SEEN_SEQ_KEY, "0")
        self._put_unlisted([])
        self._reread = Reread(state, rewound_to)

    def _end_rereading(self, reread: Reread) -> None:
        """All was told: an unselected folder that was not is in nobody's way any more."""
        for file_id in self._selection.ids - reread.told:
            self._selection.note_gone(file_id)
        reread.end()
        self._reread = None
        self._state.put(RESET_KEY, "")

    def _unlisted(self) -> list[FileId]:
        text = self._state.get(UNLISTED_KEY)
        return [FileId(bytes.fromhex(part)) for part in text.split(",")] if text else []

    def _put_unlisted(self, folders: list[FileId]) -> None:
        distinct = dict.fromkeys(folders)
        self._state.put(UNLISTED_KEY, ",".join(folder_id.hex() for folder_id in distinct))
