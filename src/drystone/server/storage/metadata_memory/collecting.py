# SPDX-License-Identifier: Apache-2.0
"""What collecting and scrubbing ask of the tables in memory. The port tells what each does."""

from collections.abc import Collection, Iterator, Sequence

from drystone.core.content.frame import HEADER_BYTES
from drystone.core.ids import BlockId, FileId, NamespaceId, PackId, Rev, Seq
from drystone.core.journal.record import Record
from drystone.server.ports.collecting import (
    BlockLine,
    PackLine,
    PackRemoved,
    RetiredPack,
    RetiredState,
    Root,
    Why,
)
from drystone.server.ports.places import BlockPlace
from drystone.server.storage.metadata_memory.tables import PackRow, Tables


class MemoryHistory:
    """How much of the past is kept."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def list_namespaces(self, after: NamespaceId, limit: int) -> list[NamespaceId]:
        return sorted(ns for ns in self._tables.namespaces if ns > after)[:limit]

    def kept_after(self, namespace_id: NamespaceId) -> Seq:
        return self._tables.horizons.get(namespace_id, Seq(0))

    def find_horizon(self, namespace_id: NamespaceId, before_ns: int) -> Seq:
        kept_after = self.kept_after(namespace_id)
        journal = self._tables.records.get(namespace_id, ())
        while kept_after < len(journal) and journal[kept_after].at_ns < before_ns:
            kept_after = Seq(kept_after + 1)
        return kept_after

    def set_kept_after(self, namespace_id: NamespaceId, kept_after: Seq) -> None:
        if kept_after != self.kept_after(namespace_id):
            self._tables.horizons[namespace_id] = kept_after

    def find_superseding(self, namespace_id: NamespaceId, file_id: FileId, rev: Rev) -> Seq:
        journal = self._tables.records.get(namespace_id, ())
        later = (r.seq for r in journal if r.entry.file_id == file_id and r.entry.rev > rev)
        return next(later, Seq(0))

    def list_roots(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> tuple[list[Root], Seq]:
        journal = self._tables.records.get(namespace_id, ())
        page = journal[after_seq : after_seq + limit]
        roots: dict[Root, None] = {}
        files = {record.entry.file_id for record in page}
        before: dict[FileId, Record] = {
            r.entry.file_id: r for r in journal[:after_seq] if r.entry.file_id in files
        }
        for record in page:
            for known in (record, before.pop(record.entry.file_id, None)):
                content = None if known is None else known.entry.content
                if content is not None and content.root:
                    roots[Root(content.root, content.chunked)] = None
        return list(roots), page[-1].seq if len(page) == limit else Seq(0)


class MemoryHolders:
    """Who holds what."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def number(self, block_ids: Collection[BlockId]) -> dict[BlockId, int]:
        numbers = self._tables.numbers
        return {b: numbers[b] for b in block_ids if b in numbers}

    def list_holders(
        self, namespace_id: NamespaceId, after: int, limit: int
    ) -> list[tuple[int, int]]:
        numbers = self._tables.numbers
        held = sorted(
            (numbers[block_id], lease)
            for (owner, block_id), lease in self._tables.leases.items()
            if owner == namespace_id and numbers[block_id] > after
        )
        return held[:limit]

    def let_go(self, namespace_id: NamespaceId, numbers: Collection[int], now_s: int) -> int:
        count = 0
        for key in self._keys(namespace_id, numbers):
            if 0 <= self._tables.leases[key] < now_s:
                self._tables.leases[key] = -now_s
                count += 1
        return count

    def drop_holders(self, namespace_id: NamespaceId, numbers: Collection[int], upto_s: int) -> int:
        count = 0
        for key in list(self._keys(namespace_id, numbers)):
            if -upto_s <= self._tables.leases[key] < 0:
                del self._tables.leases[key]
                count += 1
        return count

    def take_back(self, namespace_id: NamespaceId, numbers: Collection[int], until_s: int) -> int:
        self.forget_unheld(numbers)
        keys = [(namespace_id, block_id) for block_id in self._find(numbers)]
        fresh = [key for key in keys if key not in self._tables.leases]
        for key in fresh:
            self._tables.leases[key] = until_s
        return len(fresh)

    def list_blocks(self, after: int, limit: int) -> list[BlockLine]:
        places, packs = self._tables.places, self._tables.packs
        return sorted(
            BlockLine(
                number,
                packs[places[block_id].pack_id].number,
                places[block_id].stored_bytes + HEADER_BYTES,
            )
            for block_id, number in self._tables.numbers.items()
            if number > after
        )[:limit]

    def note_unheld(self, numbers: Collection[int], now_s: int) -> int:
        count = 0
        for block_id in self._find(numbers):
            if block_id not in self._tables.unheld:
                self._tables.unheld[block_id] = now_s
                count += 1
        return count

    def forget_unheld(self, numbers: Collection[int]) -> None:
        for block_id in self._find(numbers):
            self._tables.unheld.pop(block_id, None)

    def list_unheld(self, after: int, upto_s: int, limit: int) -> list[int]:
        numbers = self._tables.numbers
        due = (numbers[b] for b, since_s in self._tables.unheld.items() if since_s <= upto_s)
        return sorted(number for number in due if number > after)[:limit]

    def list_taking(self) -> Collection[str]:
        return ()

    def drop_blocks(self, numbers: Collection[int], upto_s: int) -> tuple[int, int]:
        count = length_bytes = 0
        for block_id in self._find(numbers):
            if self._tables.unheld.get(block_id, upto_s + 1) <= upto_s:
                count += 1
                del self._tables.unheld[block_id]
                length_bytes += self._tables.places[block_id].stored_bytes + HEADER_BYTES
                self._tables.damaged.pop(block_id, None)
                del self._tables.places[block_id]
                del self._tables.numbers[block_id]
        return count, length_bytes

    def _find(self, numbers: Collection[int]) -> list[BlockId]:
        wanted = set(numbers)
        return [b for b, number in self._tables.numbers.items() if number in wanted]

    def _keys(
        self, namespace_id: NamespaceId, numbers: Collection[int]
    ) -> Iterator[tuple[NamespaceId, BlockId]]:
        keys = ((namespace_id, block_id) for block_id in self._find(numbers))
        return (key for key in keys if key in self._tables.leases)


