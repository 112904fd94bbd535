# SPDX-License-Identifier: Apache-2.0
"""Pages of everything, from dictionaries."""

from collections.abc import Collection

from drystone.core.ids import FileId, NamespaceId, Seq
from drystone.core.journal.record import Record, StoredEntry
from drystone.core.names.folding import fold_name
from drystone.server.ports.survey import EntryRow, NamespaceLine, PackLine, PlaceLine
from drystone.server.storage.metadata_memory.tables import Tables


class MemorySurvey:
    """Implements ``server.ports.survey.SurveyUnit``."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def list_namespaces(self, after: bytes, limit: int) -> list[NamespaceLine]:
        records = self._tables.records
        lines = [
            NamespaceLine(namespace_id, namespace.account_id, Seq(len(records[namespace_id])))
            for namespace_id, namespace in self._tables.namespaces.items()
            if namespace_id > after
        ]
        return sorted(lines)[:limit]

    def list_records(self, namespace_id: NamespaceId, after_seq: Seq, limit: int) -> list[Record]:
        return list(self._tables.records.get(namespace_id, ())[after_seq : after_seq + limit])

    def list_last_records(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[Record]:
        rows = self.list_entry_rows(namespace_id, after_seq, limit)
        return [self._tables.records[namespace_id][row.seq - 1] for row in rows]

    def list_entry_rows(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[EntryRow]:
        rows = [
            _row_of(stored)
            for (owner, _), stored in self._tables.entries.items()
            if owner == namespace_id and stored.seq > after_seq
        ]
        return sorted(rows, key=lambda row: row.seq)[:limit]

    def find_entry_rows(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, EntryRow]:
        entries = self._tables.entries
        known = (file_id for file_id in file_ids if (namespace_id, file_id) in entries)
        return {file_id: _row_of(entries[namespace_id, file_id]) for file_id in known}

    def list_packs(self, after: bytes, limit: int) -> list[PackLine]:
        packs = self._tables.packs.items()
        return sorted(PackLine(p, row.length_bytes) for p, row in packs if p > after)[:limit]

    def list_places(self, after: int, limit: int) -> list[PlaceLine]:
        places = list(self._tables.places.values())[after : after + limit]
        lengths = {pack_id: row.length_bytes for pack_id, row in self._tables.packs.items()}
        return [
            PlaceLine(
                number,
                place,
                lengths.get(place.pack_id, 0),
                place.block_id in self._tables.damaged,
            )
            for number, place in enumerate(places, after + 1)
        ]


def _row_of(stored: StoredEntry) -> EntryRow:
    entry = stored.entry
    return EntryRow(
        entry.file_id,
        entry.parent_id,
        entry.name,
        fold_name(entry.name),
        int(entry.kind),
        stored.seq,
        entry.rev,
        stored.is_deleted,
    )
