# SPDX-License-Identifier: Apache-2.0
"""Draft: from cases to steps, entry by entry; what they wait for is linked afterwards.

The steps of one entry follow each other: first the disk's (shift, replace), then the
server's (edit, move). Each carries the state that synced has after it, so a plan that is
broken off anywhere leaves three trees from which the rest is planned again.
"""

from drystone.core.ids import FileId, Rev
from drystone.core.journal.change import Create, Delete, Edit, Move
from drystone.core.planning.graph import Graph
from drystone.core.planning.merging.case import Case, Fate, Survey, Take
from drystone.core.planning.merging.merge import Merged, is_alike, merge_case
from drystone.core.planning.merging.naming import Naming
from drystone.core.planning.merging.survival import find_top_deleted
from drystone.core.planning.plan import (
    Conflict,
    ConflictKind,
    Discard,
    ForgetSynced,
    MarkSynced,
    Place,
    RenewLocal,
    RenewRemote,
    Replace,
    SetAside,
    Shift,
    Step,
    Submit,
)
from drystone.core.tree.entry import Entry


class Draft:
    """Steps of all cases as vertices of a graph.

    Attributes:
        graph: The vertices.
        arrive_here: By file id: the vertex that puts it at its place on the disk.
        arrive_there: The vertex that puts it at its place on the server.
        leave_here: The vertex by which it leaves the place it has on the disk.
        leave_there: The vertex by which it leaves the place it has on the server.
        done: The vertex after which it is no longer in the way of a deletion above it.
    """

    def __init__(self, survey: Survey, naming: Naming) -> None:
        self.graph = Graph()
        self.arrive_here: dict[FileId, int] = {}
        self.arrive_there: dict[FileId, int] = {}
        self.leave_here: dict[FileId, int] = {}
        self.leave_there: dict[FileId, int] = {}
        self.done: dict[FileId, int] = {}
        self._survey = survey
        self._naming = naming
        self._policy = survey.sight.policy

    def add(self, case: Case) -> None:
        """Adds the steps of one case."""
        if case.fate == Fate.NEW_HERE:
            self._add_new_here(case)
        elif case.fate == Fate.NEW_THERE:
            self._add_new_there(case)
        elif case.fate == Fate.BOTH:
            self._add_both(case)
        elif case.fate == Fate.GONE_HERE:
            self._add_gone_here(case)
        elif case.fate == Fate.GONE_THERE:
            self._add_gone_there(case)
        elif case.fate == Fate.GONE:
            if find_top_deleted(self._survey, case) == case.file_id:
                self._add_last(case, ForgetSynced(case.file_id))
        elif case.fate == Fate.UNSURE:
            self.done[case.file_id] = self.graph.add(case.file_id, None)

    # --- new entries -------------------------------------------------------------------------

    def _add_new_here(self, case: Case) -> None:
        file_id, entry = case.file_id, case.here
        assert entry is not None
        if case.adopts is not None:
            self._add_adopted(case, case.adopts)
        elif case.aside_name:
            self._add_aside(case, file_id, ConflictKind.CREATE_CREATE)
        elif case.is_stuck or not self._policy.remote_complete:
            self.done[file_id] = self.graph.add(file_id, None)
        else:
            entry = self._translated(entry)
            self.arrive_there[file_id] = self.graph.add(file_id, Submit(Create(entry), entry))

    def _add_adopted(self, case: Case, other: Case) -> None:
        assert case.here is not None
        assert other.there is not None
        there = other.there
        here = case.here._replace(file_id=there.file_id, parent_id=there.parent_id)
        step: Step = MarkSynced(there, case.file_id)
        if not is_alike(here, there):
            step = Replace(case.here._replace(parent_id=there.parent_id), there)
        vertex = self.graph.add(there.file_id, step)
        self.arrive_here[there.file_id] = self.arrive_there[there.file_id] = vertex
        # What is in a folder of the disk finds the folder under both ids.
        self.arrive_here[case.file_id] = self.arrive_there[case.file_id] = vertex

    def _add_new_there(self, case: Case) -> None:
        if case.adopted_by is not None:
            return
        assert case.there is not None
        vertex = self.graph.add(
            case.file_id, Place(case.there) if self._policy.local_complete else None
        )
        self.arrive_here[case.file_id] = vertex

    # --- entries that both sides have --------------------------------------------------------

    def _add_both(self, case: Case) -> None:
        here, there = case.here, case.there
        assert here is not None
        assert there is not None
        file_id = case.file_id
        merged = merge_case(case)
        if merged is None:
            aside = self._add_aside(case, self._policy.new_id(), ConflictKind.EDIT_EDIT)
            vertex = self.graph.add_after(aside, file_id, Place(there))
            self.arrive_here[file_id] = self.done[file_id] = vertex
        elif case.aside_name:
            self._add_aside(case, file_id, ConflictKind.NAME)
            # Under its new name it is a local move like any other, next time.
            self.done[file_id] = self.graph.add(file_id, None)
        elif case.is_stuck:
            self.done[file_id] = self.graph.add(file_id, None)
        elif case.base is None:
            step = self._adjusted(here, there) if merged.is_for_disk else MarkSynced(there)
            self.done[file_id] = self.graph.add(file_id, step)
        else:
            self._add_merged(case, here, case.base, there, merged)

    def _adjusted(self, here: Entry, there: Entry) -> Step:
        """Both made the same content under the same id: a commit whose answer was lost."""
        entry = there._replace(parent_id=here.parent_id, name=here.name)
        return Replace(here, entry, None if entry.is_at_same_place(there) else there)

    def _add_merged(
        self, case: Case, here: Entry, base: Entry, there: Entry, merged: Merged
    ) -> None:
        needs_state = merged.is_for_disk or merged.is_for_server
        vertex = None
        if case.take == Take.REMOTE:
            vertex = self._add_shift(case, here, base if needs_state else merged.entry)
        stands = self._translated(here) if case.take == Take.LOCAL else _at(here, there)
        if merged.is_for_disk:
            entry = _at(merged.entry, stands)
            agreed = there if merged.is_for_server else merged.entry
            step = Replace(stands, entry, None if agreed == entry else agreed)
            vertex = self.graph.add_after(vertex, case.file_id, step)
        elif merged.is_for_server:
            vertex = self.graph.add_after(
                vertex, case.file_id, Submit(_edit(merged, there), merged.entry)
            )
        if case.take == Take.LOCAL:
            if merged.is_for_disk and merged.is_for_server:
                # What both changed meets on the disk first; the server's part comes next time.
                self.done[case.file_id] = self.graph.add(case.file_id, None)
            else:
                vertex = self._add_move(case, vertex, _at(merged.entry, stands))
        if vertex is None and there != base:
            vertex = self.graph.add(case.file_id, MarkSynced(there))
        if vertex is not None:
            self.done.setdefault(case.file_id, vertex)

    def _add_shift(self, case: Case, here: Entry, agreed: Entry) -> int:
        """The disk follows the server's move. ``agreed`` is the state synced has meanwhile."""
        file_id, graph, base, there = case.file_id, self.graph, case.base, case.there
        assert base is not None
        assert there is not None
        here, settled = self._translated(here), _at(agreed, there)
        step = Shift(here, settled)
        if not is_alike(here, settled):
            step = Shift(here, _at(here, there), settled)
        vertex = graph.add(file_id, step)
        graph.standing[vertex] = here
        self.arrive_here[file_id] = self.leave_here[file_id] = self.done[file_id] = vertex
        if case.is_given_up or self._is_moved_twice(here, base, there):
            graph.conflicts[vertex] = Conflict(ConflictKind.MOVE_MOVE, file_id, here.name, "")
        return vertex

    def _add_move(self, case: Case, before: int | None, entry: Entry) -> int:
        """The server follows the disk's move."""
        file_id, there = case.file_id, case.there
        assert there is not None
        move = Move(file_id, entry.parent_id, entry.name, there.parent_id, there.name)
        vertex = self.graph.add_after(before, file_id, Submit(move, entry))
        self.graph.standing[vertex] = _at(entry, there)
        self.arrive_there[file_id] = self.leave_there[file_id] = self.done[file_id] = vertex
        return vertex

    def _add_aside(self, case: Case, new_id: FileId, kind: ConflictKind) -> int:
        """The disk's entry gets out of the way of the server's."""
        assert case.here is not None
        here = self._translated(case.here)
        rev = here.rev if new_id == case.file_id else Rev(0)
        entry = here._replace(file_id=new_id, name=case.aside_name, rev=rev)
        vertex = self.graph.add(case.file_id, SetAside(here, entry))
        self.graph.conflicts[vertex] = Conflict(kind, case.file_id, here.name, case.aside_name)
        self.leave_here[case.file_id] = self.done[case.file_id] = vertex
        return vertex

    # --- entries that one side deleted -------------------------------------------------------

    def _add_gone_here(self, case: Case) -> None:
        there = case.there
        assert there is not None
        if case.is_kept:
            vertex = self.graph.add(case.file_id, RenewRemote(there))
            self._note_kept(case, vertex, there)
        elif self._is_top(case):
            vertex = self._add_last(case, Submit(Delete(case.file_id, there.rev), None))
            self.leave_there[case.file_id] = vertex
            self.graph.standing[vertex] = there

    def _add_gone_there(self, case: Case) -> None:
        here = case.here
        assert here is not None
        if case.is_kept:
            entry = here._replace(file_id=self._policy.new_id(), rev=Rev(0))
            vertex = self.graph.add(case.file_id, RenewLocal(here, entry))
            self._note_kept(case, vertex, here)
        elif self._is_top(case):
            vertex = self._add_last(case, Discard(here))
            self.leave_here[case.file_id] = vertex
            self.graph.standing[vertex] = here

    def _is_top(self, case: Case) -> bool:
        return find_top_deleted(self._survey, case) == case.file_id

    def _note_kept(self, case: Case, vertex: int, entry: Entry) -> None:
        self.done[case.file_id] = vertex
        if not case.is_folder:
            kind = ConflictKind.EDIT_DELETE
        elif not self._survey.case(entry.parent_id).is_kept:
            kind = ConflictKind.FOLDER_DELETED
        else:
            return
        self.graph.conflicts[vertex] = Conflict(kind, case.file_id, entry.name, "")

    def _add_last(self, case: Case, step: Step) -> int:
        vertex = self.graph.add(case.file_id, step)
        self.graph.is_last.add(vertex)
        self.done[case.file_id] = vertex
        return vertex

    # --- small questions ---------------------------------------------------------------------

    def _translated(self, entry: Entry) -> Entry:
        """Returns an entry of the disk with its folder's id as it will be: adopted or its own."""
        folder_id = self._naming.remote_folder(entry.parent_id)
        if folder_id is None or folder_id == entry.parent_id:
            return entry
        return entry._replace(parent_id=folder_id)

    def _is_moved_twice(self, here: Entry, base: Entry, there: Entry) -> bool:
        sight = self._survey.sight
        return sight.has_moved(here, base) and sight.has_moved(there, base)


def _at(entry: Entry, place: Entry) -> Entry:
    return entry._replace(parent_id=place.parent_id, name=place.name)


def _edit(merged: Merged, there: Entry) -> Edit:
    entry = merged.entry
    return Edit(entry.file_id, there.rev, entry.content, entry.mode, entry.mtime_ns, entry.target)
