# SPDX-License-Identifier: Apache-2.0
"""Merge: what becomes of an entry that both sides have, content and place apart."""

from typing import NamedTuple

from drystone.core.ids import FileId
from drystone.core.names.detour import is_detour_name
from drystone.core.planning.merging.case import Case, Fate, Survey, Take
from drystone.core.planning.merging.survival import has_merit
from drystone.core.tree.entry import Entry, Kind


class Merged(NamedTuple):
    """Content, mode, mtime and target that both sides are to have.

    Attributes:
        entry: The server's entry with the merged state.
        is_for_disk: The disk has another state now.
        is_for_server: The server has another state now.
    """

    entry: Entry
    is_for_disk: bool
    is_for_server: bool


def merge_case(case: Case) -> Merged | None:
    """Returns the merged state of an entry that both sides have; None if they conflict.

    Without a base, who changed what is not known: other content is a conflict, and mode and
    mtime are the server's.
    """
    here, base, there = case.here, case.base, case.there
    assert here is not None
    assert there is not None
    if base is not None:
        return merge_state(here, base, there)
    if not here.is_same_content(there):
        return None
    return Merged(there, is_for_disk=not is_alike(here, there), is_for_server=False)


def merge_state(here: Entry, base: Entry, there: Entry) -> Merged | None:
    """Returns the merged state, or None if both changed the content and differ.

    Mode and mtime never conflict: each is the server's if it changed there, else the disk's;
    but the mtime goes with the content if that changed.
    """
    is_edited_here = not here.is_same_content(base)
    is_edited_there = not there.is_same_content(base)
    if is_edited_here and is_edited_there and not here.is_same_content(there):
        return None
    content, target, mtime_ns = there.content, there.target, there.mtime_ns
    if is_edited_here and not is_edited_there:
        content, target, mtime_ns = here.content, here.target, here.mtime_ns
    elif not is_edited_there and there.mtime_ns == base.mtime_ns:
        mtime_ns = here.mtime_ns
    mode = here.mode if there.mode in (base.mode, 0) else there.mode
    entry = there._replace(content=content, target=target, mode=mode, mtime_ns=mtime_ns)
    is_for_server = not is_alike(there, entry)
    if there.mode == 0 and here.mode not in (0, base.mode):
        # The server knew of no mode, and somebody here has given it one.
        is_for_server = True
    return Merged(entry, not is_alike(here, entry), is_for_server)


def is_alike(one: Entry, other: Entry) -> bool:
    """Tells whether two states need no step between them; mode 0 is unknown, so like any."""
    return (
        one.is_same_content(other)
        and (one.mtime_ns == other.mtime_ns or one.kind == Kind.FOLDER)
        and (one.mode in (other.mode, 0) or other.mode == 0)
    )


def choose(survey: Survey, case: Case) -> None:
    """Sets ``take`` and ``is_conflict`` of a case that both sides have, once."""
    if case.take is not None:
        return
    here, there = case.here, case.there
    assert here is not None
    assert there is not None
    case.is_conflict = merge_case(case) is None
    if here.is_at_same_place(there):
        case.take = Take.SAME
        return
    base = case.base or there
    has_moved = survey.sight.has_moved
    if not has_moved(here, base):
        case.take = Take.REMOTE
    elif (
        there.is_at_same_place(base)
        or is_detour_name(there.name)
        or _is_deleted_here(survey, there.parent_id)
    ):
        case.take = Take.LOCAL
    else:
        case.take = Take.REMOTE


def unknot(survey: Survey, case: Case) -> None:
    """Gives up local moves that would put a folder below itself.

    Each side's tree is sound, so a ring has at least one folder that only the local side
    moved into it: those of the ring take the server's place.
    """
    ring = _find_ring(survey, case)
    for member in ring:
        is_moved_here = member.fate == Fate.BOTH and member.take == Take.LOCAL
        if is_moved_here and _parent_of(member) != _remote_parent_of(member):
            member.take, member.is_given_up = Take.REMOTE, True
            survey.pull(member.file_id)


def target_parent(survey: Survey, file_id: FileId) -> FileId | None:
    """Returns the folder an entry is to stand in; None if it stands nowhere."""
    case = survey.case(file_id)
    if case.fate == Fate.BOTH:
        choose(survey, case)
    return _parent_of(case)


def _is_deleted_here(survey: Survey, folder_id: FileId) -> bool:
    """Tells whether the disk's side deleted a folder of the server, or one above it."""
    while not survey.sight.is_local_folder(folder_id):
        case = survey.case(folder_id)
        if case.fate == Fate.GONE_HERE:
            return not has_merit(survey, case)
        if case.there is None:
            return False
        folder_id = case.there.parent_id
    return False


def _find_ring(survey: Survey, case: Case) -> list[Case]:
    trail = {case.file_id: case}
    folder_id = _parent_of(case)
    while folder_id is not None and folder_id != survey.sight.policy.root_id:
        if folder_id == case.file_id:
            return list(trail.values())
        if folder_id in trail:
            break
        above = survey.case(folder_id)
        if above.fate == Fate.BOTH:
            choose(survey, above)
        trail[folder_id] = above
        folder_id = _parent_of(above)
    return []


def _parent_of(case: Case) -> FileId | None:
    entry = case.there if case.take == Take.REMOTE else case.here or case.there
    return None if entry is None else entry.parent_id


def _remote_parent_of(case: Case) -> FileId | None:
    return None if case.there is None else case.there.parent_id
