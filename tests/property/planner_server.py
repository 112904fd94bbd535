# SPDX-License-Identifier: Apache-2.0
"""A server for planner tests: one namespace in memory, decided by the real rules."""

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

from drystone.core.content.content import Content
from drystone.core.ids import ROOT_ID, AccountId, BlockId, DeviceId, FileId, Seq
from drystone.core.journal.change import Change, Commit
from drystone.core.journal.decide import decide
from drystone.core.journal.draft import Author
from drystone.core.journal.record import Record, StoredEntry
from drystone.core.tree.entry import Entry, Kind


def make_content(token: int) -> Content:
    """Returns the content that stands for a number."""
    digest = sha256(b"%d" % token).digest()
    return Content(token + 1, BlockId(digest), False, digest)


def token_of(content: Content | None) -> int:
    """Undoes ``make_content``."""
    assert content is not None
    return content.size_bytes - 1


class Ids:
    """Hands out file ids, one after the other, as UUIDv7 do."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> FileId:
        self._last += 1
        return FileId(self._last.to_bytes(16, "big"))


class Server:
    """One namespace in memory: its entries as their last records left them."""

    def __init__(self) -> None:
        self.head = Seq(0)
        self.stored: dict[FileId, StoredEntry] = {}
        self._author = Author(AccountId(bytes(16)), DeviceId(bytes(16)), "server", 0)

    def commit(self, changes: Sequence[Change], seen_seq: Seq) -> tuple:
        """Decides a commit with the real rules and applies it."""
        decision = decide(self, Commit(tuple(changes), seen_seq), self._author)
        for record in decision.records:
            self.head = record.seq
            self.stored[record.entry.file_id] = StoredEntry(record.entry, record.seq, record.action)
        return decision.outcomes

    def find(self, file_id: FileId) -> StoredEntry | None:
        return self.stored.get(file_id)

    def find_child(self, parent_id: FileId, name: str) -> FileId | None:
        for stored in self.stored.values():
            entry = stored.entry
            if entry.parent_id == parent_id and entry.name == name and not stored.is_deleted:
                return entry.file_id
        return None

    def changed_after(self, seq: Seq, limit: int) -> list[StoredEntry]:
        changed = [stored for stored in self.stored.values() if stored.seq > seq]
        return sorted(changed, key=lambda stored: stored.seq)[:limit]

    def folders_in(self, parent_ids: Collection[FileId]) -> list[FileId]:
        return [
            stored.entry.file_id
            for stored in self.stored.values()
            if stored.entry.kind is Kind.FOLDER
            and not stored.is_deleted
            and stored.entry.parent_id in parent_ids
        ]

    def find_record(self, seq: Seq) -> Record | None:
        raise AssertionError("nothing here restores")

    def paths(self) -> dict[str, tuple]:
        """Returns what lives, by path."""
        return paths_of(self._undeleted())

    def _undeleted(self) -> dict[FileId, Entry]:
        return {i: s.entry for i, s in self.stored.items() if not s.is_deleted}


def path_of(entries: Mapping[FileId, Entry], file_id: FileId) -> str:
    """Returns the path of an entry; empty if it or a folder above it is not there."""
    names: list[str] = []
    while file_id in entries:
        names.append(entries[file_id].name)
        file_id = entries[file_id].parent_id
    return "/".join(reversed(names)) if file_id == ROOT_ID else ""


def paths_of(entries: Mapping[FileId, Entry]) -> dict[str, tuple]:
    """Returns the living ones of some entries by path, without ids."""
    found = {path_of(entries, file_id): state_of(entry) for file_id, entry in entries.items()}
    found.pop("", None)
    return found


def state_of(entry: Entry) -> tuple:
    token = None if entry.kind != Kind.FILE else token_of(entry.content)
    return (entry.kind.name, token, entry.mode, entry.mtime_ns, entry.target)
