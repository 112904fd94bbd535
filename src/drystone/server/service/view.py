# SPDX-License-Identifier: Apache-2.0
"""The view over which a commit is decided, read from metadata in a few queries."""

from collections.abc import Collection, Mapping, Sequence

from drystone.core.ids import ID_BYTES, ROOT_ID, FileId, NamespaceId, Rev, Seq
from drystone.core.journal.change import Commit, Create, Move, Restore
from drystone.core.journal.record import Record, StoredEntry
from drystone.core.journal.view import PrefetchedView
from drystone.core.names.path import find_name_fault
from drystone.core.tree.entry import Kind
from drystone.server.ports.collecting import HistoryUnit
from drystone.server.ports.metadata import TreeUnit


class UnitView:
    """A namespace inside one unit of work, looked at entry by entry: one query per call."""

    def __init__(
        self, tree: TreeUnit, namespace_id: NamespaceId, history: HistoryUnit | None = None
    ) -> None:
        self._tree = tree
        self._history = history
        self._namespace_id = namespace_id
        self._head = tree.head(namespace_id)

    @property
    def head(self) -> Seq:
        """The last seq when the view was made: a commit is decided before it is appended."""
        return self._head

    def find(self, file_id: FileId) -> StoredEntry | None:
        """Returns the entry that has or had this id, or None."""
        return self._tree.find_entries(self._namespace_id, (file_id,)).get(file_id)

    def find_lineage(self, file_ids: Collection[FileId]) -> Mapping[FileId, StoredEntry]:
        """Returns those of these entries that there are, and all folders above them."""
        return self._tree.find_lineage(self._namespace_id, file_ids)

    def find_child(self, parent_id: FileId, name: str) -> FileId | None:
        """Returns the id of the undeleted entry at a place, or None."""
        stored = self._tree.find_child(self._namespace_id, parent_id, name)
        return None if stored is None else stored.entry.file_id

    def changed_after(self, seq: Seq, limit: int) -> Sequence[StoredEntry]:
        """Returns the entries whose last record is after ``seq``."""
        return self._tree.list_changes(self._namespace_id, seq, limit)

    def folders_in(self, parent_ids: Collection[FileId]) -> Collection[FileId]:
        """Returns the undeleted folders directly in these folders."""
        return self._tree.list_folders(self._namespace_id, parent_ids)

    def find_record(self, seq: Seq) -> Record | None:
        """Returns one record of the journal, or None."""
        return self._tree.find_record(self._namespace_id, seq)

    @property
    def kept_after(self) -> Seq:
        """Up to where history may have lost content."""
        history = self._history
        return Seq(0) if history is None else history.kept_after(self._namespace_id)

    def find_superseding(self, file_id: FileId, rev: Rev) -> Seq:
        """Returns what replaced a revision."""
        assert self._history is not None, "a view that keeps all history is asked"
        return self._history.find_superseding(self._namespace_id, file_id, rev)


def load_view(
    tree: TreeUnit,
    namespace_id: NamespaceId,
    commit: Commit,
    history: HistoryUnit | None = None,
) -> PrefetchedView:
    """Returns the view over which to decide ``commit``, in the unit of work of ``tree`` and
    ``history`` (None: all of it is kept).

    What the commit names is read beforehand: entries by id with the folders above them, and
    places by folder and name. The rest is asked for when it is needed. Nothing is looked up in
    folders that the commit itself creates.

    Cost: three queries, whatever the number of changes.
    """
    wanted, places = _list_named(commit)
    entries: dict[FileId, StoredEntry | None] = dict.fromkeys(wanted)
    entries.update(tree.find_lineage(namespace_id, wanted))
    children: dict[tuple[FileId, str], FileId | None] = {}
    for place in places:
        parent = entries.get(place[0])
        # Nothing stands in what is no folder now, though this commit may be about to make it.
        if place[0] == ROOT_ID or (parent is not None and parent.entry.kind is Kind.FOLDER):
            children[place] = None
    for place, stored in tree.find_children(namespace_id, children.keys()).items():
        children[place] = stored.entry.file_id
        entries[stored.entry.file_id] = stored
    children.update(dict.fromkeys(places - children.keys()))
    return PrefetchedView(UnitView(tree, namespace_id, history), entries, children)


def _list_named(commit: Commit) -> tuple[set[FileId], set[tuple[FileId, str]]]:
    """Returns the ids and the places that a commit names, without those that can be neither."""
    wanted: set[FileId] = set()
    places: set[tuple[FileId, str]] = set()
    for change in commit.changes:
        match change:
            case Create(entry):
                wanted.add(entry.file_id)
                places.add((entry.parent_id, entry.name))
            case Move():
                wanted.add(change.file_id)
                places.add((change.parent_id, change.name))
            case Restore():
                wanted.add(change.file_id)
                if change.parent_id is not None:
                    places.add((change.parent_id, change.name))
            case _:
                wanted.add(change.file_id)
    wanted.update(parent_id for parent_id, _ in places)
    ids = {file_id for file_id in wanted if len(file_id) == ID_BYTES and file_id != ROOT_ID}
    return ids, {place for place in places if not find_name_fault(place[1])}