class MemoryPacks:
    """Packs, and those on their way out."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def list_packs(self, after: int, limit: int) -> list[PackLine]:
        lines = (line for line in self._iter_lines() if line.number > after)
        return sorted(lines)[:limit]

    def list_unverified(self, upto_s: int, limit: int) -> list[PackLine]:
        lines = [line for line in self._iter_lines() if line.verified_s <= upto_s]
        return sorted(lines, key=lambda line: (line.verified_s, line.number))[:limit]

    def measure_verified(self, upto_s: int) -> tuple[int, int]:
        ever = [row.verified_s for row in self._tables.packs.values()]
        due_count = sum(at_s <= upto_s for at_s in ever)
        return due_count, min((at_s for at_s in ever if at_s), default=0)

    def note_verified(self, pack_id: PackId, at_s: int) -> None:
        row = self._tables.packs.get(pack_id)
        if row is not None:
            self._tables.packs[pack_id] = row._replace(verified_s=at_s)

    def list_pack_blocks(self, pack_id: PackId) -> list[BlockPlace]:
        mine = (place for place in self._tables.places.values() if place.pack_id == pack_id)
        return sorted(mine, key=lambda place: place.offset_bytes)

    def list_damaged(self, limit: int) -> list[BlockPlace]:
        return list(self._tables.damaged.values())[:limit]

    def find_unknown(self, pack_ids: Collection[PackId]) -> set[PackId]:
        packs, retired = self._tables.packs, self._tables.retired
        return {p for p in pack_ids if p not in packs and p not in retired}

    def move_blocks(
        self,
        pack_id: PackId,
        length_bytes: int,
        moves: Sequence[tuple[BlockPlace, BlockPlace]],
    ) -> int:
        put_pack(self._tables, pack_id, length_bytes, is_there=False)
        count = 0
        for old, new in moves:
            is_there = self._tables.places.get(old.block_id) == old
            if is_there and old.block_id not in self._tables.damaged:
                self._tables.places[old.block_id] = new
                count += 1
        return count

    def retire(self, pack_id: PackId, length_bytes: int, why: Why, now_s: int) -> bool:
        if any(place.pack_id == pack_id for place in self._tables.places.values()):
            return False
        self._tables.packs.pop(pack_id, None)
        if pack_id in self._tables.retired:
            return False
        retired = RetiredPack(pack_id, length_bytes, why, RetiredState.KEPT, now_s)
        self._tables.retired[pack_id] = retired
        return True

    def list_retired(self, after: PackId, limit: int) -> list[RetiredPack]:
        return sorted(r for r in self._tables.retired.values() if r.pack_id > after)[:limit]

    def begin_removal(self, pack_id: PackId, upto_s: int, now_s: int) -> bool:
        retired = self._tables.retired.get(pack_id)
        if retired is None or pack_id in self._tables.packs:
            return False
        if retired.state is RetiredState.KEPT and retired.since_s <= upto_s:
            retired = retired._replace(state=RetiredState.REMOVING, since_s=now_s)
            self._tables.retired[pack_id] = retired
        return retired.state is RetiredState.REMOVING

    def end_removal(self, pack_id: PackId, now_s: int) -> None:
        retired = self._tables.retired.get(pack_id)
        if retired is not None and retired.state is RetiredState.REMOVING:
            removed = retired._replace(state=RetiredState.REMOVED, since_s=now_s)
            self._tables.retired[pack_id] = removed

    def forget_removed(self, upto_s: int) -> int:
        gone = [
            r.pack_id
            for r in self._tables.retired.values()
            if r.state is RetiredState.REMOVED and r.since_s <= upto_s
        ]
        for pack_id in gone:
            del self._tables.retired[pack_id]
        return len(gone)

    def _iter_lines(self) -> Iterator[PackLine]:
        for pack_id, row in self._tables.packs.items():
            places = self.list_pack_blocks(pack_id)
            live = [p for p in places if p.block_id not in self._tables.damaged]
            live_bytes = sum(place.stored_bytes + HEADER_BYTES for place in live)
            yield PackLine(
                row.number, pack_id, row.length_bytes, row.verified_s, len(places), live_bytes
            )


def put_pack(tables: Tables, pack_id: PackId, length_bytes: int, *, is_there: bool) -> None:
    """Puts a pack into the index; see ``BlocksUnit.add_pack``."""
    retired = tables.retired.get(pack_id)
    if retired is not None:
        if retired.state is RetiredState.REMOVING or (
            retired.state is RetiredState.REMOVED and not is_there
        ):
            raise PackRemoved(pack_id, is_over=retired.state is RetiredState.REMOVED)
        del tables.retired[pack_id]
    if pack_id not in tables.packs:
        tables.packs[pack_id] = PackRow(tables.next_number(), length_bytes)
