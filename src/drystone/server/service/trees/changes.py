# SPDX-License-Identifier: Apache-2.0
"""Changes: what is new since a cursor, and when there is more.

A cursor is a position of reading, given out as signed text. Whatever could make a reader skip
something (a cursor of another account, of another folder, of a journal that was put back to an
earlier state since) is answered by ``reset``: forget, and read from no cursor.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, FileId, NamespaceId, Seq
from drystone.core.journal.cursor import Cursor, needs_reset
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.limits import CHANGES_PAGE_ENTRIES_MAX
from drystone.core.names.path import show_name
from drystone.core.tree.entry import Kind
from drystone.server.ports.bell import Bell
from drystone.server.ports.metadata import Unit
from drystone.server.service.actor import Actor
from drystone.server.service.gate import EntryNotFound, opens, require_entry, require_namespace
from drystone.server.service.identity.listeners import CloseReason, Listener, Listeners
from drystone.server.service.trees.cursors import Cursors
from drystone.server.service.trees.lineage import Lineage
from drystone.server.service.writer import Writer

_RECORDS_LOOKED_AT_MAX: Final = 50


class FolderGone(Refused):
    """The folder to which reading is confined was deleted, or one above it was."""

    code = "folder-gone"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the folder {show_name(name)} was deleted on the server",
            advice="Restore it there, or sync another folder. Nothing was changed here.",
        )


class ChangedPage(NamedTuple):
    """What is new since a cursor.

    Attributes:
        entries: Each as its last record left it, in the order of those; tombstones too.
        gone: Ids of entries that changed and lie elsewhere than in the folder read.
        cursor: To go on from; ``""`` with ``reset``.
        head: The namespace's last seq when the page was made.
        has_more: True if there is more already.
        reset: The cursor cannot be gone on from: nothing else here counts but the next.
        rewound_to: With ``reset``: the journal was put back to an earlier state since, and only
            up to this seq is it as the reader knows it. None: it was not put back.
    """

    entries: list[StoredEntry]
    gone: list[FileId]
    cursor: str
    head: Seq
    has_more: bool = False
    reset: bool = False
    rewound_to: Seq | None = None


class Rings(NamedTuple):
    """An open bell.

    Attributes:
        head: The namespace's last seq when it was opened; later ones ring.
        heads: Yields each new head, coalesced while nobody takes them.
        listener: Tells when and why it must be closed.
    """

    head: Seq
    heads: AsyncIterator[tuple[NamespaceId, int]]
    listener: Listener


class Changes:
    """Reads the journal forwards, page by page, and waits for more.

    Args:
        writer: The door to metadata.
        bell: Rings when a head has moved.
        listeners: Where open bells and long polls are counted and closed.
        cursors: Signs and reads cursors.
        page_entries_max: Entries in one page.
    """

    def __init__(
        self,
        writer: Writer,
        bell: Bell,
        listeners: Listeners,
        cursors: Cursors,
        *,
        page_entries_max: int = CHANGES_PAGE_ENTRIES_MAX,
    ) -> None:
        self._writer = writer
        self._bell = bell
        self._listeners = listeners
        self._cursors = cursors
        self._page_max = page_entries_max

    async def read_page(
        self, actor: Actor, namespace_id: NamespaceId, cursor_text: str, under: FileId | None
    ) -> ChangedPage:
        """Returns the entries that changed after a cursor; without one, all of them.

        With ``under`` only what lies below that folder is told; of the rest no more than the
        ids, since the reader may have known it there.

        A folder whose last action is RESTORE lives again with all that was deleted with it:
        who no longer has that lists it. The same holds with ``under`` for a folder that was
        moved in: its action is MOVE, and the reader does not know it.

        Args:
            actor: Who reads.
            namespace_id: What.
            cursor_text: ``""``, or that of the page before.
            under: The folder to confine reading to.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
            ForgedCursor: The cursor was not given out by this server.
            EntryNotFound, FolderGone: ``under`` is no folder, or no longer.
        """
        cursor = self._cursors.decode(cursor_text, actor)
        if cursor is None:
            # Of its reader's past nothing is known.
            return await self._writer.read(lambda unit: _reset(unit, actor, namespace_id, Seq(0)))
        if under == ROOT_ID:
            under = None

        def work(unit: Unit) -> ChangedPage:
            require_namespace(unit, actor, namespace_id)
            rewound_to = self._cursors.find_rewind(unit, cursor, namespace_id)
            if rewound_to is not None or _is_behind(unit, actor, cursor, under):
                return _reset(unit, actor, namespace_id, rewound_to)
            head = unit.tree.head(namespace_id)
            after_seq = cursor.seq_of(namespace_id)
            entries = unit.tree.list_changes(namespace_id, after_seq, self._page_max)
            has_more = len(entries) == self._page_max and entries[-1].seq < head
            reached = entries[-1].seq if has_more else head
            gone: list[FileId] = []
            if after_seq:
                entries = [_say_restored(unit, namespace_id, x, after_seq) for x in entries]
            if under is not None:
                _require_watched_folder(unit, actor, namespace_id, under)
                entries, gone = _confine(unit, namespace_id, entries, under)
            text = self._cursors.move(unit, cursor._replace(under=under), namespace_id, reached)
            return ChangedPage(entries, gone, text, head, has_more)

        return await self._writer.read_at_head(namespace_id, opens(actor, namespace_id), work)

    @asynccontextmanager
    async def listen(self, actor: Actor, namespace_id: NamespaceId) -> AsyncIterator[Rings]:
        """Opens a bell for a namespace. What moves after its ``head`` rings.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
        """

        def work(unit: Unit) -> Seq:
            require_namespace(unit, actor, namespace_id)
            return unit.tree.head(namespace_id)

        with self._listeners.open(actor) as listener:
            async with self._bell.listen((namespace_id,)) as heads:
                # Read after opening: what moves in between rings.
                yield Rings(await self._writer.read(work), heads, listener)

    async def wait(
        self, actor: Actor, namespace_id: NamespaceId, cursor_text: str, timeout_s: float
    ) -> CloseReason | bool:
        """Waits until there is more to read than a cursor has.

        Returns:
            True if there is; False if nothing came in time; why waiting had to end otherwise.

        Raises:
            NamespaceNotFound, ForgedCursor: As ``read_page``.
        """
        cursor = self._cursors.decode(cursor_text, actor)
        if cursor is None:
            return True
        seq = cursor.seq_of(namespace_id)

        def is_rewound(unit: Unit) -> bool:
            return self._cursors.find_rewind(unit, cursor, namespace_id) is not None

        async with self.listen(actor, namespace_id) as rings:
            # That the journal was put back is news as well: reading will answer "reset".
            if rings.head != seq or await self._writer.read(is_rewound):
                return True
            ringing = asyncio.ensure_future(anext(rings.heads))
            closed = rings.listener.closed
            try:
                await asyncio.wait(
                    (ringing, closed), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                ringing.cancel()
            if ringing.done() and not ringing.cancelled():
                return True
            return closed.result() if closed.done() else False


def _is_behind(unit: Unit, actor: Actor, cursor: Cursor, under: FileId | None) -> bool:
    """Tells whether going on from the cursor could skip something."""
    heads = {
        namespace_id: unit.tree.head(namespace_id)
        for namespace_id, _ in cursor.seqs
        if unit.tree.may_open(actor.account_id, namespace_id)
    }
    # Who has read everything has also read any one folder.
    filter_now = None if cursor.under is None else under
    return needs_reset(cursor, actor.account_id, filter_now, heads)


def _say_restored(
    unit: Unit, namespace_id: NamespaceId, stored: StoredEntry, after_seq: Seq
) -> StoredEntry:
    """Returns a folder that was restored since a seq and then changed again as RESTORE: only its
    last record is told, and what the reader must do follows from the one before.
    """
    if stored.entry.kind is not Kind.FOLDER or stored.action not in (Action.EDIT, Action.MOVE):
        return stored
    records = unit.tree.list_revisions(namespace_id, stored.file_id, _RECORDS_LOOKED_AT_MAX)
    since = [record for record in records if record.seq > after_seq]
    is_restored = any(record.action is Action.RESTORE for record in since)
    # If there are more records than were looked at, nobody knows: listing again does no harm.
    if is_restored or len(since) == _RECORDS_LOOKED_AT_MAX:
        return stored._replace(action=Action.RESTORE)
    return stored


def _reset(
    unit: Unit, actor: Actor, namespace_id: NamespaceId, rewound_to: Seq | None
) -> ChangedPage:
    require_namespace(unit, actor, namespace_id)
    head = unit.tree.head(namespace_id)
    return ChangedPage([], [], "", head, reset=True, rewound_to=rewound_to)


def _require_watched_folder(
    unit: Unit, actor: Actor, namespace_id: NamespaceId, folder_id: FileId
) -> None:
    folder = require_entry(unit, actor, namespace_id, folder_id)
    if folder.entry.kind is not Kind.FOLDER:
        raise EntryNotFound(f"folder {folder_id.hex()}")
    lineage = Lineage(unit.tree, namespace_id)
    lineage.learn([folder])
    if not lineage.is_living(folder):
        raise FolderGone(folder.entry.name)


def _confine(
    unit: Unit, namespace_id: NamespaceId, entries: list[StoredEntry], folder_id: FileId
) -> tuple[list[StoredEntry], list[FileId]]:
    """Returns the entries below a folder, and the ids of the others that may have been there.

    An entry whose last record created it has never been anywhere else.
    """
    lineage = Lineage(unit.tree, namespace_id)
    lineage.learn(entries)
    inside: list[StoredEntry] = []
    gone: list[FileId] = []
    for stored in entries:
        if lineage.is_below(stored, folder_id):
            inside.append(stored)
        elif stored.action is not Action.CREATE and stored.file_id != folder_id:
            gone.append(stored.file_id)
    return inside, gone
