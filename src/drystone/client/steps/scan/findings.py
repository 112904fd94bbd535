# SPDX-License-Identifier: Apache-2.0
"""Findings: who is who, and what one pass of a scan notes about them in State."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from drystone.client.ports import (
    Disk,
    LocalChange,
    Observed,
    Skipped,
    Stat,
    State,
    SyncedRow,
    Unread,
)
from drystone.client.steps.scan.sources import Sources, find_known, is_same_inode
from drystone.client.steps.scan.unnamed import Unnamed
from drystone.client.steps.scan.values import Visit
from drystone.core.content.content import EMPTY_CONTENT
from drystone.core.ids import FileId, Rev
from drystone.core.names.ignore import IgnoreRules
from drystone.core.planning.merging.sight import as_held
from drystone.core.tree.entry import Entry, Kind


class Candidate(NamedTuple):
    """A file that may be one of ``sources``, moved here: decided when all else has been seen."""

    path: str
    parent_id: FileId
    observed: Observed
    sources: tuple[SyncedRow, ...]
    occupant: Entry | None
    """Who stood here before, if it is of the same kind."""
    rules: IgnoreRules


def is_left_out(
    state: State, observed: Observed, parent_id: FileId, path: str, rules: IgnoreRules
) -> bool:
    """Tells whether rules leave out something new. What the server has at its place they do not:
    it is to come here, and the two are to be compared.
    """
    if not rules or not rules.is_ignored(path, is_folder=observed.stat.kind == Kind.FOLDER):
        return False
    return observed.name not in state.remote.children(parent_id)


class Findings:
    """What one pass found. Notes creations and edits at once, moves and absence at its end.

    Attributes:
        created: Ids of new entries since the last ``take``.
        unread: Files to be read since the last ``take``.
        other_names: Folders in which edited files have other names.
    """

    def __init__(
        self,
        disk: Disk,
        state: State,
        new_file_id: Callable[[], FileId],
        doubtful: set[FileId],
        unnamed: Unnamed,
    ) -> None:
        self.created: list[FileId] = []
        self.unread: list[Unread] = []
        self._traits = disk.traits.for_planning
        self.other_names: set[FileId] = set()
        self._state = state
        # What a first sync finds cannot have taken the place of anything.
        self._judges_new = state.count_synced() > 0
        self._new_file_id = new_file_id
        self._doubtful = doubtful
        self._unnamed = unnamed
        self._missing: list[FileId] = []
        self._candidates: list[Candidate] = []
        self._claimed: set[FileId] = set()
        self._in_place: set[FileId] = set()
        self.sources = Sources(disk, state, self._claimed, self._in_place)

    def take(self) -> tuple[tuple[FileId, ...], tuple[Unread, ...]]:
        """Returns ``created`` and ``unread``, and empties them."""
        taken = tuple(self.created), tuple(self.unread)
        self.created.clear()
        self.unread.clear()
        return taken

    # --- what a listing shows ----------------------------------------------------------------

    def create(self, observed: Observed, parent_id: FileId, path: str) -> FileId:
        """Notes an entry nobody knew."""
        name, stat, target = observed
        file_id = self._new_file_id()
        kind = stat.kind
        content = None
        if kind == Kind.FILE:
            if stat.size_bytes:
                self.unread.append(Unread(file_id, path, stat, self._judges_new))
            else:
                content = EMPTY_CONTENT
        is_link = kind == Kind.SYMLINK
        mode = 0 if is_link or not self._traits.holds_modes else stat.mode
        mtime_ns = 0 if kind == Kind.FOLDER else stat.mtime_ns
        entry = Entry(file_id, parent_id, name, kind, content, mode, mtime_ns, target, Rev(0))
        self._state.note_local(file_id, LocalChange(entry, stat))
        self.created.append(file_id)
        return file_id

    def create_file(self, candidate: Candidate) -> None:
        """Notes a file nobody knew, unless rules leave it out."""
        path, parent_id, observed, _, _, rules = candidate
        if not is_left_out(self._state, observed, parent_id, path, rules):
            self.create(observed, parent_id, path)

    def claim(self, source: SyncedRow, observed: Observed, parent_id: FileId, path: str) -> FileId:
        """Notes that a synced entry is here now, and perhaps changed."""
        file_id = source.entry.file_id
        self._claimed.add(file_id)
        change = self._state.local_changes.get(file_id)
        entry = source.entry if change is None or change.entry is None else change.entry
        moved = entry._replace(parent_id=parent_id, name=observed.name)
        known = source.stat if change is None or change.stat is None else change.stat
        if (
            moved.kind == Kind.FILE
            and known._replace(ctime_ns=observed.stat.ctime_ns) == observed.stat
        ):
            # Moving it changed its ctime. An edit that restored size and mtime would hide behind
            # that: so the move may be planned at once, and the file is read again in time.
            known = observed.stat
            self._doubtful.discard(file_id)
            self._note_seen(moved, known, observed, source, path)
            self._doubtful.add(file_id)
        else:
            self._note_seen(moved, known, observed, source, path)
        return file_id

    def add_candidate(self, candidate: Candidate) -> None:
        """Keeps in mind a file that may have been moved."""
        self._candidates.append(candidate)

    def see_in_place(self, entry: Entry, observed: Observed, path: str, rules: IgnoreRules) -> None:
        """A file or symlink stands in the place of one, and differs from what is known."""
        known, row = find_known(self._state, entry.file_id)
        stat = observed.stat
        if not is_same_inode(stat, known):
            sources = self.sources.find(stat, path, entry.file_id)
            if sources:
                parent_id = entry.parent_id
                self._candidates.append(Candidate(path, parent_id, observed, sources, entry, rules))
                return
        self._in_place.add(entry.file_id)
        self._note_seen(entry, known, observed, row, path)

    def is_claimed(self, file_id: FileId) -> bool:
        """Tells whether an entry was found elsewhere, moved."""
        return file_id in self._claimed

    def see_folder_in_place(self, entry: Entry, observed: Observed, path: str) -> None:
        """A folder stands in the place of one; its inode or mode may be another."""
        self._in_place.add(entry.file_id)
        known, row = find_known(self._state, entry.file_id)
        self._note_seen(entry, known, observed, row, path)

    def keep_unlisted(self, visit: Visit) -> None:
        """A folder cannot be looked into. To take it for one that is known is harmless; to take
        that one for gone is not.
        """
        observed, source, occupant = visit.observed, visit.source, visit.occupant
        if observed is None:
            return
        if source is not None and self.sources.is_vacated(source, visit.path):
            self.claim(source, observed, visit.parent_id, visit.path)
            if occupant is not None:
                self.note_missing([occupant.file_id])
        elif occupant is not None and not self.is_claimed(occupant.file_id):
            self.see_folder_in_place(occupant, observed, visit.path)

    def see_skipped(self, path: str, skipped: Sequence[Skipped]) -> Sequence[Skipped]:
        """A folder holds names that cannot be synced; returns them with more to say of some."""
        told, gone = self._unnamed.see(path, skipped)
        self._missing.extend(gone)
        return told

    def note_missing(self, file_ids: Iterable[FileId]) -> None:
        """Keeps in mind who was not in a complete listing of its folder."""
        self._missing.extend(file_ids)

    # --- the end of a pass -------------------------------------------------------------------

    def decide_candidates(self) -> None:
        """Decides who was moved; those that nobody claims are new files."""
        candidates, self._candidates = self._candidates, []
        strangers: list[Candidate] = []
        for candidate in candidates:
            path, parent_id, observed, sources, occupant, _ = candidate
            source = next((one for one in sources if self._may_claim(one, path)), None)
            if source is not None:
                self.claim(source, observed, parent_id, path)
                if occupant is not None:
                    self._missing.append(occupant.file_id)
            elif occupant is not None and occupant.file_id not in self._claimed:
                self._in_place.add(occupant.file_id)
                known, row = find_known(self._state, occupant.file_id)
                self._note_seen(occupant, known, observed, row, path)
            else:
                strangers.append(candidate)
        for stranger in strangers:
            self.create_file(stranger)

    @property
    def has_missing(self) -> bool:
        """Whether somebody who was missing was not found elsewhere so far."""
        return any(file_id not in self._claimed for file_id in self._missing)

    def note_absence(self) -> None:
        """Notes as gone who was missing and was not found elsewhere."""
        state = self._state
        lost_folder = False
        unnamed = self._unnamed.settle(self._claimed)
        for file_id in self._missing:
            if file_id in self._claimed or file_id in unnamed:
                continue
            entry = state.local.find(file_id)
            lost_folder |= entry is not None and entry.kind == Kind.FOLDER
            state.note_local(file_id, LocalChange(None, None))
            self._doubtful.discard(file_id)
        self._missing.clear()
        if lost_folder:
            _note_lost_with_folders(state)

    # --- inside ------------------------------------------------------------------------------

    def _may_claim(self, source: SyncedRow, path: str) -> bool:
        return source.entry.file_id not in self._claimed and self.sources.is_vacated(source, path)

    def _note_seen(
        self,
        entry: Entry,
        known: Stat | None,
        observed: Observed,
        row: SyncedRow | None,
        path: str,
    ) -> None:
        """Notes how an entry looks now; ``known`` is the fingerprint that goes with ``entry``."""
        stat = observed.stat
        # The disk may not hold every mode and time exactly: only what changed on it counts.
        if self._traits.holds_modes and (known is None or stat.mode != known.mode):
            entry = entry._replace(mode=0 if entry.kind == Kind.SYMLINK else stat.mode)
        if entry.kind == Kind.FILE:
            entry = self._see_file(entry, known, stat, path)
        elif entry.kind == Kind.SYMLINK:
            is_same_time = known is not None and stat.mtime_ns == known.mtime_ns
            mtime_ns = entry.mtime_ns if is_same_time else stat.mtime_ns
            entry = entry._replace(target=observed.target, mtime_ns=mtime_ns)
        state = self._state
        is_read = entry.kind != Kind.FILE or entry.content is not None
        if (
            row is not None
            and is_read
            and entry.is_at_same_place(row.entry)
            and as_held(entry, row.entry, self._traits).is_same_state(row.entry)
        ):
            # Only the fingerprint differs: synced learns it, so that it is quick next time.
            if stat != row.stat:
                state.settle(entry.file_id, row._replace(stat=stat))
            state.note_local(entry.file_id, None)
        else:
            state.note_local(entry.file_id, LocalChange(entry, stat))

    def _see_file(self, entry: Entry, known: Stat | None, stat: Stat, path: str) -> Entry:
        if known is None or stat.mtime_ns != known.mtime_ns:
            entry = entry._replace(mtime_ns=stat.mtime_ns)
        file_id = entry.file_id
        is_doubtful = file_id in self._doubtful
        if stat == known and entry.content is not None and not is_doubtful:
            return entry
        self._doubtful.discard(file_id)
        if not stat.size_bytes:
            return entry._replace(content=EMPTY_CONTENT)
        self.unread.append(Unread(file_id, path, stat, is_judged=True))
        if known is not None:
            # A watcher tells of the name through which it was written, and of no other.
            rows = self._state.list_by_inode(stat.dev, stat.ino)
            self.other_names |= {r.entry.parent_id for r in rows if r.entry.file_id != file_id}
        return entry._replace(content=None)


def _note_lost_with_folders(state: State) -> None:
    """What had been moved into a folder that is gone now went with it."""
    for file_id, change in list(state.local_changes.items()):
        entry = change.entry
        if entry is not None and state.path_of(state.local, entry.parent_id) is None:
            state.note_local(file_id, LocalChange(None, None))
