# SPDX-License-Identifier: Apache-2.0
"""Selection: which folders of the server this device does not want, by id.

The planner takes an unselected folder, and all below it, for gone from the server and leaves the
folder's name to it (``Policy.unselected``). What it needs to know for that is kept here: the
folder itself as it is on the server. What is below is not kept at all: whoever selects the folder
again has it listed. So a folder that is moved by others is just moved, and costs nothing.

Which folders these are is kept twice: with the list of roots, which outlives the state, and in
State, with what the trees need. A state that is older than the last selecting again must not be
believed: what was taken off the disk in between would look as if somebody had deleted it.
"""

from collections.abc import Collection, Iterable
from typing import Final

from drystone.client.ports import State
from drystone.client.steps.pull.kept import (
    Folders,
    decode_folders,
    read_folders,
    read_ids,
    write_folders,
    write_ids,
)
from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.limits import UNSELECTED_FOLDERS_MAX
from drystone.core.planning.plan import Discard, Plan
from drystone.core.tree.entry import Kind
from drystone.core.tree.view import TreeView

UNLISTED_KEY: Final = "unlisted"
_UNSELECTED_KEY: Final = "unselected"
_LEAVING_KEY: Final = "leaving"
_SELECTS_KEY: Final = "selects"


class TooManyUnselected(Refused):
    """More folders are unselected than one device may have."""

    code = "too-many-unselected"


