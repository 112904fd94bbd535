# SPDX-License-Identifier: Apache-2.0
"""Every engine of ``Metadata`` passes the suites of its port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.server.ports.metadata import Metadata
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.testing.conformance.metadata import (
    AccountsSuite,
    ArrivalsSuite,
    BlocksSuite,
    BrakesSuite,
    DutiesSuite,
    HistorySuite,
    HoldersSuite,
    JournalSuite,
    PacksSuite,
    ProjectionsSuite,
    SharedSuite,
    SurveySuite,
    TransactionsSuite,
    TreeSuite,
)


class InMemory:
    @pytest.fixture
    def metadata(self) -> Metadata:
        return MemoryMetadata()


class InSqlite:
    @pytest.fixture
    def metadata(self, tmp_path: Path) -> Iterator[Metadata]:
        metadata = SqliteMetadata(tmp_path / "metadata.db")
        yield metadata
        metadata.close()


class InPostgres:
    @pytest.fixture
    def metadata(self, postgres_url: str) -> Iterator[Metadata]:
        metadata = PostgresMetadata(postgres_url)
        yield metadata
        metadata.close()


class TestAccountsInMemory(InMemory, AccountsSuite): ...


class TestAccountsInSqlite(InSqlite, AccountsSuite): ...


class TestAccountsInPostgres(InPostgres, AccountsSuite): ...


class TestTreeInMemory(InMemory, TreeSuite): ...


class TestTreeInSqlite(InSqlite, TreeSuite): ...


class TestTreeInPostgres(InPostgres, TreeSuite): ...


class TestJournalInMemory(InMemory, JournalSuite): ...


class TestJournalInSqlite(InSqlite, JournalSuite): ...


class TestJournalInPostgres(InPostgres, JournalSuite): ...


class TestBlocksInMemory(InMemory, BlocksSuite): ...


class TestBlocksInSqlite(InSqlite, BlocksSuite): ...


class TestBlocksInPostgres(InPostgres, BlocksSuite): ...


class TestBrakesInMemory(InMemory, BrakesSuite): ...


class TestBrakesInSqlite(InSqlite, BrakesSuite): ...


class TestBrakesInPostgres(InPostgres, BrakesSuite): ...


class TestSharedInMemory(InMemory, SharedSuite): ...


class TestSharedInSqlite(InSqlite, SharedSuite): ...


class TestSharedInPostgres(InPostgres, SharedSuite): ...


class TestTransactionsInMemory(InMemory, TransactionsSuite): ...


class TestTransactionsInSqlite(InSqlite, TransactionsSuite): ...


class TestTransactionsInPostgres(InPostgres, TransactionsSuite): ...


class TestHistoryInMemory(InMemory, HistorySuite): ...


class TestHistoryInSqlite(InSqlite, HistorySuite): ...


class TestHistoryInPostgres(InPostgres, HistorySuite): ...


class TestHoldersInMemory(InMemory, HoldersSuite): ...


class TestHoldersInSqlite(InSqlite, HoldersSuite): ...


class TestHoldersInPostgres(InPostgres, HoldersSuite): ...


class TestPacksInMemory(InMemory, PacksSuite): ...


class TestPacksInSqlite(InSqlite, PacksSuite): ...


class TestPacksInPostgres(InPostgres, PacksSuite): ...


class TestSurveyInMemory(InMemory, SurveySuite): ...


class TestSurveyInSqlite(InSqlite, SurveySuite): ...


class TestSurveyInPostgres(InPostgres, SurveySuite): ...


class TestDutiesInMemory(InMemory, DutiesSuite): ...


class TestDutiesInSqlite(InSqlite, DutiesSuite): ...


class TestDutiesInPostgres(InPostgres, DutiesSuite): ...


class TestProjectionsInMemory(InMemory, ProjectionsSuite): ...


class TestProjectionsInSqlite(InSqlite, ProjectionsSuite): ...


class TestProjectionsInPostgres(InPostgres, ProjectionsSuite): ...


class TestArrivalsInMemory(InMemory, ArrivalsSuite): ...


class TestArrivalsInSqlite(InSqlite, ArrivalsSuite): ...


class TestArrivalsInPostgres(InPostgres, ArrivalsSuite): ...
