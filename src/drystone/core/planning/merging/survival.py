# SPDX-License-Identifier: Apache-2.0
"""Survival: which entries that one side deleted the other side's changes bring back.

An entry has *merit* if the side that still has it changed its content or place, or if it
went only together with its folder and that has merit. Whatever has merit is kept. So are
the deleted folders above anything kept or new, but only as folders: the rest of what was
in them stays deleted.
"""

from drystone.core.ids import FileId
from drystone.core.planning.merging.case import Case, Fate, Survey, Take


def has_merit(survey: Survey, case: Case) -> bool:
    """Tells whether an entry that one side deleted is kept for its own sake."""
    if case.has_merit is None:
        case.has_merit = _has_changed(survey, case) or _goes_with_folder(survey, case)
    return case.has_merit


def keep_survivors(survey: Survey) -> None:
    """Marks all cases to be kept, and pulls what was in kept folders."""
    kept: list[Case] = []
    for case in list(survey.work.values()):
        fate = case.fate
        if fate == Fate.BOTH:
            # Where both sides agree on the folder, both have it.
            if case.take == Take.REMOTE or case.is_conflict:
                _need_here(survey, case, kept)
            if case.take == Take.LOCAL or case.is_conflict:
                _need_there(survey, case, kept)
        elif fate == Fate.NEW_HERE:
            _need_there(survey, case, kept)
        elif fate in (Fate.NEW_THERE, Fate.UNSELECTED):
            # With a folder that is deleted here, an unselected one in it would be deleted, which
            # nobody has seen: so it comes back.
            _need_here(survey, case, kept)
        elif fate in (Fate.GONE_HERE, Fate.GONE_THERE) and has_merit(survey, case):
            _keep(survey, case, kept)
    while kept:
        _look_below(survey, kept.pop(), kept)


def _has_changed(survey: Survey, case: Case) -> bool:
    entry, base = case.here or case.there, case.base
    assert entry is not None
    assert base is not None
    return survey.sight.has_moved(entry, base) or not entry.is_same_content(base)


def _goes_with_folder(survey: Survey, case: Case) -> bool:
    entry, base = case.here or case.there, case.base
    assert entry is not None
    assert base is not None
    view = survey.sight.local if case.fate == Fate.GONE_HERE else survey.sight.remote
    if entry.parent_id != base.parent_id or view.find(case.file_id) is None:
        return False
    above = survey.case(base.parent_id)
    return above.fate == case.fate and has_merit(survey, above)


def _keep(survey: Survey, case: Case, kept: list[Case]) -> None:
    if case.is_kept:
        return
    case.is_kept = True
    survey.pull(case.file_id)
    kept.append(case)
    if case.fate == Fate.GONE_HERE:
        _need_here(survey, case, kept)
    else:
        _need_there(survey, case, kept)


def _need_here(survey: Survey, case: Case, kept: list[Case]) -> None:
    """The disk needs the folders of the server above this entry."""
    assert case.there is not None
    folder_id = case.there.parent_id
    while not survey.sight.is_local_folder(folder_id):
        above = survey.case(folder_id)
        if above.fate == Fate.GONE_HERE:
            _keep(survey, above, kept)
        if above.is_kept or above.there is None:
            return
        folder_id = above.there.parent_id


def _need_there(survey: Survey, case: Case, kept: list[Case]) -> None:
    """The server needs the folders of the disk above this entry."""
    assert case.here is not None
    folder_id = case.here.parent_id
    while not survey.sight.is_remote_folder(folder_id):
        above = survey.case(folder_id)
        if above.fate == Fate.GONE_THERE:
            _keep(survey, above, kept)
        if above.is_kept or above.here is None:
            return
        folder_id = above.here.parent_id


def _look_below(survey: Survey, case: Case, kept: list[Case]) -> None:
    """What was in a kept folder is kept or deleted one by one."""
    if not case.is_folder:
        return
    is_here = case.fate == Fate.GONE_THERE
    children = survey.sight.local_children if is_here else survey.sight.remote_children
    for entry in children(case.file_id).values():
        below = survey.pull(entry.file_id)
        if below.fate == case.fate and has_merit(survey, below):
            _keep(survey, below, kept)


def find_top_deleted(survey: Survey, case: Case) -> FileId:
    """Returns the highest folder above a deleted entry with which it goes, or its own id.

    One deletion of that folder deletes all below it.
    """
    fate, top = case.fate, case
    while True:
        entry = top.base if fate == Fate.GONE else top.here or top.there
        assert entry is not None
        if entry.parent_id == survey.sight.policy.root_id:
            return top.file_id
        above = survey.case(entry.parent_id)
        if above.fate != fate or above.is_kept:
            return top.file_id
        top = above
