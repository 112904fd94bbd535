# SPDX-License-Identifier: Apache-2.0
"""A desk: one synced folder with scan, digest and materialize on it, and no server.

``agree`` plays the server that takes everything as it is.
"""

from itertools import count

from drystone.client.adapters.state_sqlite import open_state
from drystone.client.ports import Disk, LocalChange, SyncedRow, Unread
from drystone.client.steps.digest import Digest, DigestOutcome, plan_reading
from drystone.client.steps.materialize import DiskStep, Materialize, StepOutcome
from drystone.client.steps.scan import Scan, ScanBatch
from drystone.core.content.digest import digest_whole
from drystone.core.ids import BlockId, FileId
from drystone.core.planning.plan import Discard
from drystone.core.tree.entry import Entry, Kind

NOW_NS = 1_900_000_000 * 10**9
"""Long after everything that a fake disk stamps: nothing is racy unless a test wants it."""


class Desk:
    """See the module.

    Args:
        disk: The synced folder.
        now_ns: The clock; by default it stands still.
    """

    def __init__(self, disk: Disk, now_ns: int = NOW_NS) -> None:
        self.disk = disk
        self.now_ns = now_ns
        self.state, _ = open_state(":memory:", "boot", NOW_NS)
        self.doubtful: set[FileId] = set()
        numbers = count(1)
        self.new_file_id = lambda: FileId(next(numbers).to_bytes(16, "big"))
        self.scan = Scan(disk, self.state, self.new_file_id, self._now, self.doubtful)
        self.rests_s: list[float] = []
        self.digest = Digest(disk, self.state, self._now, rest=self._rest)
        self.materialize = Materialize(disk, self.state, self._now)

    def look(self, *hinted: str) -> list[ScanBatch]:
        """Scans fully, or where hinted."""
        found = list(self.scan.hinted(hinted) if hinted else self.scan.full())
        return found + list(self.scan.below()) if self.scan.has_rest else found

    def read(self, batches: list[ScanBatch]) -> frozenset[str]:
        """Reads what a scan found; returns the folders to look at again."""
        return self.digest.note(self.read_only([u for batch in batches for u in batch.unread]))

    def read_only(self, unread: list[Unread]) -> list[DigestOutcome]:
        """Reads files without noting anything."""
        reading = plan_reading(unread)
        outcomes = [one for group in reading.groups for one in self.digest.read_group(group)]
        return outcomes + [self.digest.read_large(one) for one in reading.large]

    def see(self, *hinted: str) -> dict[str, LocalChange]:
        """Scans and reads; returns how the disk differs from synced, by local path."""
        self.read(self.look(*hinted))
        return self.changes()

    def changes(self) -> dict[str, LocalChange]:
        """Returns local changes by path; what is gone by its synced path with a minus."""
        found: dict[str, LocalChange] = {}
        for file_id, change in self.state.local_changes.items():
            if change.entry is not None:
                path = self.state.path_of(self.state.local, file_id)
                found[f"?{file_id.hex()}" if path is None else path] = change
            else:
                path = self.state.path_of(self.state.synced, file_id)
                found[f"-{path}"] = change
        return found

    def agree(self) -> None:
        """Sees everything and makes it synced."""
        self.see()
        for file_id, change in list(self.state.local_changes.items()):
            if change.entry is None or change.stat is None:
                self.state.settle(file_id, None)
            else:
                self.state.settle(file_id, SyncedRow(change.entry, change.stat))
        assert not self.state.local_changes

    def look_again(self, path: str) -> Unread:
        """Returns how a file is to be read now."""
        stat = self.disk.find_stat(path)
        assert stat is not None
        return Unread(self.find(path).file_id, path, stat)

    def find(self, path: str) -> Entry:
        """Returns the local entry at a path."""
        folder_id = FileId(bytes(16))
        names = path.split("/")
        for name in names[:-1]:
            folder = self.state.local.children(folder_id)[name]
            assert folder.kind == Kind.FOLDER
            folder_id = folder.file_id
        return self.state.local.children(folder_id)[names[-1]]

    def do(self, *steps: DiskStep, **contents: bytes) -> list[StepOutcome]:
        """Carries out steps and notes what became of them; contents by entry name."""
        by_id = {
            step.entry.file_id: contents[step.entry.name]
            for step in steps
            if not isinstance(step, Discard) and step.entry.name in contents
        }
        jobs = self.materialize.resolve(steps)
        outcomes = self.materialize.carry_out(jobs, by_id)
        self.materialize.note(outcomes)
        return outcomes

    def digest_of(self, content: bytes) -> BlockId:
        """Returns the root of a content."""
        return digest_whole(content).content.root

    def _now(self) -> int:
        return self.now_ns

    def _rest(self, wait_s: float) -> None:
        self.rests_s.append(wait_s)
        self.now_ns += round(wait_s * 1e9)
