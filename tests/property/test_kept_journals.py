# SPDX-License-Identifier: Apache-2.0
"""Journals beside the packs: whatever happens to a server, what was written of it comes back."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from drystone.core.ids import Seq
from drystone.core.journal.change import Commit, Create
from drystone.core.journal.decide import decide
from drystone.core.journal.eras import Era
from drystone.core.journal.record import Record
from drystone.core.tree.tree import Tree
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.survey import NamespaceLine, survey_of
from drystone.server.service.view import load_view
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.journals import people, reading, writing
from drystone.server.workers.rebuilding import Rebuilding
from drystone.testing.conformance.metadata.samples import ANNA, NAMESPACE, add_accounts, file
from drystone.testing.journal import AUTHOR
from drystone.testing.strategies import Seen, commits, make_file_id

LINE = NamespaceLine(NAMESPACE, ANNA.account_id, Seq(0))
SEGMENT_RECORDS = 4
CHECKPOINT_RECORDS = 8


class Server:
    """A journal in memory, its store, and what is remembered of what was written."""

    def __init__(self) -> None:
        self.metadata = MemoryMetadata()
        self.objects = MemoryObjects()
        self.position = Seq(0)
        self.backups: list[tuple[MemoryMetadata, Seq]] = []
        self.runs_count = self.now_count = 0
        add_accounts(self.metadata)
        self.run_anew()

    def run_anew(self) -> None:
        """Every run writes in an era of its own."""
        self.runs_count += 1
        self.era_id = self.runs_count.to_bytes(8)

    def commit(self, data: st.DataObject) -> None:
        """Commits something, a moment later than what was before."""
        self.now_count += 1
        author = AUTHOR._replace(now_ns=self.now_count)
        commit = data.draw(commits(self.metadata.read(see_all), changes_count_max=4))

        def work(unit: Unit) -> None:
            decision = decide(load_view(unit.tree, NAMESPACE, commit), commit, author)
            if decision.records:
                head = unit.tree.head(NAMESPACE)
                newest = unit.tree.list_eras(NAMESPACE, head, 1)
                if not newest or newest[0].era_id != self.era_id:
                    unit.tree.begin_era(NAMESPACE, Era(self.era_id, Seq(head + 1)))
                unit.tree.append(NAMESPACE, decision.records)

        self.metadata.write(work)

    def keep(self, *, steps_count: int, is_remembered: bool) -> None:
        """Writes some stretches; a server that is killed does not remember the last one."""
        for _ in range(steps_count):
            position = writing.write_stretch(self.metadata, self.objects, LINE, self.position)
            if is_remembered:
                self.position = position

    def keep_all(self) -> None:
        """Writes whatever is not written yet."""
        head = self.metadata.read(lambda unit: unit.tree.head(NAMESPACE))
        while self.position != head:
            before, self.position = (
                self.position,
                writing.write_stretch(self.metadata, self.objects, LINE, self.position),
            )
            assert self.position > before or before > head

    def back_up(self) -> None:
        self.backups.append((self.metadata.copy(), self.position))

    def put_back(self) -> None:
        """Becomes what the last backup has; the store keeps all."""
        if self.backups:
            backup, self.position = self.backups[-1]
            self.metadata.become(backup)
            self.run_anew()


def see_all(unit: Unit) -> Seen:
    """Returns what somebody sees who has read everything."""
    stored = unit.tree.list_changes(NAMESPACE, Seq(0), 10_000)
    tree = Tree().replace([s.entry for s in stored if not s.is_deleted])
    gone = tuple(s.entry.file_id for s in stored if s.is_deleted)
    return Seen(tree, unit.tree.head(NAMESPACE), gone)


def tell_all(metadata: Metadata) -> tuple[list[Record], object, object]:
    """Returns all that a namespace has: records, rows of entries, eras."""

    def work(unit: Unit) -> tuple[list[Record], object, object]:
        survey = survey_of(unit)
        return (
            survey.list_records(NAMESPACE, Seq(0), 10_000),
            survey.list_entry_rows(NAMESPACE, Seq(0), 10_000),
            unit.tree.list_eras(NAMESPACE, Seq(10_000), 10_000),
        )

    return metadata.read(work)


@contextmanager
def rebuilt(objects: MemoryObjects) -> Iterator[SqliteMetadata]:
    """Yields the metadata that a store gives."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteMetadata(Path(folder) / "metadata.db")) as metadata,
    ):
        Rebuilding(metadata, objects, ObjectPacks(objects), now_ns=1).run()
        yield metadata


