# SPDX-License-Identifier: Apache-2.0
"""Units of work over tables in memory. The port tells what each method does."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from drystone.core import limits
from drystone.core.ids import (
    ROOT_ID,
    AccountId,
    BlockId,
    DeviceId,
    FileId,
    NamespaceId,
    PackId,
    Seq,
)
from drystone.core.instant import NS_PER_S
from drystone.core.journal.eras import NO_MARK, Era, make_mark
from drystone.core.journal.record import Record, StoredEntry
from drystone.core.names.folding import fold_name
from drystone.core.tree.entry import Kind
from drystone.server.ports.collecting import BlocksRemoved
from drystone.server.ports.metadata import (
    Account,
    AccountExists,
    BlockPlace,
    Device,
    JournalEnd,
    MalformedPage,
)
from drystone.server.storage.metadata_memory.collecting import put_pack
from drystone.server.storage.metadata_memory.tables import Answer, Manifest, Namespace, Tables


class MemoryAccounts:
    """Accounts and devices."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add_account(self, account: Account) -> None:
        if self.find_account(account.name) is not None:
            raise AccountExists(account.name)
        assert account.account_id not in self._tables.accounts, "an account id comes twice"
        assert account.root_namespace_id not in self._tables.namespaces, "so does a namespace id"
        self._tables.accounts[account.account_id] = account
        self._tables.namespaces[account.root_namespace_id] = Namespace(account.account_id)
        self._tables.records[account.root_namespace_id] = ()

    def find_account(self, name: str) -> Account | None:
        folded = fold_name(name)
        accounts = self._tables.accounts.values()
        return next((account for account in accounts if fold_name(account.name) == folded), None)

    def get_account(self, account_id: AccountId) -> Account | None:
        return self._tables.accounts.get(account_id)

    def list_accounts(self) -> list[Account]:
        return sorted(self._tables.accounts.values(), key=lambda account: account.name)

    def save_account(self, account: Account) -> None:
        occupant = self.find_account(account.name)
        if occupant is not None and occupant.account_id != account.account_id:
            raise AccountExists(account.name)
        known = self._tables.accounts[account.account_id]
        self._tables.accounts[account.account_id] = known._replace(
            name=account.name, password_hash=account.password_hash, disabled=account.disabled
        )

    def add_device(self, device: Device) -> None:
        assert device.device_id not in self._tables.devices, "a device id comes twice"
        assert self.find_device_by_token(device.token_hash) is None, "a token comes twice"
        assert device.account_id in self._tables.accounts, "a device of no account"
        self._tables.devices[device.device_id] = device

    def find_device_by_token(self, token_hash: bytes) -> Device | None:
        devices = self._tables.devices.values()
        return next((device for device in devices if device.token_hash == token_hash), None)

    def list_devices(self, account_id: AccountId) -> list[Device]:
        mine = [d for d in self._tables.devices.values() if d.account_id == account_id]
        return sorted(mine, key=lambda device: (device.created_ns, device.device_id))

    def save_device(self, device: Device) -> None:
        known = self._tables.devices[device.device_id]
        self._tables.devices[device.device_id] = known._replace(
            name=device.name,
            token_hash=device.token_hash,
            seen_ns=device.seen_ns,
            revoked_ns=device.revoked_ns,
        )


