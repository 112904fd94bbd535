# SPDX-License-Identifier: Apache-2.0
"""What the synced table keeps at hand is bounded, also while a first sync fills it."""

import pytest

from drystone.client.adapters.freed import give_up_room
from drystone.client.adapters.state_sqlite import open_state, synced
from drystone.client.ports import Stat, SyncedRow
from drystone.core.ids import ROOT_ID, FileId, Rev
from drystone.core.tree.entry import Entry, Kind

BOUND = 50


def make_row(number: int, parent_id: FileId, kind: Kind) -> SyncedRow:
    file_id = FileId(number.to_bytes(16, "big"))
    entry = Entry(file_id, parent_id, f"n{number}", kind, None, 0o755, 0, "", Rev(number))
    return SyncedRow(entry, Stat(kind, 0, 1, 1, number, 0, 0o755))


def test_new_rows_do_not_make_the_cache_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synced, "_CACHED_ROWS_MAX", BOUND)
    state, _ = open_state(":memory:", "boot", 0)
    folders = [make_row(number, ROOT_ID, Kind.FOLDER) for number in range(1, 21)]
    for row in folders:
        # As a plan does, which asks for what is there before it is.
        assert state.find_synced_row(row.entry.file_id) is None
        state.settle(row.entry.file_id, row)
    for number in range(100, 400):
        row = make_row(number, folders[number % 20].entry.file_id, Kind.SYMLINK)
        state.settle(row.entry.file_id, row)

    table = state._synced
    assert sum(map(len, table._folders.values())) <= BOUND
    for folder in folders:
        assert len(state.synced_rows(folder.entry.file_id)) == 15
    assert state.count_synced() == 320
    state.close()


def test_only_empty_tables_give_up_their_room() -> None:
    kept, emptied = {1: 2}, dict.fromkeys(range(10_000))
    for key in list(emptied):
        del emptied[key]
    before = emptied.__sizeof__()

    give_up_room(kept, emptied)

    assert kept == {1: 2}
    assert emptied.__sizeof__() < before // 100