class Selection:
    """The unselected folders of one synced folder. All methods use State.

    Args:
        state: Where they are kept, and the trees.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._text = ""
        self._folders: Folders = {}
        self._ids: frozenset[FileId] = frozenset()

    @property
    def ids(self) -> frozenset[FileId]:
        """The unselected folders' ids."""
        text = self._state.get(_UNSELECTED_KEY)
        if text != self._text:
            self._text, self._folders = text, decode_folders(text)
            self._ids = frozenset(self._folders)
        return self._ids

    # --- what the list of roots says ---------------------------------------------------------

    @property
    def selects_count(self) -> int:
        """How often folders were selected again, as far as this state knows."""
        return int(self._state.get(_SELECTS_KEY) or 0)

    def is_outdated(self, selects_count: int) -> bool:
        """Tells whether the state is older than the last time that folders were selected again."""
        return self.selects_count < selects_count and self._state.count_synced() > 0

    def adopt(self, file_ids: Collection[FileId], selects_count: int) -> None:
        """Makes the unselected folders these, whatever the state says."""
        self.select(self.ids - set(file_ids))
        self._write({file_id: self._read().get(file_id) for file_id in file_ids})
        self._state.put(_SELECTS_KEY, str(max(selects_count, self.selects_count)))

    # --- choosing ----------------------------------------------------------------------------

    def unselect(self, folders: Iterable[StoredEntry]) -> None:
        """These folders are not to be on this disk any more. Again is fine.

        Raises:
            TooManyUnselected: Nothing was changed.
        """
        known = {**self._read()}
        for stored in folders:
            known.setdefault(stored.file_id, stored)
        if len(known) > UNSELECTED_FOLDERS_MAX:
            raise TooManyUnselected(
                f"one device may leave out {UNSELECTED_FOLDERS_MAX:,} folders, not {len(known):,}",
                advice="Leave out the folder above them.",
            )
        self._write(known)

    def select(self, file_ids: Collection[FileId]) -> None:
        """These folders are to be here again, with all below them. Again is fine."""
        known = {**self._read()}
        wanted = [file_id for file_id in file_ids if file_id in known]
        if not wanted:
            return
        self._state.put(_SELECTS_KEY, str(self.selects_count + 1))
        # Nobody knows whether it has left the disk, as long as that was not noted.
        leaving = read_folders(self._state, _LEAVING_KEY)
        for file_id in sorted(wanted):
            leaving[file_id] = known.pop(file_id) or self._find_stored(file_id)
        self._write(known)
        write_folders(self._state, _LEAVING_KEY, leaving)
        write_ids(self._state, UNLISTED_KEY, [*read_ids(self._state, UNLISTED_KEY), *wanted])

    def list_paths(self) -> dict[FileId, str]:
        """Returns where the unselected folders are on the server, from the root down; those that
        live no more, or in another unselected folder, have none and are left out.
        """
        found = {i: self._state.path_of(self._state.remote, i) for i in self.ids}
        return {
            file_id: path
            for file_id, path in found.items()
            if path is not None and not self.is_below(file_id)
        }

    def count_unsent(self, folder_id: FileId) -> int:
        """Returns how many entries in or from a folder the server does not know as they are."""
        state = self._state
        return sum(
            _is_in(state.local, file_id, folder_id) or _is_in(state.synced, file_id, folder_id)
            for file_id in state.local_changes
        )

    # --- what is hidden ----------------------------------------------------------------------

    def is_below(self, file_id: FileId) -> bool:
        """Tells whether an entry is known to be below an unselected folder on the server."""
        entry = self._state.remote.find(file_id)
        return entry is not None and self.is_hidden_in(entry.parent_id)

    def is_hidden_in(self, folder_id: FileId) -> bool:
        """Tells whether a folder is known to be unselected, or below one that is."""
        ids, passed = self.ids, set[FileId]()
        while folder_id != ROOT_ID and folder_id not in passed:
            if folder_id in ids:
                return True
            passed.add(folder_id)
            folder = self._state.remote.find(folder_id)
            if folder is None:
                return False
            folder_id = folder.parent_id
        return False

    def is_of_no_interest(self, stored: StoredEntry) -> bool:
        """Tells whether what the server says of an entry need not be kept: it is below an
        unselected folder, and this device has nothing of it.
        """
        file_id = stored.file_id
        if not self.ids or file_id in self.ids or file_id in self._state.remote_changes:
            return False
        return self.is_hidden_in(stored.entry.parent_id) and not self._is_synced(file_id)

    def note_gone(self, file_id: FileId) -> None:
        """An entry is gone from the server: if it is an unselected folder, it is in nobody's
        way any more. If it is restored one day, it is still not selected.
        """
        if self._read().get(file_id) is not None:
            self._write({**self._folders, file_id: None})
        leaving = read_folders(self._state, _LEAVING_KEY)
        if leaving.pop(file_id, None) is not None:
            write_folders(self._state, _LEAVING_KEY, leaving)

    def note_deleted(self, file_id: FileId) -> None:
        """This device has had an entry deleted on the server. Its record may not be read back."""
        for folder_id in self.ids:
            if _is_in(self._state.remote, folder_id, file_id):
                self.note_gone(folder_id)

    # --- before and after a plan -------------------------------------------------------------

    def refresh(self) -> set[str]:
        """Brings what is known into order before everything is planned; both sides are known
        whole. Returns folders of the disk to be looked at again.
        """
        again = self._end_leaving()
        if self.ids:
            self._keep_known()
            _drop_hidden(self._state, self.ids)
        return again

    def note_leaving(self, plan: Plan) -> None:
        """Makes durable what a plan takes off this disk though the server keeps it.

        If that is done and never noted, and the folder is selected again, its absence must not
        be taken for a deletion.
        """
        leaving = {
            # A file that comes again is told of by itself, or with a folder that is listed.
            step.before.file_id: self._find_stored(step.before.file_id)
            if step.before.kind == Kind.FOLDER
            else None
            for step in plan.steps
            if isinstance(step, Discard) and self.is_only_leaving(step.before.file_id)
        }
        if leaving:
            write_folders(
                self._state, _LEAVING_KEY, {**read_folders(self._state, _LEAVING_KEY), **leaving}
            )
            self._state.save()

    def without_leaving(self, plan: Plan) -> Plan:
        """Returns what a guard is to judge: what only leaves this disk is nobody's loss, since the
        server keeps it.
        """
        if not self.ids:
            return plan
        steps = tuple(
            step
            for step in plan.steps
            if not (isinstance(step, Discard) and self.is_only_leaving(step.before.file_id))
        )
        return plan._replace(steps=steps)

    def is_only_leaving(self, file_id: FileId) -> bool:
        """Tells whether what is discarded here lives on, on the server."""
        if file_id in self.ids:
            stored = self._state.remote_changes.get(file_id)
            return stored is None or not stored.is_deleted
        return bool(self.ids) and self.is_below(file_id)

    # --- inside ------------------------------------------------------------------------------

    def _end_leaving(self) -> set[str]:
        """Sees to it that what has left this disk, and is selected again, is like new."""
        leaving = read_folders(self._state, _LEAVING_KEY)
        state, again = self._state, set[str]()
        kept: Folders = {}
        for file_id, stored in leaving.items():
            row = state.find_synced_row(file_id)
            if file_id in self.ids or self.is_below(file_id):
                if row is not None:
                    kept[file_id] = stored
                continue
            if row is not None:
                is_gone_there = state.path_of(state.remote, file_id) is None
                if is_gone_there or state.path_of(state.local, file_id) is not None:
                    continue
                again.add(state.path_of(state.local, row.entry.parent_id) or "")
                known = self._find_stored(file_id)
                state.settle(file_id, None)
            elif state.remote.find(file_id) is not None:
                if state.path_of(state.remote, file_id) is None:
                    state.drop_remote(file_id)  # Gone with a folder above it, or told with it.
                continue
            else:
                known = stored
            if known is not None:
                state.note_remote(known)
                if known.entry.kind == Kind.FOLDER:
                    write_ids(
                        self._state, UNLISTED_KEY, [*read_ids(self._state, UNLISTED_KEY), file_id]
                    )
        write_folders(self._state, _LEAVING_KEY, kept)
        return again

    def _keep_known(self) -> None:
        """Sees to it that the remote tree and this know the same of the unselected folders."""
        state, known = self._state, {**self._read()}
        for file_id, before in known.items():
            stored = self._find_stored(file_id)
            if stored is not None:
                known[file_id] = None if stored.is_deleted else stored
            elif before is not None:
                state.note_remote(before)
        self._write(known)

    def _find_stored(self, file_id: FileId) -> StoredEntry | None:
        """Returns what is known of an entry on the server."""
        stored, row = self._state.remote_changes.get(file_id), None
        if stored is None:
            row = self._state.find_synced_row(file_id)
        return stored if row is None else StoredEntry(row.entry, row.seq, Action.EDIT)

    def _is_synced(self, file_id: FileId) -> bool:
        return self._state.synced.find(file_id) is not None

    def _read(self) -> Folders:
        return self._folders if self.ids else {}

    def _write(self, folders: Folders) -> None:
        if folders != self._read():
            write_folders(self._state, _UNSELECTED_KEY, folders)


