# SPDX-License-Identifier: Apache-2.0
"""All engines, one truth: whatever is committed, all tell the same in every way of asking."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from drystone.core.ids import ROOT_ID, FileId, Seq
from drystone.core.journal.decide import Decision, decide
from drystone.core.journal.fold import fold
from drystone.core.journal.record import StoredEntry
from drystone.core.tree.tree import Tree, check_tree
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.service.view import load_view
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.testing.conformance.metadata.samples import NAMESPACE, add_accounts
from drystone.testing.journal import AUTHOR, ListedJournal
from drystone.testing.postgres import PostgresServer
from drystone.testing.strategies import commits, file_ids


class Engines(RuleBasedStateMachine):
    """The same commits go to a database, to memory and to a list; then all are asked."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: Metadata = MemoryMetadata()
        self.make_place()
        self.database = self.open()
        self.journal = ListedJournal()
        add_accounts(self.memory)
        add_accounts(self.database)

    def make_place(self) -> None:
        """Makes where the database is to be."""
        self.folder = tempfile.TemporaryDirectory()

    def open(self) -> Metadata:
        """Opens the database."""
        return SqliteMetadata(Path(self.folder.name) / "metadata.db")

    def drop_place(self) -> None:
        """Removes the database."""
        self.folder.cleanup()

    def teardown(self) -> None:
        self.database.close()
        self.drop_place()

    def ask(self, work):
        """Returns what both engines answer alike."""
        in_memory = self.memory.read(work)

        assert self.database.read(work) == in_memory
        return in_memory

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        commit = data.draw(commits(self.journal.see()))
        expected = decide(self.journal, commit, AUTHOR)

        def work(unit: Unit) -> Decision:
            decision = decide(load_view(unit.tree, NAMESPACE, commit), commit, AUTHOR)
            unit.tree.append(NAMESPACE, decision.records)
            return decision

        for engine in (self.memory, self.database):
            assert engine.write(work) == expected
        self.journal.keep(expected)

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        commit = data.draw(commits(self.journal.see()))

        def work(unit: Unit) -> None:
            decision = decide(load_view(unit.tree, NAMESPACE, commit), commit, AUTHOR)
            unit.tree.append(NAMESPACE, decision.records)
            raise LookupError

        for engine in (self.memory, self.database):
            (error,) = engine.write_group([work])
            assert isinstance(error, LookupError)

    @rule()
    def reopen(self) -> None:
        self.database.close()
        self.database = self.open()

    @rule(file_id=file_ids(), limit=st.integers(1, 5))
    def ask_about_one(self, file_id: FileId, limit: int) -> None:
        self.ask(lambda unit: unit.tree.find_entries(NAMESPACE, [file_id]))
        self.ask(lambda unit: unit.tree.list_revisions(NAMESPACE, file_id, limit))
        self.ask(lambda unit: unit.tree.list_children(NAMESPACE, file_id, "", limit))
        self.ask(lambda unit: sorted(unit.tree.list_folders(NAMESPACE, [file_id, ROOT_ID])))

    @rule(folder_id=st.one_of(st.just(ROOT_ID), file_ids()), limit=st.integers(1, 5))
    def list_below(self, folder_id: FileId, limit: int) -> None:
        tree = self.journal.tree
        for engine in (self.memory, self.database):
            found = list_all_below(engine, folder_id, limit)
            assert sorted(found) == sorted(tree.iter_living(folder_id))

    @rule(after=st.integers(0, 40).map(Seq), limit=st.integers(1, 9))
    def list_changes(self, after: Seq, limit: int) -> None:
        self.ask(lambda unit: unit.tree.list_changes(NAMESPACE, after, limit))
        self.ask(lambda unit: unit.tree.list_deleted(NAMESPACE, after, limit))
        self.ask(lambda unit: unit.tree.find_record(NAMESPACE, after))

    @invariant()
    def the_tree_is_the_fold_of_a_journal_without_gaps(self) -> None:
        head = self.ask(lambda unit: unit.tree.head(NAMESPACE))
        records = self.ask(
            lambda unit: [unit.tree.find_record(NAMESPACE, Seq(s)) for s in range(1, head + 1)]
        )
        changes = self.ask(lambda unit: unit.tree.list_changes(NAMESPACE, Seq(0), 1_000))
        tree = Tree(stored.entry for stored in changes if not stored.is_deleted)

        assert [record.seq for record in records] == list(range(1, head + 1))
        assert records == self.journal.records
        assert tree == fold(Tree(), records) == self.journal.tree
        check_tree(Tree(tree.iter_living()))


def list_all_below(engine: Metadata, folder_id: FileId, limit: int) -> list:
    """Returns the entries below a folder, read page by page."""

    def read(after: str) -> tuple[list[StoredEntry], str]:
        return engine.read(lambda unit: unit.tree.list_below(NAMESPACE, folder_id, after, limit))

    found, after = read("")
    while after:
        page, after = read(after)
        found += page
    return [stored.entry for stored in found]


# Each example is a database on a disk: a fifth of what others look at, and not for ever.
FEW = settings(max_examples=min(100, max(5, settings().max_examples // 5)), stateful_step_count=15)


class TestEngines(Engines.TestCase):
    settings = FEW


def test_postgres_tells_the_same(postgres: PostgresServer) -> None:
    class OnPostgres(Engines):
        def make_place(self) -> None:
            self.url = postgres.make_schema()

        def open(self) -> Metadata:
            return PostgresMetadata(self.url, connections_max=2)

        def drop_place(self) -> None:
            postgres.drop_schema(self.url)

    run_state_machine_as_test(OnPostgres, settings=FEW)
