# SPDX-License-Identifier: Apache-2.0
"""Walk: goes from folder to folder, and hands what it lists to the findings."""

from collections.abc import Container, Iterator, Mapping
from typing import Final

from drystone.client.ports import (
    Disk,
    DiskProblem,
    FolderListing,
    NotThere,
    Observed,
    Stat,
    State,
)
from drystone.client.steps.scan.findings import Candidate, Findings, is_left_out
from drystone.client.steps.scan.rules import RulesOnDisk, join_names
from drystone.client.steps.scan.sources import find_known, is_same_inode
from drystone.client.steps.scan.troubles import Troubles
from drystone.client.steps.scan.values import CONTROL_NAME, ScanBatch, Visit
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.names.ignore import IGNORE_FILE_NAME, IgnoreRules
from drystone.core.names.quoting import quoted
from drystone.core.tree.entry import Entry, Kind

_BATCH_ENTRIES: Final = 2_000
"""New or changed entries after which a batch is handed out, so that reading can begin."""

_BATCH_FOLDERS: Final = 1_000
"""Folders after which one is handed out all the same, so that progress shows."""


_FOLDER: Final = Kind.FOLDER
"""Reading a member of an enum takes as long as the comparison it is for."""


class Walk:
    """One pass over folders, depth first, parents before children.

    Args:
        disk: The synced folder.
        state: Its trees.
        findings: What is found goes there.
        troubles: What cannot be taken in goes there.
        is_full: Go down into folders that are known and in their place, too. If not, folders
            that were moved here are left for ``later``.
        doubtful: Ids of files whose fingerprints are not to be believed.
    """

    def __init__(
        self,
        disk: Disk,
        state: State,
        findings: Findings,
        troubles: Troubles,
        doubtful: set[FileId],
        *,
        is_full: bool,
    ) -> None:
        self.later: list[Visit] = []
        self.rules = RulesOnDisk(disk, troubles)
        self._disk = disk
        self._state = state
        self._findings = findings
        self._troubles = troubles
        self._doubtful = doubtful
        self._is_full = is_full
        self._visits: list[Visit] = []
        self._replaced: list[Visit] = []
        self._pushed: set[FileId] = set()
        self._folders_count = 0
        self._files_count = 0

    @property
    def other_names(self) -> frozenset[FileId]:
        """Folders in which files that were found edited so far have other names."""
        return frozenset(self._findings.other_names)

    def push(self, path: str, file_id: FileId, rules: IgnoreRules) -> None:
        """Puts a known folder on the way, once."""
        if file_id not in self._pushed:
            self._pushed.add(file_id)
            self._visits.append(Visit(path, file_id, rules, ROOT_ID))

    def run(self) -> Iterator[ScanBatch]:
        """Visits all there is to visit; yields what was found from time to time."""
        findings = self._findings
        folders_before = 0
        while self._visits or self._replaced:
            # A folder made anew may stand where one was that is met elsewhere, moved: so these
            # come last.
            self._visit((self._visits or self._replaced).pop())
            found_count = len(findings.created) + len(findings.unread)
            folders_count = self._folders_count - folders_before
            if found_count >= _BATCH_ENTRIES or folders_count >= _BATCH_FOLDERS:
                folders_before = self._folders_count
                yield self._take(is_complete=False)

    def run_later_if_missing(self) -> Iterator[ScanBatch]:
        """Decides moves; if somebody is missing then, looks for them in the folders that were
        left for ``later``: they may have gone there before these were moved, or since.
        """
        self._findings.decide_candidates()
        if self.later and self._findings.has_missing:
            self._is_full = True
            # Also if they were visited: then what is below them was not.
            self._visits += self.later
            self.later = []
            yield from self.run()

    def finish(self) -> ScanBatch:
        """Decides moves, notes absence, and returns the last of what was found."""
        self._findings.decide_candidates()
        self._findings.note_absence()
        return self._take(is_complete=True)

    # --- a folder ----------------------------------------------------------------------------

    def _visit(self, visit: Visit) -> None:
        try:
            listing = self._disk.list_folder(visit.path)
        except NotThere:
            return  # Gone since it was seen: whoever lists the folder above it will notice.
        except DiskProblem as error:
            self._troubles.note_error(visit.path, error)
            self._findings.keep_unlisted(visit)
            return
        names = {observed.name for observed in listing.observed}
        if visit.path and CONTROL_NAME in names:
            what = f"{quoted(visit.path)} is a synced folder of its own and is left out"
            self._troubles.note(visit.path, "nested-root", what)
            self._findings.keep_unlisted(visit)
            return
        self._folders_count += 1
        self._files_count += sum(1 for one in listing.observed if one.stat.kind is not _FOLDER)
        self._troubles.see_listed(visit.path, is_replaced=visit.observed is not None)
        skipped = self._findings.see_skipped(visit.path, listing.skipped)
        self._troubles.see_listing(visit.path, skipped, names)
        rules = visit.rules
        if IGNORE_FILE_NAME in names:
            rules = self.rules.extend(visit.path, rules)
        if visit.file_id is not None:
            self._compare(visit, listing, names, rules)
        else:
            self._enter_stranger(visit, listing, names, rules)

    def _enter_stranger(
        self, visit: Visit, listing: FolderListing, names: set[str], rules: IgnoreRules
    ) -> None:
        """A folder with an inode that is new here: moved, or made anew, or unknown."""
        path, observed, source, occupant = visit.path, visit.observed, visit.source, visit.occupant
        assert observed is not None
        findings = self._findings
        if (
            source is not None
            and findings.sources.is_vacated(source, path)
            and findings.sources.is_folder(source, path, listing)
            and not findings.sources.is_above(source, visit.parent_id)
        ):
            file_id = findings.claim(source, observed, visit.parent_id, path)
            if occupant is not None:
                findings.note_missing([occupant.file_id])
            if not self._is_full:
                self.later.append(Visit(path, file_id, visit.rules, visit.parent_id))
                return
            self._compare(visit._replace(file_id=file_id), listing, names, rules)
        elif occupant is not None and not findings.is_claimed(occupant.file_id):
            self._enter_replaced(visit, occupant, listing, names, rules)
        elif not is_left_out(self._state, observed, visit.parent_id, path, visit.rules):
            file_id = findings.create(observed, visit.parent_id, path)
            for child in listing.observed:
                self._meet_stranger(child, file_id, path, rules)

    def _enter_replaced(
        self,
        visit: Visit,
        occupant: Entry,
        listing: FolderListing,
        names: set[str],
        rules: IgnoreRules,
    ) -> None:
        """A folder was made anew in its place, or a disk was mounted or unmounted there."""
        assert visit.observed is not None
        known, _ = find_known(self._state, occupant.file_id)
        same = visit._replace(file_id=occupant.file_id)
        if known is not None and known.dev != visit.observed.stat.dev:
            synced = self._state.synced_stats(occupant.file_id)
            if any(name not in names for name in synced):
                self._troubles.note(
                    visit.path,
                    "other-disk",
                    f"{quoted(visit.path)} is on another disk than before: what is missing in it"
                    " is not taken for deleted",
                )
                self._compare(same, listing, names, rules, is_absence_told=False)
                return
        self._troubles.end(visit.path)
        self._findings.see_folder_in_place(occupant, visit.observed, visit.path)
        self._compare(same, listing, names, rules)

    # --- what is in it -----------------------------------------------------------------------

    def _compare(
        self,
        visit: Visit,
        listing: FolderListing,
        names: set[str],
        rules: IgnoreRules,
        *,
        is_absence_told: bool = True,
    ) -> None:
        """Matches a listing with what is known of a folder."""
        folder_id = visit.file_id
        assert folder_id is not None
        synced = self._state.synced_stats(folder_id)
        changes = self._state.local_changes
        entries = _find_differing(self._state, folder_id, synced)
        if not self._is_full and _is_ignore_file_other(synced, listing, names):
            self.later.append(visit._replace(observed=None, source=None, occupant=None))
        doubtful = self._doubtful
        unreadable = self._troubles.list_unreadable(visit.path)
        met_count = 0
        for observed in listing.observed:
            name, stat, _ = observed
            file_id, known = synced.get(name, _NOBODY)
            # Who is met where another one is known to be stands there from then on, also while
            # that one may still be found elsewhere: the folder may be compared once more.
            entry = entries.get(name) if entries is not None else None
            is_displaced = entry is not None and entry.file_id != file_id
            if known is not None and file_id not in changes and not is_displaced:
                met_count += 1
                if stat == known and stat.kind is not _FOLDER:
                    if file_id not in doubtful:
                        if name in unreadable:
                            self._troubles.end(join_names(visit.path, name))
                        continue
                elif _is_same_folder(stat, known):
                    if self._is_full:
                        self.push(join_names(visit.path, name), file_id, rules)
                    continue
                entry = self._state.synced.find(file_id)
            elif entry is None and known is not None and changes[file_id].entry is None:
                entry = self._state.synced.find(file_id)  # It was gone; something is back.
            if entry is None:
                self._meet_stranger(observed, folder_id, visit.path, rules)
            else:
                self._meet_known(observed, entry, visit, rules)
        if not is_absence_told or (entries is None and met_count == len(synced)):
            return
        present = names.union(skipped.name for skipped in listing.skipped)
        self._findings.note_missing(_find_missing(synced, entries, present))

    def _meet_known(
        self, observed: Observed, entry: Entry, visit: Visit, rules: IgnoreRules
    ) -> None:
        """Something stands where an entry is known to be, and may differ from it."""
        stat = observed.stat
        assert visit.file_id is not None
        if stat.kind != entry.kind:
            self._findings.note_missing([entry.file_id])
            self._meet_stranger(observed, visit.file_id, visit.path, rules)
            return
        path = join_names(visit.path, observed.name)
        if stat.kind != Kind.FOLDER:
            self._findings.see_in_place(entry, observed, path, rules)
            return
        known, _ = find_known(self._state, entry.file_id)
        if is_same_inode(stat, known):
            if known is not None and stat.mode != known.mode:
                self._findings.see_folder_in_place(entry, observed, path)
            if self._is_full:
                self.push(join_names(visit.path, observed.name), entry.file_id, rules)
        else:
            source = next(iter(self._findings.sources.find(stat, path, entry.file_id)), None)
            met = Visit(path, None, rules, visit.file_id, observed, source, occupant=entry)
            (self._replaced if source is None else self._visits).append(met)

    def _meet_stranger(
        self, observed: Observed, parent_id: FileId, folder: str, rules: IgnoreRules
    ) -> None:
        """Something stands where nothing is known to be."""
        path = join_names(folder, observed.name)
        sources = self._findings.sources.find(observed.stat, path)
        if observed.stat.kind == Kind.FOLDER:
            source = sources[0] if sources else None
            # Whether it was moved or is ignored is told once it has been listed.
            self._visits.append(Visit(path, None, rules, parent_id, observed, source))
            return
        candidate = Candidate(path, parent_id, observed, sources, None, rules)
        if sources:
            self._findings.add_candidate(candidate)
        else:
            self._findings.create_file(candidate)

    def _take(self, *, is_complete: bool) -> ScanBatch:
        created, unread = self._findings.take()
        return ScanBatch(created, unread, is_complete, self._folders_count, self._files_count)