def _is_in(view: TreeView, file_id: FileId, folder_id: FileId) -> bool:
    passed: set[FileId] = set()
    while file_id not in passed:
        if file_id == folder_id:
            return True
        passed.add(file_id)
        entry = view.find(file_id)
        if entry is None:
            break
        file_id = entry.parent_id
    return False


def _drop_hidden(state: State, unselected: frozenset[FileId]) -> None:
    """Lets go of what the server told of entries that nobody here has or wants.

    What stands in a folder that is not known stands below an unselected one.
    """
    alive: dict[FileId, bool] = {ROOT_ID: True, **dict.fromkeys(unselected, False)}
    for file_id, stored in list(state.remote_changes.items()):
        if file_id in unselected or state.synced.find(file_id) is not None:
            continue
        if stored.is_deleted or not _is_alive(state.remote, stored.entry.parent_id, alive):
            state.drop_remote(file_id)


def _is_alive(view: TreeView, folder_id: FileId, known: dict[FileId, bool]) -> bool:
    trail: dict[FileId, None] = {}
    while folder_id not in known and folder_id not in trail:
        trail[folder_id] = None
        folder = view.find(folder_id)
        if folder is None:
            known[folder_id] = False
            break
        folder_id = folder.parent_id
    is_alive = known.get(folder_id, False)
    known.update(dict.fromkeys(trail, is_alive))
    return is_alive
