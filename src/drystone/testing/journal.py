# SPDX-License-Identifier: Apache-2.0
"""A journal in a list, and the view of it: what decisions are tried on without an engine."""

from collections.abc import Collection, Mapping, Sequence

from drystone.core.ids import AccountId, DeviceId, FileId, Rev, Seq
from drystone.core.journal.change import Change, Commit, Outcome
from drystone.core.journal.decide import ALL_AVAILABLE, Contents, Decision, decide
from drystone.core.journal.draft import Author
from drystone.core.journal.fold import fold
from drystone.core.journal.record import Record, StoredEntry
from drystone.core.tree.entry import Kind
from drystone.core.tree.tree import Tree
from drystone.testing.strategies import Seen

AUTHOR = Author(AccountId(b"a" * 16), DeviceId(b"d" * 16), "laptop", 1_700_000_000_000_000_000)


class ListedJournal:
    """One namespace. Implements ``JournalView`` in the plainest way.

    Attributes:
        records: From seq 1 on.
        tree: Their fold.
        kept_after: Up to where history may have lost content.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.tree = Tree()
        self._last: dict[FileId, StoredEntry] = {}
        self.kept_after = Seq(0)

    @property
    def head(self) -> Seq:
        """The last seq."""
        return Seq(len(self.records))

    def commit(
        self,
        *changes: Change,
        seen_seq: int | None = None,
        all_or_nothing: bool = False,
        contents: Contents = ALL_AVAILABLE,
        author: Author = AUTHOR,
    ) -> tuple[Outcome, ...]:
        """Decides a commit, keeps its records and returns the outcomes."""
        seen = self.head if seen_seq is None else Seq(seen_seq)
        decision = decide(self, Commit(changes, seen, all_or_nothing), author, contents)
        self.keep(decision)
        return decision.outcomes

    def see(self) -> Seen:
        """Returns what somebody sees who has read everything."""
        gone = tuple(stored.entry.file_id for stored in self._last.values() if stored.is_deleted)
        return Seen(self.tree, self.head, gone)

    def keep(self, decision: Decision) -> None:
        """Appends the records of a decision; their seqs follow the head."""
        for number, record in enumerate(decision.records, len(self.records) + 1):
            assert record.seq == number, f"seq {record.seq} comes where {number} should"
        self.records += decision.records
        self.tree = fold(self.tree, decision.records)
        for record in decision.records:
            stored = StoredEntry(record.entry, record.seq, record.action)
            self._last[record.entry.file_id] = stored

    def find(self, file_id: FileId) -> StoredEntry | None:
        """Returns the entry that has or had this id."""
        return self._last.get(file_id)

    def find_lineage(self, file_ids: Collection[FileId]) -> Mapping[FileId, StoredEntry]:
        """Returns those of these entries that there are, and all folders above them."""
        found: dict[FileId, StoredEntry] = {}
        for file_id in file_ids:
            while file_id not in found and (stored := self._last.get(file_id)) is not None:
                found[file_id] = stored
                file_id = stored.entry.parent_id  # noqa: PLW2901  upwards from each
        return found

    def find_child(self, parent_id: FileId, name: str) -> FileId | None:
        """Returns who stands at a place."""
        entry = self.tree.children(parent_id).get(name)
        return None if entry is None else entry.file_id

    def changed_after(self, seq: Seq, limit: int) -> Sequence[StoredEntry]:
        """Returns the entries whose last record is after ``seq``, in the order of that."""
        changed = [stored for stored in self._last.values() if stored.seq > seq]
        return sorted(changed, key=lambda stored: stored.seq)[:limit]

    def folders_in(self, parent_ids: Collection[FileId]) -> Collection[FileId]:
        """Returns the undeleted folders directly in these."""
        is_folder = (e for e in self.tree if e.kind is Kind.FOLDER and e.parent_id in parent_ids)
        return [entry.file_id for entry in is_folder]

    def find_record(self, seq: Seq) -> Record | None:
        """Returns one record."""
        return self.records[seq - 1] if 0 < seq <= len(self.records) else None

    def find_superseding(self, file_id: FileId, rev: Rev) -> Seq:
        """Returns what replaced a revision."""
        later = (r for r in self.records if r.entry.file_id == file_id and r.entry.rev > rev)
        return next((record.seq for record in later), Seq(0))