def _find_differing(
    state: State, folder_id: FileId, synced: Mapping[str, tuple[FileId, Stat]]
) -> Mapping[str, Entry] | None:
    """Returns what is known to stand in a folder, None if that is just what is synced."""
    changes = state.local_changes
    if not changes:
        return None
    is_changed = state.is_local_changed_in(folder_id)
    if is_changed or any(file_id in changes for file_id, _ in synced.values()):
        return state.local.children(folder_id)
    return None


def _find_missing(
    synced: Mapping[str, tuple[FileId, Stat]],
    entries: Mapping[str, Entry] | None,
    present: Container[str],
) -> list[FileId]:
    """Returns who is known to stand in a folder and does not."""
    if entries is None:
        return [file_id for name, (file_id, _) in synced.items() if name not in present]
    return [entry.file_id for name, entry in entries.items() if name not in present]


_NOBODY: Final[tuple[FileId, Stat | None]] = (ROOT_ID, None)


def _is_same_folder(stat: Stat, known: Stat) -> bool:
    """Tells whether both are the same folder with the same mode, whatever is in it now."""
    return stat.kind is _FOLDER and stat[4:] == known[4:] and known.kind is _FOLDER


def _is_ignore_file_other(
    synced: Mapping[str, tuple[FileId, Stat]], listing: FolderListing, names: set[str]
) -> bool:
    """Tells whether the folder's ignore file is new, changed or gone."""
    _, known = synced.get(IGNORE_FILE_NAME, _NOBODY)
    if IGNORE_FILE_NAME not in names:
        return known is not None
    seen = next(one for one in listing.observed if one.name == IGNORE_FILE_NAME)
    return seen.stat != known
