# SPDX-License-Identifier: Apache-2.0
"""Scan: the door. Which folders are looked at, and when what was found may be planned."""

from collections.abc import Callable, Iterable, Iterator

from drystone.client.ports import Disk, State
from drystone.client.steps.scan.findings import Findings
from drystone.client.steps.scan.sources import find_known, is_same_inode
from drystone.client.steps.scan.troubles import Troubles
from drystone.client.steps.scan.unnamed import Unnamed
from drystone.client.steps.scan.values import ScanBatch, Visit
from drystone.client.steps.scan.walk import Walk
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.names.ignore import NO_RULES
from drystone.core.tree.entry import Kind


class Scan:
    """Looks at the disk, wholly or where hints say.

    Uses State: while a batch is being made nobody else may use it, nor may anything be under
    way on the disk that State has not been told of. Between two batches anything may happen.

    Args:
        disk: The synced folder.
        state: Its trees; local changes and problems are noted there.
        new_file_id: Makes ids for new entries (UUIDv7).
        now_ns: The clock, for noting since when there is trouble.
        doubtful: Ids of files whose fingerprints are not to be believed: they are noted as
            unread when they are met next, and taken out. ``Digest`` adds those it read within
            a tick of being written.
    """

    def __init__(
        self,
        disk: Disk,
        state: State,
        new_file_id: Callable[[], FileId],
        now_ns: Callable[[], int],
        doubtful: set[FileId],
    ) -> None:
        self._disk = disk
        self._state = state
        self._new_file_id = new_file_id
        self._now_ns = now_ns
        self._doubtful = doubtful
        self._unnamed = Unnamed(disk, state)
        self._moved: list[Visit] = []
        """Folders that ``hinted`` met, moved, and did not look into."""

    @property
    def has_rest(self) -> bool:
        """True if there are folders for ``below``."""
        return bool(self._moved)

    @property
    def unnamed_ids(self) -> frozenset[FileId]:
        """Synced entries that stand on the disk under names that cannot be synced: whatever is
        planned for them has to wait until they have one.
        """
        return self._unnamed.ids()

    def full(self) -> Iterator[ScanBatch]:
        """Compares everything. The last batch, and only that, is complete.

        Raises:
            RootGone: Before or after: then nothing is noted as gone.

        Cost: one listing and one query per folder; memory for what differs.
        """
        self._disk.check_root()
        self._moved.clear()
        self._unnamed.forget()
        walk = self._begin(is_full=True)
        walk.push("", ROOT_ID, NO_RULES)
        yield from walk.run()
        self._disk.check_root()
        yield walk.finish()

    def hinted(self, folders: Iterable[str]) -> Iterator[ScanBatch]:
        """Compares these folders and what is new below them. The last batch, and only that, is
        complete. What is below folders that were moved into them is left to ``below``: the
        move itself is known by then, and others need not wait for the rest.

        A folder that is not known yet, or not there any more, stands for the one above it.

        Raises:
            RootGone: As for ``full``.
        """
        self._disk.check_root()
        walk = self._begin(is_full=False)
        for path in sorted(set(folders)):
            self._push_hinted(walk, path)
        yield from walk.run()
        for folder_id in walk.other_names:
            other = self._state.path_of(self._state.local, folder_id)
            if other is not None:
                self._push_hinted(walk, other)
        yield from walk.run()
        yield from walk.run_later_if_missing()
        self._disk.check_root()
        self._moved += walk.later
        yield walk.finish()

    def within(self, folders: Iterable[str]) -> Iterator[ScanBatch]:
        """Compares these folders and all below them. Batches and errors as in ``full``."""
        self._disk.check_root()
        walk = self._begin(is_full=True)
        for path in sorted(folders):
            self._push_hinted(walk, path)
        yield from walk.run()
        self._disk.check_root()
        yield walk.finish()

    def below(self) -> Iterator[ScanBatch]:
        """Compares what is below moved folders that ``hinted`` has met. Batches as in ``full``.

        Raises:
            RootGone: As for ``full``. It can be begun again.
        """
        self._disk.check_root()
        moved = list(self._moved)
        walk = self._begin(is_full=True)
        for visit in moved:
            assert visit.file_id is not None
            moved_to = self._state.path_of(self._state.local, visit.file_id)
            if moved_to is not None and self._stands_at(moved_to, visit.file_id):
                walk.push(moved_to, visit.file_id, visit.rules)
        yield from walk.run()
        self._disk.check_root()
        yield walk.finish()
        del self._moved[: len(moved)]

    def _begin(self, *, is_full: bool) -> Walk:
        findings = Findings(
            self._disk, self._state, self._new_file_id, self._doubtful, self._unnamed
        )
        troubles = Troubles(self._state, self._now_ns)
        return Walk(self._disk, self._state, findings, troubles, self._doubtful, is_full=is_full)

    def _push_hinted(self, walk: Walk, path: str) -> None:
        """Puts the deepest known folder of a hinted path on the way."""
        local = self._state.local
        known: list[tuple[str, FileId]] = [("", ROOT_ID)]
        for name in path.split("/") if path else ():
            above, folder_id = known[-1]
            entry = local.children(folder_id).get(name)
            if entry is None or entry.kind != Kind.FOLDER:
                break
            known.append((f"{above}/{name}" if above else name, entry.file_id))
        while len(known) > 1:
            if self._stands_at(*known[-1]):
                break
            known.pop()
        reached, folder_id = known[-1]
        # The folder's own rules are read when it is listed.
        rules = walk.rules.find(reached.rpartition("/")[0]) if reached else NO_RULES
        walk.push(reached, folder_id, rules)

    def _stands_at(self, path: str, folder_id: FileId) -> bool:
        """Tells whether a known folder still is where it is known to be. Another one that took
        its place must not be compared with it: the folder above tells who is who.
        """
        stat = self._disk.find_stat(path)
        if stat is None or stat.kind != Kind.FOLDER:
            return False
        known, _ = find_known(self._state, folder_id)
        return known is None or is_same_inode(stat, known)
