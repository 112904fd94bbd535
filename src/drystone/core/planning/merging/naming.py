# SPDX-License-Identifier: Apache-2.0
"""Naming: one name in a folder belongs to one entry, whichever side put it there.

A place is claimed by at most two entries: one that the server has or moves there, and one
that the disk has or moves there, for each side's own tree is sound. The server's keeps the
name. The disk's turns out to be the same thing (two equal new files, two new folders) and
is adopted, or is set aside under a conflicted-copy name.
"""

from drystone.core.ids import FileId
from drystone.core.names.conflicted import conflicted_name
from drystone.core.planning.merging.case import Case, Fate, Survey, Take
from drystone.core.planning.merging.merge import choose
from drystone.core.tree.entry import Kind


class Naming:
    """Resolves who gets which name; each case once."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._sight = survey.sight
        self._is_whole = survey.sight.policy.local_complete and survey.sight.policy.remote_complete
        self._given: dict[FileId, set[str]] = {}

    def resolve(self, case: Case) -> None:
        """Finds out whether the place that a case is to have is claimed by another one."""
        if case.is_resolved:
            return
        case.is_resolved = True
        if case.fate == Fate.NEW_HERE:
            self._resolve_local(case)
        elif case.fate == Fate.NEW_THERE:
            self._resolve_remote(case)
        elif case.fate == Fate.BOTH:
            choose(self._survey, case)
            if case.is_conflict:
                case.aside_name = self.find_aside_name(case)
                self._resolve_remote(case)
            elif case.take == Take.LOCAL:
                self._resolve_local(case)
            elif case.take == Take.REMOTE:
                self._resolve_remote(case)

    def remote_folder(self, folder_id: FileId) -> FileId | None:
        """Returns the server's id of a folder of the disk; None if the server has none yet."""
        if self._sight.is_remote_folder(folder_id):
            return folder_id
        folder = self._survey.work.get(folder_id)
        if folder is not None and folder.fate == Fate.NEW_HERE:
            self.resolve(folder)
            if folder.adopts is not None:
                return folder.adopts.file_id
        return None

    def local_folder(self, folder_id: FileId) -> FileId | None:
        """Returns the disk's id of a folder of the server; None if the disk has none yet."""
        if self._sight.is_local_folder(folder_id):
            return folder_id
        folder = self._survey.work.get(folder_id)
        if folder is not None and folder.fate == Fate.NEW_THERE:
            self.resolve(folder)
            if folder.adopted_by is not None:
                return folder.adopted_by.file_id
        return None

    def find_aside_name(self, case: Case) -> str:
        """Returns a free conflicted-copy name in the folder where the disk has an entry."""
        assert case.here is not None
        folder_id, policy = case.here.parent_id, self._sight.policy
        given = self._given.get(folder_id)
        if given is None:
            given = set(self._sight.local_children(folder_id))
            above = self.remote_folder(folder_id)
            if above is not None:
                given.update(self._sight.remote_children(above))
            self._given[folder_id] = given
        name = conflicted_name(case.here.name, policy.device_name, policy.date_text, given)
        given.add(name)
        return name

    def _resolve_local(self, case: Case) -> None:
        """The disk put an entry at a place: does the server have another one there?"""
        assert case.here is not None
        folder_id = self.remote_folder(case.here.parent_id)
        if folder_id is None:
            return
        occupant = self._sight.remote_children(folder_id).get(case.here.name)
        if occupant is None or occupant.file_id == case.file_id:
            return
        other = self._survey.pull(occupant.file_id)
        if other.fate == Fate.BOTH:
            choose(self._survey, other)
            if other.take == Take.LOCAL and not other.is_conflict:
                return
        elif other.fate == Fate.GONE_HERE and not other.is_kept:
            return
        elif other.fate == Fate.UNSELECTED:
            pass  # What is made here has nothing to do with it, whatever its kind.
        elif other.fate != Fate.NEW_THERE:
            case.is_stuck = True
            return
        elif other.adopted_by is not None:
            # Two of the disk at one place: half of what a scan under way has seen.
            case.is_stuck = True
            return
        elif _is_same_thing(case, other):
            case.adopts, other.adopted_by = other, case
            other.is_resolved = True
            return
        if self._is_whole:
            case.aside_name = self.find_aside_name(case)
        else:
            case.is_stuck = True

    def _resolve_remote(self, case: Case) -> None:
        """The server put an entry at a place: does the disk have another one there?"""
        assert case.there is not None
        folder_id = self.local_folder(case.there.parent_id)
        if folder_id is None:
            return
        occupant = self._sight.local_children(folder_id).get(case.there.name)
        if occupant is not None and occupant.file_id != case.file_id:
            self.resolve(self._survey.pull(occupant.file_id))


def _is_same_thing(case: Case, other: Case) -> bool:
    """Tells whether something new on the disk is the same as something new on the server."""
    if case.fate != Fate.NEW_HERE or case.here is None or other.there is None:
        return False
    return case.here.kind == Kind.FOLDER == other.there.kind or case.here.is_same_content(
        other.there
    )