class MemoryTree:
    """Namespaces, entries and journal."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def may_open(self, account_id: AccountId, namespace_id: NamespaceId) -> bool:
        return self._tables.namespaces.get(namespace_id) == Namespace(account_id)

    def head(self, namespace_id: NamespaceId) -> Seq:
        return Seq(len(self._tables.records.get(namespace_id, ())))

    def find_end(self, account_id: AccountId, namespace_id: NamespaceId) -> JournalEnd | None:
        if not self.may_open(account_id, namespace_id):
            return None
        seq = self.head(namespace_id)
        record = self.find_record(namespace_id, seq)
        eras = self.list_eras(namespace_id, seq, 1)
        mark = NO_MARK if record is None else make_mark(record)
        return JournalEnd(seq, mark, eras[0].era_id if eras else b"")

    def find_heads(self, namespace_ids: Collection[NamespaceId]) -> dict[NamespaceId, Seq]:
        known = (one for one in namespace_ids if one in self._tables.namespaces)
        return {namespace_id: self.head(namespace_id) for namespace_id in known}

    def find_entries(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, StoredEntry]:
        entries = self._tables.entries
        known = (file_id for file_id in file_ids if (namespace_id, file_id) in entries)
        return {file_id: entries[namespace_id, file_id] for file_id in known}

    def find_lineage(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, StoredEntry]:
        found = self.find_entries(namespace_id, file_ids).values()
        lineages = (self._lineage(namespace_id, stored) for stored in found)
        return {stored.entry.file_id: stored for lineage in lineages for stored in lineage}

    def find_child(
        self, namespace_id: NamespaceId, parent_id: FileId, name: str
    ) -> StoredEntry | None:
        file_id = self._tables.children.get((namespace_id, parent_id, name))
        return None if file_id is None else self._tables.entries[namespace_id, file_id]

    def find_children(
        self, namespace_id: NamespaceId, places: Collection[tuple[FileId, str]]
    ) -> dict[tuple[FileId, str], StoredEntry]:
        found = {
            place: self.find_child(namespace_id, parent_id=place[0], name=place[1])
            for place in places
        }
        return {place: stored for place, stored in found.items() if stored is not None}

    def list_folders(
        self, namespace_id: NamespaceId, parent_ids: Collection[FileId]
    ) -> list[FileId]:
        return [
            stored.entry.file_id
            for parent_id in set(parent_ids)
            for stored in self._iter_children(namespace_id, parent_id)
            if stored.entry.kind is Kind.FOLDER
        ]

    def list_children(
        self, namespace_id: NamespaceId, parent_id: FileId, after_name: str, limit: int
    ) -> list[StoredEntry]:
        children = self._iter_children(namespace_id, parent_id)
        later = [stored for stored in children if stored.entry.name > after_name]
        return sorted(later, key=lambda stored: stored.entry.name)[:limit]

    def list_below(
        self, namespace_id: NamespaceId, folder_id: FileId, after: str, limit: int
    ) -> tuple[list[StoredEntry], str]:
        after_path = _parse_page(after)
        below = self._paths_below(namespace_id, folder_id)
        later = sorted((path, file_id) for path, file_id in below.items() if path > after_path)
        page = [self._tables.entries[namespace_id, file_id] for _, file_id in later[:limit]]
        return page, json.dumps(later[limit - 1][0]) if len(later) > limit else ""

    def count_below(
        self, namespace_id: NamespaceId, folder_id: FileId, upto_rev: Seq, limit: int
    ) -> int:
        count, waiting = 0, [folder_id]
        while waiting:
            for stored in self._iter_children(namespace_id, waiting.pop()):
                count += stored.entry.rev <= upto_rev
                waiting.append(stored.entry.file_id)
        return min(count, limit)

    def append(self, namespace_id: NamespaceId, records: Sequence[Record]) -> None:
        journal = self._tables.records[namespace_id]
        for number, record in enumerate(records, len(journal) + 1):
            assert record.seq == number, f"seq {record.seq} comes where {number} should"
            self._put(namespace_id, StoredEntry(record.entry, record.seq, record.action))
        self._tables.records[namespace_id] = journal + tuple(records)

    def _put(self, namespace_id: NamespaceId, stored: StoredEntry) -> None:
        """Lets an entry be so, and its place be taken or free."""
        entry = stored.entry
        before = self._tables.entries.get((namespace_id, entry.file_id))
        if before is not None and not before.is_deleted:
            del self._tables.children[namespace_id, before.entry.parent_id, before.entry.name]
        if not stored.is_deleted:
            place = (namespace_id, entry.parent_id, entry.name)
            assert place not in self._tables.children, f"a place is taken twice: {entry}"
            self._tables.children[place] = entry.file_id
        self._tables.entries[namespace_id, entry.file_id] = stored

    def list_changes(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[StoredEntry]:
        later = [stored for stored in self._iter_entries(namespace_id) if stored.seq > after_seq]
        return sorted(later, key=lambda stored: stored.seq)[:limit]

    def list_revisions(
        self, namespace_id: NamespaceId, file_id: FileId, limit: int
    ) -> list[Record]:
        journal = reversed(self._tables.records.get(namespace_id, ()))
        return [record for record in journal if record.entry.file_id == file_id][:limit]

    def list_deleted(self, namespace_id: NamespaceId, before_seq: Seq, limit: int) -> list[Record]:
        deleted = {s.seq for s in self._iter_entries(namespace_id) if s.is_deleted}
        journal = reversed(self._tables.records.get(namespace_id, ()))
        wanted = (record for record in journal if record.seq in deleted)
        return [record for record in wanted if not before_seq or record.seq < before_seq][:limit]

    def find_record(self, namespace_id: NamespaceId, seq: Seq) -> Record | None:
        journal = self._tables.records.get(namespace_id, ())
        return journal[seq - 1] if 0 < seq <= len(journal) else None

    def list_records(self, namespace_id: NamespaceId, after_seq: Seq, limit: int) -> list[Record]:
        return list(self._tables.records.get(namespace_id, ())[after_seq : after_seq + limit])

    def list_eras(self, namespace_id: NamespaceId, upto_seq: Seq, limit: int) -> list[Era]:
        eras = reversed(self._tables.eras.get(namespace_id, ()))
        return [era for era in eras if era.first_seq <= upto_seq][:limit]

    def begin_era(self, namespace_id: NamespaceId, era: Era) -> None:
        self._tables.eras[namespace_id] = (*self._tables.eras.get(namespace_id, ()), era)

    def find_idempotent(
        self, namespace_id: NamespaceId, device_id: DeviceId, key: str
    ) -> bytes | None:
        kept = self._tables.answers.get((namespace_id, device_id, key))
        return None if kept is None else kept.answer

    def keep_idempotent(
        self, namespace_id: NamespaceId, device_id: DeviceId, key: str, answer: bytes, until_ns: int
    ) -> None:
        # Every answer is kept equally long, so this one's end tells the time.
        now_ns = until_ns - limits.IDEMPOTENCY_S * NS_PER_S
        for past in [row for row, kept in self._tables.answers.items() if kept.until_ns <= now_ns]:
            del self._tables.answers[past]
        self._tables.answers[namespace_id, device_id, key] = Answer(answer, until_ns)

    def has_manifest(self, namespace_id: NamespaceId, manifest_id: BlockId) -> bool:
        return (namespace_id, manifest_id) in self._tables.manifests

    def keep_manifest(
        self,
        namespace_id: NamespaceId,
        manifest_id: BlockId,
        size_bytes: int,
        content_hash: bytes,
        chunks_count: int,
    ) -> None:
        manifest = Manifest(size_bytes, content_hash, chunks_count)
        self._tables.manifests[namespace_id, manifest_id] = manifest

    def _iter_entries(self, namespace_id: NamespaceId) -> Iterator[StoredEntry]:
        for (owner, _), stored in self._tables.entries.items():
            if owner == namespace_id:
                yield stored

    def _iter_children(self, namespace_id: NamespaceId, parent_id: FileId) -> Iterator[StoredEntry]:
        for stored in self._iter_entries(namespace_id):
            if stored.entry.parent_id == parent_id and not stored.is_deleted:
                yield stored

    def _paths_below(
        self, namespace_id: NamespaceId, folder_id: FileId
    ) -> dict[tuple[str, ...], FileId]:
        """Returns what lives below a folder, by the names from there: a prefix sorts first."""
        paths = {}
        for stored in self._iter_entries(namespace_id):
            lineage = self._lineage(namespace_id, stored)
            ids = [above.entry.file_id for above in lineage]
            is_living = lineage[-1].entry.parent_id == ROOT_ID
            if not is_living or any(above.is_deleted for above in lineage):
                continue
            if folder_id == ROOT_ID:
                paths[tuple(above.entry.name for above in reversed(lineage))] = ids[0]
            elif folder_id in ids[1:]:
                depth = ids.index(folder_id)
                names = tuple(above.entry.name for above in reversed(lineage[:depth]))
                paths[names] = ids[0]
        return paths

    def _lineage(self, namespace_id: NamespaceId, stored: StoredEntry) -> list[StoredEntry]:
        """Returns an entry and the folders above it, upwards, as far as there are any."""
        lineage = [stored]
        while (key := (namespace_id, lineage[-1].entry.parent_id)) in self._tables.entries:
            lineage.append(self._tables.entries[key])
        return lineage


class MemoryBlocks:
    """Block index and holders."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def find_held(self, namespace_id: NamespaceId, block_ids: Collection[BlockId]) -> set[BlockId]:
        leases, damaged = self._tables.leases, self._tables.damaged
        return {b for b in block_ids if (namespace_id, b) in leases and b not in damaged}

    def find_damaged(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        leases, damaged = self._tables.leases, self._tables.damaged
        return {b: damaged[b] for b in block_ids if (namespace_id, b) in leases and b in damaged}

    def mark(self, places: Collection[BlockPlace], *, is_damaged: bool) -> None:
        for place in places:
            if self._tables.places.get(place.block_id) != place:
                continue
            if is_damaged:
                self._tables.damaged[place.block_id] = place
            else:
                self._tables.damaged.pop(place.block_id, None)

    def hold(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], leased_until_s: int
    ) -> None:
        assert namespace_id in self._tables.namespaces, "there is no such namespace"
        removed = {block_id for block_id in block_ids if block_id not in self._tables.places}
        if removed:
            raise BlocksRemoved(len(removed))
        for block_id in block_ids:
            self._tables.unheld.pop(block_id, None)
            key = (namespace_id, block_id)
            self._tables.leases[key] = max(leased_until_s, self._tables.leases.get(key, 0))

    def renew(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], below_s: int, until_s: int
    ) -> None:
        for block_id in self.find_held(namespace_id, block_ids):
            if self._tables.leases[namespace_id, block_id] < below_s:
                self._tables.leases[namespace_id, block_id] = until_s

    def find_leases(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, int]:
        held = self.find_held(namespace_id, block_ids)
        return {block_id: self._tables.leases[namespace_id, block_id] for block_id in held}

    def locate(self, block_ids: Collection[BlockId]) -> dict[BlockId, BlockPlace]:
        places, damaged = self._tables.places, self._tables.damaged
        return {b: places[b] for b in block_ids if b in places and b not in damaged}

    def add_pack(
        self,
        pack_id: PackId,
        length_bytes: int,
        places: Sequence[BlockPlace],
        *,
        is_there: bool = False,
    ) -> None:
        put_pack(self._tables, pack_id, length_bytes, is_there=is_there)
        for place in places:
            assert place.pack_id == pack_id, "a block of another pack"
            if self._tables.damaged.pop(place.block_id, None) is not None:
                self._tables.places[place.block_id] = place
            if place.block_id not in self._tables.places:
                self._tables.places[place.block_id] = place
                self._tables.numbers[place.block_id] = self._tables.next_number()

    def totals(self) -> Mapping[str, int]:
        places = self._tables.places.values()
        return {
            "packs": len(self._tables.packs),
            "pack_bytes": sum(row.length_bytes for row in self._tables.packs.values()),
            "blocks": len(places),
            "plain_bytes": sum(place.plain_bytes for place in places),
            "stored_bytes": sum(place.stored_bytes for place in places),
        }


def _parse_page(after: str) -> tuple[str, ...]:
    """Reads where a page begins: the path of the last entry of the one before."""
    if not after:
        return ()
    try:
        names = json.loads(after)
    except (ValueError, RecursionError) as error:
        raise MalformedPage from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MalformedPage
    return tuple(names)
