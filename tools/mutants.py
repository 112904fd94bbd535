# SPDX-License-Identifier: Apache-2.0
"""Ways to break the planner, the guards and the commit decision, each of which a test must notice.

``tools/mutate.py`` tries them; ``tests/house/test_mutants.py`` sees to it that each still says
something about the source.
"""

from typing import Final, NamedTuple


class Mutant(NamedTuple):
    """One change of the source.

    Attributes:
        name: What is broken, in a few words.
        path: Of the module, below ``src/drystone``.
        old: Lines that stand in it once.
        new: What stands there instead.
    """

    name: str
    path: str
    old: str
    new: str


_RECONCILE: Final = "core/planning/reconcile.py"
_CASE: Final = "core/planning/merging/case.py"
_MERGE: Final = "core/planning/merging/merge.py"
_SURVIVAL: Final = "core/planning/merging/survival.py"
_NAMING: Final = "core/planning/merging/naming.py"
_SIGHT: Final = "core/planning/merging/sight.py"
_DRAFT: Final = "core/planning/draft.py"
_LINKS: Final = "core/planning/links.py"
_ORDER: Final = "core/planning/order.py"
_PROGRESS: Final = "core/planning/progress.py"
_GUARDS: Final = "core/planning/guards.py"
_DECIDE: Final = "core/journal/decide.py"
_JOURNAL_DRAFT: Final = "core/journal/draft.py"
_ADVANCE: Final = "client/steps/advance.py"