small = patch.multiple(
    writing, SEGMENT_RECORDS_MAX=SEGMENT_RECORDS, CHECKPOINT_RECORDS_MIN=CHECKPOINT_RECORDS
)

ACTS = ["commit"] * 5 + ["keep", "keep, killed", "back up", "put back", "run anew"]


@settings(max_examples=25)
@given(st.data())
def test_journal_comes_back_whatever_happened(data: st.DataObject) -> None:
    server = Server()
    with small:
        for act in data.draw(st.lists(st.sampled_from(ACTS), max_size=25)):
            match act:
                case "commit":
                    server.commit(data)
                case "keep" | "keep, killed":
                    count = data.draw(st.integers(1, 3))
                    server.keep(steps_count=count, is_remembered=act == "keep")
                case "back up":
                    server.back_up()
                case "put back":
                    server.put_back()
                    # Without anything newer, the store's longer life would be the journal.
                    server.commit(data)
                case "run anew":
                    server.run_anew()
        server.keep_all()
    people.write_people(server.objects, people.load_people(server.metadata), 1)
    life = reading.find_life(server.objects, NAMESPACE)
    records, rows, eras = tell_all(server.metadata)
    newest_ns = max((p.last_ns for p in life.parts), default=0)

    assert not life.unreadable
    if records and records[-1].at_ns < newest_ns:
        return  # The commit after a restore was refused: the other life was written to last.
    with rebuilt(server.objects) as metadata:
        assert tell_all(metadata) == (records, rows, eras)


@settings(max_examples=15)
@given(st.data())
def test_lost_stretch_costs_history_and_no_tree_that_a_checkpoint_has(
    data: st.DataObject,
) -> None:
    server = Server()
    with small:
        for _ in range(data.draw(st.integers(4, 12))):
            server.commit(data)
        server.keep_all()
        end = writing.write_checkpoint(server.metadata, server.objects, LINE)
        server.commit(data)
        server.keep_all()
    stretches = [stat.name for stat in server.objects.iter_names("journal/")]
    if end.seq == 0:
        return
    server.objects.delete(data.draw(st.sampled_from(sorted(stretches))))
    life = reading.find_life(server.objects, NAMESPACE)
    _, rows, _ = tell_all(server.metadata)

    with rebuilt(server.objects) as metadata:
        head = metadata.read(lambda unit: unit.tree.head(NAMESPACE))
        assert head == life.head
        if head == server.position:
            assert tell_all(metadata)[1] == rows


def test_few_objects_stay_however_often_it_is_written() -> None:
    server = Server()
    written = set()

    with small:
        for number in range(1, 50):
            commit = Commit((Create(file(make_file_id(number), f"f{number}")),), Seq(number - 1))

            def work(unit: Unit, commit: Commit = commit) -> None:
                decision = decide(load_view(unit.tree, NAMESPACE, commit), commit, AUTHOR)
                unit.tree.append(NAMESPACE, decision.records)

            server.metadata.write(work)
            server.keep_all()
            written |= {stat.name for stat in server.objects.iter_names("journal/")}
    names = [stat.name for stat in server.objects.iter_names("journal/")]

    assert len(names) == 13
    assert len(written) == 49
    assert len([*writing.iter_ends(server.objects, NAMESPACE)]) == writing.CHECKPOINTS_KEPT
