# SPDX-License-Identifier: Apache-2.0
"""Links: what each step of a draft has to wait for.

- Whatever comes into a folder waits until the folder is there.
- Whatever takes a name waits until the name is free; if it does not become free, it waits
  for another plan.
- A folder that moves waits for the folders it will stand in, so that it is never put below
  itself.
- A deleted folder waits until everything that survives has left it.
"""

from drystone.core.ids import FileId
from drystone.core.planning.draft import Draft
from drystone.core.planning.merging.case import Case, Fate, Survey, Take
from drystone.core.planning.merging.merge import target_parent
from drystone.core.planning.merging.naming import Naming
from drystone.core.tree.view import TreeView


class Links:
    """Links the vertices of one draft."""

    def __init__(self, draft: Draft, survey: Survey, naming: Naming) -> None:
        self._draft = draft
        self._graph = draft.graph
        self._survey = survey
        self._sight = survey.sight
        self._naming = naming
        self._single: dict[int, tuple[int, ...]] = {}
        self._claims_here: dict[tuple[FileId, str], FileId] = {}
        self._claims_there: dict[tuple[FileId, str], FileId] = {}
        policy = survey.sight.policy
        # A side may have shown only the half of a swap: then two claim one place.
        self._is_whole = policy.local_complete and policy.remote_complete

    def link(self, case: Case) -> None:
        """Links the steps by which a case comes to its place."""
        draft, file_id, fate = self._draft, case.file_id, case.fate
        if fate == Fate.NEW_HERE:
            vertex = draft.arrive_there.get(file_id)
            if case.adopts is not None:
                self._need_folder_here(draft.arrive_there[file_id], case.adopts)
            elif vertex is not None:
                self._link_there(vertex, case)
            else:
                self._need_adopted_folder(case)
        elif fate == Fate.NEW_THERE:
            vertex = draft.arrive_here.get(file_id)
            if vertex is not None and case.adopted_by is None:
                self._link_here(vertex, case)
        elif fate == Fate.BOTH:
            self._link_both(case)

    def link_deletions(self) -> None:
        """Lets deletions of folders wait for what has to leave them first."""
        draft = self._draft
        doomed = {
            case.file_id: draft.done[case.file_id]
            for case in self._survey.work.values()
            if case.is_folder
            and case.fate in (Fate.GONE, Fate.GONE_HERE, Fate.GONE_THERE)
            and case.file_id in draft.done
        }
        if not doomed:
            return
        agreed = _Above(self._sight.synced, doomed)
        here = _Above(self._sight.local, doomed)
        there = _Above(self._sight.remote, doomed)
        for case in self._survey.work.values():
            vertex = draft.done.get(case.file_id)
            if vertex is None:
                continue
            if case.base is not None:
                self._let_pass(case, vertex, agreed.find(case.base.parent_id), None)
            if case.here is not None:
                self._let_pass(case, vertex, here.find(case.here.parent_id), Fate.GONE_THERE)
            if case.there is not None:
                self._let_pass(case, vertex, there.find(case.there.parent_id), Fate.GONE_HERE)

    # --- places ------------------------------------------------------------------------------

    def _link_both(self, case: Case) -> None:
        draft, file_id = self._draft, case.file_id
        arrive_here = draft.arrive_here.get(file_id)
        if arrive_here is not None:
            self._link_here(arrive_here, case)
            if case.is_folder:
                self._need_above(arrive_here, case, Take.REMOTE)
        arrive_there = draft.arrive_there.get(file_id)
        if arrive_there is not None:
            self._link_there(arrive_there, case)
            if case.is_folder:
                self._need_above(arrive_there, case, Take.LOCAL)
        self._need_adopted_folder(case)

    def _link_here(self, vertex: int, case: Case) -> None:
        """The entry takes a place on the disk."""
        assert case.there is not None
        self._need_folder_here(vertex, case)
        folder_id = self._naming.local_folder(case.there.parent_id)
        if not self._is_whole:
            place = (case.there.parent_id, case.there.name)
            if self._claims_here.setdefault(place, case.file_id) != case.file_id:
                self._graph.steps[vertex] = None
                return
        if folder_id is None:
            return
        occupant = self._sight.local_children(folder_id).get(case.there.name)
        if occupant is None or occupant.file_id == case.file_id:
            return
        leaver = self._draft.leave_here.get(occupant.file_id)
        if leaver is not None:
            self._graph.yields[vertex] = leaver
        else:
            self._graph.steps[vertex] = None

    def _link_there(self, vertex: int, case: Case) -> None:
        """The entry takes a place on the server."""
        assert case.here is not None
        above = case.here.parent_id
        if not self._sight.is_remote_folder(above):
            self._need_or_wait(vertex, self._draft.arrive_there.get(above))
        if not self._is_whole:
            place = (above, case.here.name)
            if self._claims_there.setdefault(place, case.file_id) != case.file_id:
                self._graph.steps[vertex] = None
        folder_id = self._naming.remote_folder(above)
        if folder_id is None:
            return
        occupant = self._sight.remote_children(folder_id).get(case.here.name)
        if occupant is None or occupant.file_id == case.file_id:
            return
        leaver = self._draft.leave_there.get(occupant.file_id)
        if leaver is not None:
            self._graph.yields[vertex] = leaver
        else:
            self._graph.steps[vertex] = None

    def _need_folder_here(self, vertex: int, case: Case) -> None:
        assert case.there is not None
        above = case.there.parent_id
        if not self._sight.is_local_folder(above):
            self._need_or_wait(vertex, self._draft.arrive_here.get(above))

    def _need_adopted_folder(self, case: Case) -> None:
        """Steps that speak of a folder of the disk by its new id come after its adoption."""
        assert case.here is not None
        above = self._survey.case(case.here.parent_id)
        if above.adopts is None:
            return
        adoption = self._draft.arrive_there[above.file_id]
        vertices = {
            arrivals.get(case.file_id)
            for arrivals in (
                self._draft.arrive_here,
                self._draft.leave_here,
                self._draft.arrive_there,
                self._draft.done,
            )
        }
        for vertex in vertices:
            first = vertex
            while first is not None:
                self._graph.adopted[first] = adoption
                if first not in self._graph.chain:
                    self._graph.need(first, adoption)
                first = self._graph.chain.get(first)

    def _need_or_wait(self, vertex: int, other: int | None) -> None:
        if other is None:
            self._graph.steps[vertex] = None
        elif self._graph.firm[vertex]:
            self._graph.need(vertex, other)
        else:
            single = self._single.get(other)
            if single is None:
                single = self._single[other] = (other,)
            self._graph.firm[vertex] = single

    def _need_above(self, vertex: int, case: Case, take: Take) -> None:
        """Lets a folder wait for the nearest folder above its target that moves too.

        Args:
            vertex: By which the folder moves.
            case: The folder.
            take: On whose side it follows the other one's move.
        """
        arrivals = self._draft.arrive_there if take == Take.LOCAL else self._draft.arrive_here
        folder_id = target_parent(self._survey, case.file_id)
        while folder_id is not None and folder_id != self._sight.policy.root_id:
            above = self._survey.case(folder_id)
            # A new folder does not wait for those above it to move, so it does not count.
            if above.fate == Fate.BOTH and above.take == take:
                self._need_or_wait(vertex, arrivals.get(folder_id))
                return
            folder_id = target_parent(self._survey, folder_id)

    # --- deletions ---------------------------------------------------------------------------

    def _let_pass(
        self, case: Case, vertex: int, above_id: FileId | None, deleted: Fate | None
    ) -> None:
        """Lets the end of a folder wait for a case that is below it in one of the trees.

        Args:
            case: What is below.
            vertex: The vertex after which it is no longer in the way.
            above_id: The folder that ends, if there is one.
            deleted: Which fate the folder must have for this tree to matter; None: any.
        """
        if above_id is None or above_id == case.file_id:
            return
        above = self._survey.case(above_id)
        end = self._draft.done[above_id]
        if above.is_kept:
            # It ends under this id only, and so after what speaks of it by this id. Nothing
            # below it is lost if it goes first, so it does not wait for what waits itself.
            before: int | None = vertex
            while before is not None:
                self._graph.prefer(end, before)
                before = self._graph.chain.get(before)
        elif deleted is None or above.fate == deleted:
            self._graph.need(end, vertex)


class _Above:
    """Finds for each folder of a tree the nearest folder at or above it that ends."""

    def __init__(self, view: TreeView, doomed: dict[FileId, int]) -> None:
        self._view = view
        self._doomed = doomed
        self._known: dict[FileId, FileId | None] = {}

    def find(self, folder_id: FileId) -> FileId | None:
        """Returns the folder's own id, that of one above it, or None."""
        trail: dict[FileId, None] = {}
        found: FileId | None = None
        while folder_id not in trail:
            if folder_id in self._known:
                found = self._known[folder_id]
                break
            trail[folder_id] = None
            if folder_id in self._doomed:
                found = folder_id
                break
            entry = self._view.find(folder_id)
            if entry is None:
                break
            folder_id = entry.parent_id
        for passed in trail:
            self._known[passed] = found
        return found