PLANNER: Final = (
    Mutant(
        "edits on both sides: the server's wins and nothing is kept",
        _MERGE,
        "    if is_edited_here and is_edited_there and not here.is_same_content(there):\n"
        "        return None\n",
        "",
    ),
    Mutant(
        "the same edit on both sides is a conflict",
        _MERGE,
        "is_edited_there and not here.is_same_content(there):",
        "is_edited_there:",
    ),
    Mutant(
        "the same new file on both sides is a conflict",
        _NAMING,
        "    return case.here.kind == Kind.FOLDER == other.there.kind or"
        " case.here.is_same_content(\n        other.there\n    )\n",
        "    return case.here.kind == Kind.FOLDER == other.there.kind\n",
    ),
    Mutant(
        "new files of one name count as the same",
        _NAMING,
        "    return case.here.kind == Kind.FOLDER == other.there.kind or"
        " case.here.is_same_content(\n        other.there\n    )\n",
        "    return case.here.kind == other.there.kind\n",
    ),
    Mutant(
        "an mtime set here is not sent",
        _MERGE,
        "    elif not is_edited_there and there.mtime_ns == base.mtime_ns:\n"
        "        mtime_ns = here.mtime_ns\n",
        "",
    ),
    Mutant(
        "the disk's mode wins always",
        _MERGE,
        "mode = here.mode if there.mode in (base.mode, 0) else there.mode",
        "mode = here.mode",
    ),
    Mutant(
        "a move here is taken back",
        _MERGE,
        "    if not has_moved(here, base):\n",
        "    if True:\n",
    ),
    Mutant(
        "moved on both sides: both go on moving it",
        _MERGE,
        "        case.take = Take.LOCAL\n    else:\n        case.take = Take.REMOTE\n",
        "        case.take = Take.LOCAL\n    else:\n        case.take = Take.LOCAL\n",
    ),
    Mutant(
        "folders moved into each other stay a ring",
        _RECONCILE,
        "            unknot(survey, case)\n",
        "            pass\n",
    ),
    Mutant(
        "an edit does not survive a deletion",
        _SURVIVAL,
        "    return survey.sight.has_moved(entry, base) or not entry.is_same_content(base)\n",
        "    return survey.sight.has_moved(entry, base)\n",
    ),
    Mutant(
        "a move does not survive a deletion",
        _SURVIVAL,
        "    return survey.sight.has_moved(entry, base) or not entry.is_same_content(base)\n",
        "    return not entry.is_same_content(base)\n",
    ),
    Mutant(
        "whatever is deleted here is brought back",
        _SURVIVAL,
        "    return survey.sight.has_moved(entry, base) or not entry.is_same_content(base)\n",
        "    return True\n",
    ),
    Mutant(
        "a deleted folder is not kept for what is new in it on the server",
        _SURVIVAL,
        "        if above.fate == Fate.GONE_HERE:\n            _keep(survey, above, kept)\n",
        "",
    ),
    Mutant(
        "a deleted folder is not kept for what is new in it on the disk",
        _SURVIVAL,
        "        elif fate == Fate.NEW_HERE:\n            _need_there(survey, case, kept)\n",
        "",
    ),
    Mutant(
        "what is in a kept folder is not looked at",
        _SURVIVAL,
        "    while kept:\n        _look_below(survey, kept.pop(), kept)\n",
        "",
    ),
    Mutant(
        "a side that was not seen whole counts as whole",
        _CASE,
        "elif not self._is_whole or sight.is_unsound(file_id):",
        "elif sight.is_unsound(file_id):",
    ),
    Mutant(
        "a file that was not read yet is planned",
        _CASE,
        "            if here.kind == Kind.FILE and here.content is None:\n",
        "            if False:\n",
    ),
    Mutant(
        "what lies in a dead folder lives",
        _SIGHT,
        "            if folder is None or folder.kind != Kind.FOLDER:\n"
        "                known[folder_id] = False\n",
        "            if folder is None or folder.kind != Kind.FOLDER:\n"
        "                known[folder_id] = True\n",
    ),
    Mutant(
        "who has a name on the server is not looked at",
        _LINKS,
        "        leaver = self._draft.leave_there.get(occupant.file_id)\n"
        "        if leaver is not None:\n"
        "            self._graph.yields[vertex] = leaver\n"
        "        else:\n"
        "            self._graph.steps[vertex] = None\n",
        "",
    ),
    Mutant(
        "a folder is deleted before what survives has left it",
        _LINKS,
        "        elif deleted is None or above.fate == deleted:\n"
        "            self._graph.need(end, vertex)\n",
        "",
    ),
    Mutant(
        "what comes into a new folder does not wait for it",
        _LINKS,
        "        if not self._sight.is_local_folder(above):\n"
        "            self._need_or_wait(vertex, self._draft.arrive_here.get(above))\n",
        "",
    ),
    Mutant(
        "a ring of moves is not cut by a detour",
        _ORDER,
        "                self._detour(vertex, leaver)\n                return\n",
        "                break\n",
    ),
    Mutant(
        "steps do not wait for those that wait themselves",
        _ORDER,
        "                if is_blocked and not self._is_loose(waiter, vertex):\n"
        "                    self._graph.steps[waiter] = None\n",
        "",
    ),
    Mutant(
        "the loser of a conflict is deleted instead of set aside",
        _DRAFT,
        "        vertex = self.graph.add(case.file_id, SetAside(here, entry))\n",
        "        vertex = self.graph.add(case.file_id, Discard(here))\n",
    ),
    Mutant(
        "an edit does not say what it replaces",
        _DRAFT,
        "    return Edit(entry.file_id, there.rev, entry.content,",
        "    return Edit(entry.file_id, Rev(0), entry.content,",
    ),
    Mutant(
        "synced believes the disk's state where the server has another",
        _PROGRESS,
        "            return Settled(entry.file_id, agreed, local=entry, local_id=local_id)\n",
        "            return Settled(entry.file_id, entry, local_id=local_id)\n",
    ),
    Mutant(
        "a renewed entry keeps the folder id it was planned with",
        _ADVANCE,
        "            local = local._replace(parent_id=known.parent_id)\n",
        "            pass\n",
    ),
)

