# SPDX-License-Identifier: Apache-2.0
"""What every engine tells who goes through all that it holds."""

from collections.abc import Callable
from typing import TypeVar

from drystone.core.ids import Seq
from drystone.core.journal.record import Action
from drystone.core.tree.entry import Kind
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.survey import (
    EntryRow,
    NamespaceLine,
    PackLine,
    SurveyUnit,
    survey_of,
)
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    BOB,
    NAMESPACE,
    NOWHERE,
    OTHER,
    A,
    B,
    C,
    Journalist,
    add_accounts,
    file,
    folder,
    make_places,
    pack_id,
)

T = TypeVar("T")
START = Seq(0)


def ask(metadata: Metadata, question: Callable[[SurveyUnit], T]) -> T:
    """Asks the survey in a unit of work of its own."""
    return metadata.read(lambda unit: question(survey_of(unit)))


def fill(metadata: Metadata) -> Journalist:
    """Writes a folder, a file in it that is renamed, and a file that is deleted."""
    add_accounts(metadata)
    journalist = Journalist(metadata)
    journalist.create(folder(A, "Docs"), file(B, "Plan", A), file(C, "gone"))
    journalist.append((Action.MOVE, file(B, "plan", A)), (Action.DELETE, file(C, "gone")))
    return journalist


class SurveySuite:
    """Pages of everything, complete and in order."""

    def test_namespaces_come_by_id_with_owner_and_head(self, metadata: Metadata) -> None:
        fill(metadata)
        anna = NamespaceLine(NAMESPACE, ANNA.account_id, Seq(5))
        bob = NamespaceLine(OTHER, BOB.account_id, START)

        assert ask(metadata, lambda s: s.list_namespaces(b"", 10)) == [anna, bob]
        assert ask(metadata, lambda s: s.list_namespaces(b"", 1)) == [anna]
        assert ask(metadata, lambda s: s.list_namespaces(NAMESPACE, 10)) == [bob]
        assert ask(metadata, lambda s: s.list_namespaces(OTHER, 10)) == []

    def test_records_come_in_their_order_page_by_page(self, metadata: Metadata) -> None:
        records = fill(metadata).records

        assert ask(metadata, lambda s: s.list_records(NAMESPACE, START, 10)) == records
        assert ask(metadata, lambda s: s.list_records(NAMESPACE, Seq(2), 2)) == records[2:4]
        assert ask(metadata, lambda s: s.list_records(NAMESPACE, Seq(5), 2)) == []
        assert ask(metadata, lambda s: s.list_records(OTHER, START, 2)) == []
        assert ask(metadata, lambda s: s.list_records(NOWHERE, START, 2)) == []

    def test_last_records_are_one_per_entry_with_tombstones(self, metadata: Metadata) -> None:
        records = fill(metadata).records
        last = [records[0], records[3], records[4]]

        assert ask(metadata, lambda s: s.list_last_records(NAMESPACE, START, 10)) == last
        assert ask(metadata, lambda s: s.list_last_records(NAMESPACE, Seq(1), 1)) == last[1:2]
        assert ask(metadata, lambda s: s.list_last_records(NOWHERE, START, 1)) == []

    def test_entry_rows_are_the_tree_itself(self, metadata: Metadata) -> None:
        fill(metadata)
        plan = EntryRow(B, A, "plan", "plan", Kind.FILE, Seq(4), 1, is_deleted=False)
        rows = ask(metadata, lambda s: s.list_entry_rows(NAMESPACE, START, 10))

        assert [row.file_id for row in rows] == [A, B, C]
        assert [row.is_deleted for row in rows] == [False, False, True]
        assert rows[0].folded == "docs"
        assert rows[1] == plan
        assert ask(metadata, lambda s: s.list_entry_rows(NAMESPACE, Seq(1), 1)) == [plan]
        assert ask(metadata, lambda s: s.find_entry_rows(NAMESPACE, [B])) == {B: plan}
        assert ask(metadata, lambda s: s.find_entry_rows(NAMESPACE, [])) == {}
        assert ask(metadata, lambda s: s.find_entry_rows(OTHER, [B])) == {}

    def test_packs_and_places_are_the_whole_index(self, metadata: Metadata) -> None:
        one, two = make_places(pack_id(1), [1, 2]), make_places(pack_id(2), [3])

        def work(metadata: Metadata) -> None:
            metadata.write(lambda unit: unit.blocks.add_pack(pack_id(2), 300, two))
            metadata.write(lambda unit: unit.blocks.add_pack(pack_id(1), 400, one))
            metadata.write(lambda unit: unit.blocks.mark(one[:1], is_damaged=True))

        work(metadata)
        packs = [PackLine(pack_id(1), 400), PackLine(pack_id(2), 300)]
        lines = ask(metadata, lambda s: s.list_places(0, 10))

        assert ask(metadata, lambda s: s.list_packs(b"", 10)) == packs
        assert ask(metadata, lambda s: s.list_packs(b"", 1)) == packs[:1]
        assert ask(metadata, lambda s: s.list_packs(pack_id(1), 10)) == packs[1:]
        assert [line.place for line in lines] == two + one
        assert [line.pack_bytes for line in lines] == [300, 400, 400]
        assert [line.is_damaged for line in lines] == [False, True, False]
        assert ask(metadata, lambda s: s.list_places(0, 1)) == lines[:1]
        assert ask(metadata, lambda s: s.list_places(lines[0].number, 10)) == lines[1:]
        assert ask(metadata, lambda s: s.list_places(lines[-1].number, 10)) == []
