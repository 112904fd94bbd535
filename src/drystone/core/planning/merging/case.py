# SPDX-License-Identifier: Apache-2.0
"""Case: what the three trees say of one entry, and what is to become of it."""

from collections.abc import Iterable
from enum import IntEnum

from drystone.core.ids import FileId
from drystone.core.planning.merging.sight import Sight, as_held
from drystone.core.tree.entry import Entry, Kind


class Fate(IntEnum):
    """Who has an entry."""

    NOWHERE = 0
    """No side has it, and synced does not know it."""
    UNSURE = 1
    """Too little is known: content not yet read, or a side not yet seen whole."""
    NEW_HERE = 2
    """Only the disk has it, and synced does not know it."""
    NEW_THERE = 3
    """Only the server has it, and synced does not know it."""
    UNSELECTED = 4
    """Only the server has it, and it stays so: it is an unselected folder."""
    BOTH = 5
    """Both sides have it."""
    GONE_HERE = 6
    """Gone from the disk since both agreed; the server has it."""
    GONE_THERE = 7
    """Gone from the server since both agreed, or unselected; the disk has it."""
    GONE = 8
    """Gone from both sides since they agreed."""


class Take(IntEnum):
    """Whose place an entry gets that both sides have."""

    SAME = 0
    LOCAL = 1
    REMOTE = 2


class Case:
    """One entry on its way to a plan.

    Attributes:
        here: On the disk, if it lives there; without what only the disk has made different.
        base: What both sides last agreed on.
        there: On the server, if it lives there.
        take: For ``BOTH``: whose place wins; None until it is chosen.
        is_given_up: The disk's move would have put it below itself.
        is_conflict: For ``BOTH``: both sides changed the content, and it differs.
        is_kept: For ``GONE_HERE`` and ``GONE_THERE``: the side that has it wins.
        has_merit: Kept for its own sake or its folder's, not only for what is below it.
        aside_name: The conflicted-copy name it gets on the disk because its name is taken.
        adopts: For ``NEW_HERE``: the ``NEW_THERE`` case it turns out to be.
        adopted_by: For ``NEW_THERE``: the ``NEW_HERE`` case that turns out to be it.
        is_stuck: Its name is taken until another step has been done.
    """

    __slots__ = (
        "adopted_by",
        "adopts",
        "aside_name",
        "base",
        "fate",
        "file_id",
        "has_merit",
        "here",
        "is_conflict",
        "is_given_up",
        "is_kept",
        "is_resolved",
        "is_stuck",
        "take",
        "there",
    )

    def __init__(
        self,
        file_id: FileId,
        fate: Fate,
        here: Entry | None,
        base: Entry | None,
        there: Entry | None,
    ) -> None:
        self.file_id = file_id
        self.fate = fate
        self.here = here
        self.base = base
        self.there = there
        self.take: Take | None = None
        self.is_conflict = False
        self.is_given_up = False
        self.is_kept = False
        self.has_merit: bool | None = None
        self.aside_name = ""
        self.adopts: Case | None = None
        self.adopted_by: Case | None = None
        self.is_resolved = False
        self.is_stuck = False

    @property
    def is_folder(self) -> bool:
        """True if it is a folder, wherever it is."""
        entry = self.here or self.there or self.base
        return entry is not None and entry.kind == Kind.FOLDER


class Survey:
    """The cases met so far. Those at work become steps; others are only looked at."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.work: dict[FileId, Case] = {}
        self._seen: dict[FileId, Case] = {}
        self._given: dict[FileId, None] = {}
        policy = sight.policy
        self._is_whole = policy.local_complete and policy.remote_complete

    def case(self, file_id: FileId) -> Case:
        """Returns the case of an entry, looking it up on first use."""
        found = self._seen.get(file_id)
        if found is None:
            found = self._seen[file_id] = self._examine(file_id)
        return found

    def pull(self, file_id: FileId) -> Case:
        """Returns the case of an entry, which is to be planned too."""
        found = self.work.get(file_id)
        if found is None:
            found = self.work[file_id] = self.case(file_id)
        return found

    def give(self, file_ids: Iterable[FileId]) -> None:
        """Pulls the candidates of the plan."""
        self._given.update(dict.fromkeys(file_ids))
        for file_id in self._given:
            self.pull(file_id)

    def pull_neighbour(self, file_id: FileId) -> Case:
        """Pulls an entry that a candidate met.

        If it is deleted, and yet no candidate, then not all candidates are given: something
        below it may have changed that nobody has looked at, so it waits.
        """
        found = self.pull(file_id)
        if found.fate >= Fate.GONE_HERE and file_id not in self._given:
            sight = self.sight
            if sight.local.find(file_id) is None or sight.remote.find(file_id) is None:
                found.fate = Fate.UNSURE
        return found

    def _examine(self, file_id: FileId) -> Case:
        sight = self.sight
        here = sight.find_local(file_id)
        base = sight.synced.find(file_id)
        there = sight.find_remote(file_id)
        if base is None and file_id in sight.policy.unselected:
            # If it is here, this device made it, and the answer was lost: both agree first.
            there = sight.find_unselected(file_id)
            if here is None:
                fate = Fate.NOWHERE if there is None else Fate.UNSELECTED
                return Case(file_id, fate, None, None, there)
        if here is not None:
            here = as_held(here, base or there, sight.policy.traits)
            if here.kind == Kind.FILE and here.content is None:
                return Case(file_id, Fate.UNSURE, here, base, there)
        if base is None and (here is None) != (there is None):
            fate = Fate.NEW_THERE if here is None else Fate.NEW_HERE
        elif not self._is_whole or sight.is_unsound(file_id):
            fate = Fate.UNSURE
        elif here is not None:
            fate = Fate.GONE_THERE if there is None else Fate.BOTH
        elif there is not None:
            fate = Fate.GONE_HERE
        else:
            fate = Fate.NOWHERE if base is None else Fate.GONE
        return Case(file_id, fate, here, base, there)
