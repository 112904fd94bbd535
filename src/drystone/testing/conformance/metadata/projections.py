# SPDX-License-Identifier: Apache-2.0
"""What every engine does with the positions of projectors, and how journals are read for them."""

from drystone.core.ids import NamespaceId, Seq
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.projections import Behind, Lag
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    NOWHERE,
    OTHER,
    Journalist,
    add_accounts,
    file,
)
from drystone.testing.strategies import make_file_id

_OUTLET = "outlet"


class ProjectionsSuite:
    """Positions, where projectors are behind, and the journal read forwards."""

    def test_whoever_is_added_is_behind_everywhere(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        write_journal(metadata, NAMESPACE, 3)
        add_projector(metadata)

        assert behind(metadata) == [Behind(NAMESPACE, Seq(0), Seq(3))]
        assert metadata.read(lambda unit: unit.projections.list_projectors()) == [_OUTLET]

    def test_later_records_are_seen_in_old_and_new_namespaces(self, metadata: Metadata) -> None:
        add_projector(metadata)
        add_accounts(metadata)
        one = write_journal(metadata, NAMESPACE, 2)
        assert behind(metadata) == [Behind(NAMESPACE, Seq(0), Seq(2))]
        one.create(file(make_file_id(9), "more"))
        write_journal(metadata, OTHER, 1)

        assert behind(metadata) == [
            Behind(NAMESPACE, Seq(0), Seq(3)),
            Behind(OTHER, Seq(0), Seq(1)),
        ]

    def test_who_has_carried_all_is_not_behind(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        add_projector(metadata)
        journalist = write_journal(metadata, NAMESPACE, 5)
        move(metadata, NAMESPACE, 3)
        assert behind(metadata) == [Behind(NAMESPACE, Seq(3), Seq(5))]
        assert measure(metadata) == Lag(1, 2)
        move(metadata, NAMESPACE, 5)
        assert behind(metadata) == []
        assert measure(metadata) == Lag(0, 0)
        journalist.create(file(make_file_id(9), "more"))

        assert behind(metadata) == [Behind(NAMESPACE, Seq(5), Seq(6))]

    def test_positions_never_go_backwards(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        add_projector(metadata)
        write_journal(metadata, NAMESPACE, 5)
        move(metadata, NAMESPACE, 4)
        move(metadata, NAMESPACE, 2)
        add_projector(metadata)

        assert position(metadata, NAMESPACE) == 4
        assert position(metadata, OTHER) == position(metadata, NOWHERE) == 0
        move(metadata, NOWHERE, 7)
        assert position(metadata, NOWHERE) == 0

    def test_where_one_is_behind_is_told_page_by_page(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        add_projector(metadata)
        write_journal(metadata, NAMESPACE, 1)
        write_journal(metadata, OTHER, 2)
        found: list[Behind] = []
        while page := behind(metadata, found[-1].namespace_id if found else None, limit=1):
            found += page

        assert found == behind(metadata)
        assert len(found) == 2

    def test_projectors_do_not_know_of_each_other(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        write_journal(metadata, NAMESPACE, 1)
        add_projector(metadata)
        add_projector(metadata, "other")
        move(metadata, NAMESPACE, 1)

        assert behind(metadata) == []
        assert behind(metadata, projector="other") == [Behind(NAMESPACE, Seq(0), Seq(1))]
        metadata.write(lambda unit: unit.projections.remove_projector("other"))
        metadata.write(lambda unit: unit.projections.remove_projector("other"))
        write_journal(metadata, OTHER, 1)
        assert behind(metadata, projector="other") == []
        assert metadata.read(lambda unit: unit.projections.list_projectors()) == [_OUTLET]
        add_projector(metadata, "other")
        assert len(behind(metadata, projector="other")) == 2

    def test_a_work_that_is_undone_moves_nothing(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        add_projector(metadata)
        write_journal(metadata, NAMESPACE, 1)

        def work(unit: Unit) -> None:
            unit.projections.move(_OUTLET, NAMESPACE, Seq(1))
            raise LookupError

        assert isinstance(metadata.write_group([work])[0], LookupError)
        assert position(metadata, NAMESPACE) == 0

    def test_the_journal_is_read_forwards(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        records = write_journal(metadata, NAMESPACE, 5).records

        def read(after_seq: int, limit: int) -> list[object]:
            return metadata.read(
                lambda unit: list(unit.tree.list_records(NAMESPACE, Seq(after_seq), limit))
            )

        assert read(0, 2) == records[:2]
        assert read(2, 99) == records[2:]
        assert read(5, 99) == []
        assert metadata.read(lambda unit: unit.tree.list_records(NOWHERE, Seq(0), 9)) == []

    def test_heads_are_found_together(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        write_journal(metadata, NAMESPACE, 2)
        wanted = [NAMESPACE, OTHER, NOWHERE]

        heads = metadata.read(lambda unit: unit.tree.find_heads(wanted))

        assert heads == {NAMESPACE: 2, OTHER: 0}
        assert metadata.read(lambda unit: unit.tree.find_heads([])) == {}


def write_journal(metadata: Metadata, namespace_id: NamespaceId, count: int) -> Journalist:
    """Writes so many records into an empty journal."""
    journalist = Journalist(metadata, namespace_id)
    journalist.create(*(file(make_file_id(n), f"{n}") for n in range(1, count + 1)))
    return journalist


def add_projector(metadata: Metadata, projector: str = _OUTLET) -> None:
    """Adds a projector, in two units of work."""
    metadata.write(lambda unit: unit.projections.add_projector(projector))
    metadata.write(lambda unit: unit.projections.begin(projector))


def behind(
    metadata: Metadata,
    after: NamespaceId | None = None,
    *,
    limit: int = 99,
    projector: str = _OUTLET,
) -> list[Behind]:
    """Returns where a projector is behind."""
    return list(metadata.read(lambda unit: unit.projections.list_behind(projector, after, limit)))


def move(metadata: Metadata, namespace_id: NamespaceId, seq: int) -> None:
    """Notes that the projector has come so far."""
    metadata.write(lambda unit: unit.projections.move(_OUTLET, namespace_id, Seq(seq)))


def position(metadata: Metadata, namespace_id: NamespaceId) -> int:
    """Returns how far the projector has come."""
    return metadata.read(lambda unit: unit.projections.find_position(_OUTLET, namespace_id))


def measure(metadata: Metadata) -> Lag:
    """Returns how far it is behind in all."""
    return metadata.read(lambda unit: unit.projections.measure(_OUTLET))