GUARDS: Final = (
    Mutant(
        "deletions on the server are never stopped",
        _GUARDS,
        "        (there, (LOCAL_EMPTIED, LOCAL_MASS_DELETION)),\n",
        "",
    ),
    Mutant(
        "deletions on the disk are never stopped",
        _GUARDS,
        "        (here, (REMOTE_EMPTIED, REMOTE_MASS_DELETION)),\n",
        "",
    ),
    Mutant(
        "what is below a deleted folder does not count",
        _GUARDS,
        "            count += count_below(file_id)\n",
        "            count += 0\n",
    ),
    Mutant(
        "a permission covers any number of deletions",
        _GUARDS,
        "permission.code == halt.code and halt.entries_count <= permission.entries_count_max",
        "permission.code == halt.code",
    ),
    Mutant(
        "a permission covers any kind of deletion",
        _GUARDS,
        "permission.code == halt.code and halt.entries_count <= permission.entries_count_max",
        "halt.entries_count <= permission.entries_count_max",
    ),
    Mutant(
        "what moves out of a deleted folder counts as deleted",
        _GUARDS,
        "            count -= _count_saved(plan, set(deleted), synced, count_below)\n",
        "            count -= 0\n",
    ),
)

DECISION: Final = (
    Mutant(
        "an edit of an old revision replaces the present one",
        _DECIDE,
        "        if change.base_rev == known.rev:\n",
        "        if change.base_rev <= known.rev:\n",
    ),
    Mutant(
        "a deletion of an old revision deletes the present one",
        _DECIDE,
        "        if known.rev != change.base_rev:\n"
        "            return refusals.stale_rev(known, change.base_rev)\n",
        "",
    ),
    Mutant(
        "a folder is deleted with what others put in it",
        _DECIDE,
        "        if is_folder and self._draft.has_changed_below(known.file_id, self._seen_seq):\n"
        "            return refusals.folder_changed(known)\n",
        "",
    ),
    Mutant(
        "a folder can be moved below itself",
        _DECIDE,
        "        if known.kind is Kind.FOLDER and"
        " self._draft.is_below(change.parent_id, known.file_id):\n"
        "            return refusals.cycle(known)\n",
        "",
    ),
    Mutant(
        "a move from another place than it stands at is accepted",
        _DECIDE,
        "        if (known.parent_id, known.name) != (change.base_parent_id, change.base_name):\n",
        "        if False:\n",
    ),
    Mutant(
        "a new entry takes a name that another one has",
        _DECIDE,
        "            if change.on_conflict is OnConflict.REFUSE or"
        " self._holds_same(occupant, entry):\n"
        "                return refusals.name_taken(entry.name, occupant)\n"
        "            return self._create_copy(entry)\n",
        "            pass\n",
    ),
    Mutant(
        "a repeated creation is refused",
        _DECIDE,
        "        if is_same and entry.is_at_same_place(known):\n"
        "            return _accepted(existing)\n",
        "",
    ),
    Mutant(
        "a repeated edit is refused",
        _DECIDE,
        "        if entry.is_same_state(known):\n"
        "            return _accepted(existing)\n"
        "        if refusal := self._check_content(entry):\n"
        "            return refusal\n"
        "        if change.base_rev",
        "        if refusal := self._check_content(entry):\n"
        "            return refusal\n"
        "        if change.base_rev",
    ),
    Mutant(
        "a content is committed whose blocks are not there",
        _DECIDE,
        "        return None if missing is None"
        " else refusals.blocks_missing(entry.name, missing)\n",
        "        return None\n",
    ),
    Mutant(
        "an entry can be put into a deleted folder",
        _JOURNAL_DRAFT,
        "            if stored is None or stored.is_deleted or"
        " stored.entry.kind is not Kind.FOLDER:\n",
        "            if stored is None or stored.entry.kind is not Kind.FOLDER:\n",
    ),
    Mutant(
        "of all or nothing a part is accepted",
        _DECIDE,
        "    if commit.all_or_nothing and any(",
        "    if False and any(",
    ),
    Mutant(
        "each record has the same seq",
        _JOURNAL_DRAFT,
        "        self._seq = seq\n",
        "",
    ),
)

MUTANTS: Final = (*PLANNER, *GUARDS, *DECISION)
