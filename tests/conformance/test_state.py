# SPDX-License-Identifier: Apache-2.0
"""Every engine of ``State`` passes the suite of its port."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drystone.client.adapters.state_sqlite import open_state
from drystone.client.ports import State
from drystone.testing.conformance.state import StateSuite
from drystone.testing.fakes.state import MemoryState


class TestMemoryState(StateSuite):
    @pytest.fixture
    def state(self) -> State:
        return MemoryState()


class TestSqliteState(StateSuite):
    @pytest.fixture
    def state(self, tmp_path: Path) -> Iterator[State]:
        state, _ = open_state(str(tmp_path / "state.db"), "boot", 0)
        yield state
        state.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Callable[[State], State]]:
        opened: list[State] = []

        def reopen(state: State) -> State:
            state.save()
            state.close()
            again, _ = open_state(str(tmp_path / "state.db"), "boot", 0)
            opened.append(again)
            return again

        yield reopen
        for state in opened:
            state.close()


class TestSqliteStateThatForgets(TestSqliteState):
    """The same, with every cache emptied and every row written before each look."""

    @pytest.fixture
    def state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
        from drystone.client.adapters.state_sqlite.synced import SyncedTable

        find_row, rows = SyncedTable.find_row, SyncedTable.rows

        def forgetting(look):
            def call(table, file_id):
                table.write_pending()
                table._found.clear()
                table._folders.clear()
                return look(table, file_id)

            return call

        monkeypatch.setattr(SyncedTable, "find_row", forgetting(find_row))
        monkeypatch.setattr(SyncedTable, "rows", forgetting(rows))
        state, _ = open_state(str(tmp_path / "state.db"), "boot", 0)
        yield state
        state.close()
