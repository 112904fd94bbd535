# SPDX-License-Identifier: Apache-2.0
"""Reconcile: three trees in, a plan out. The heart of the client.

In this order:

1. ``Sight`` reads the trees around each candidate; ``Case`` says who has the entry.
2. ``merge`` decides whose place wins where both sides have it, and that no folder ends up
   below itself; ``survival`` decides what one side's changes bring back although the other
   side deleted it.
3. ``Naming`` decides who gets a name that both sides have given.
4. ``Draft`` makes steps of it, ``Links`` says what each waits for, ``order`` puts them in
   order.

What cannot be said yet waits, together with all that depends on it, and is planned again.
So each kind of step only needs to be right for the plain case, and a plan may be broken
off anywhere.
"""

from collections.abc import Iterable

from drystone.core.ids import FileId
from drystone.core.planning.draft import Draft
from drystone.core.planning.links import Links
from drystone.core.planning.merging.case import Fate, Survey, Take
from drystone.core.planning.merging.merge import choose, unknot
from drystone.core.planning.merging.naming import Naming
from drystone.core.planning.merging.sight import Sight
from drystone.core.planning.merging.survival import find_top_deleted, keep_survivors
from drystone.core.planning.order import arrange
from drystone.core.planning.plan import Plan
from drystone.core.planning.policy import Policy
from drystone.core.tree.view import TreeView


def reconcile(
    candidates: Iterable[FileId],
    local: TreeView,
    synced: TreeView,
    remote: TreeView,
    policy: Policy,
) -> Plan:
    """Returns the steps that bring disk and server together.

    The views say what they know; an entry lives in a tree only if all folders above it do,
    up to ``policy.root_id``. So of a deleted folder a view need only leave out the folder
    itself, and may still return what was below it.

    Args:
        candidates: Ids of all entries for which the local or the remote view says anything
            else than synced. While a side is incomplete, any part of them will do.
        local: The disk: synced with the local overlay on top. Files without content have
            not been read yet and wait.
        synced: What both sides last agreed on.
        remote: The server: synced with the remote overlay on top.
        policy: What the trees leave open.

    Cost: a few lookups for each candidate and one ``children`` call for each folder they
    stand in; about ten microseconds per new entry.
    """
    survey = Survey(Sight(local, synced, remote, policy))
    survey.give(candidates)
    _pull_neighbours(survey)
    if policy.local_complete and policy.remote_complete:
        _settle_fates(survey)
    naming = Naming(survey)
    for case in list(survey.work.values()):
        naming.resolve(case)
    draft = Draft(survey, naming)
    for case in survey.work.values():
        draft.add(case)
    links = Links(draft, survey, naming)
    for case in survey.work.values():
        links.link(case)
    links.link_deletions()
    return arrange(draft.graph, policy.new_id)


def _pull_neighbours(survey: Survey) -> None:
    """Pulls what stands where a candidate stands on the other side, and deleted folders above."""
    sight = survey.sight
    is_local_folder, is_remote_folder = sight.is_local_folder, sight.is_remote_folder
    is_whole = sight.policy.local_complete and sight.policy.remote_complete
    fresh = list(survey.work.values())
    while fresh:
        count = len(survey.work)
        for case in fresh:
            here, there = case.here, case.there
            if is_whole and here is not None and there is not None and here.is_at_same_place(there):
                continue  # Its place is its own on both sides.
            if here is not None and is_remote_folder(here.parent_id):
                other = sight.remote_children(here.parent_id).get(here.name)
                if other is not None and other.file_id != case.file_id:
                    survey.pull_neighbour(other.file_id)
            if there is not None and is_local_folder(there.parent_id):
                other = sight.local_children(there.parent_id).get(there.name)
                if other is not None and other.file_id != case.file_id:
                    survey.pull_neighbour(other.file_id)
            if case.fate >= Fate.GONE_HERE and case.base is not None:
                above = case.base.parent_id
                is_gone_too = survey.case(above).fate == case.fate
                if is_gone_too and survey.pull_neighbour(above).fate == Fate.UNSURE:
                    case.fate = Fate.UNSURE
        fresh = list(survey.work.values())[count:]


def _settle_fates(survey: Survey) -> None:
    both = [case for case in survey.work.values() if case.fate == Fate.BOTH]
    for case in both:
        choose(survey, case)
    for case in both:
        if case.take == Take.LOCAL and case.is_folder:
            unknot(survey, case)
    keep_survivors(survey)
    for case in list(survey.work.values()):
        if case.fate >= Fate.GONE_HERE and not case.is_kept:
            survey.pull(find_top_deleted(survey, case))
