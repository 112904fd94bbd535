# SPDX-License-Identifier: Apache-2.0
"""What every engine does with packs that devices put into the object store themselves."""

from drystone.core.ids import BLOCK_ID_BYTES, DeviceId, NamespaceId, PackId
from drystone.server.ports.arrivals import Arrival, ArrivalState
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.places import BlockPlace
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    NOWHERE,
    OTHER,
    add_accounts,
    block_id,
    make_places,
    pack_id,
)


def make_arrival(
    number: int,
    *,
    namespace_id: NamespaceId = NAMESPACE,
    pack: PackId | None = None,
    state: ArrivalState = ArrivalState.PROMISED,
    due_s: int = 100,
) -> Arrival:
    """Returns an arrival; those of different numbers are different ones."""
    return Arrival(
        namespace_id,
        number.to_bytes(16, "big"),
        DeviceId(b"d" * 16),
        pack or pack_id(number),
        1_000 + number,
        b"heads %d" % number,
        state,
        due_s,
    )


def make_claims(arrival: Arrival, numbers: range) -> list[BlockPlace]:
    """Returns where an arrival claims to hold blocks."""
    places = make_places(arrival.pack_id, numbers)
    return [place._replace(object_name=arrival.name) for place in places]


class ArrivalsSuite:
    """Arrivals, and where their blocks lie."""

    def test_an_arrival_is_found_as_it_was_added(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        one, two = make_arrival(1), make_arrival(2, namespace_id=OTHER)

        def add(unit: Unit) -> None:
            unit.arrivals.add(one)
            unit.arrivals.add(two)

        metadata.write(add)

        def work(unit: Unit) -> None:
            ids = [one.arrival_id, two.arrival_id, one.arrival_id, b"?" * 16, b"short"]
            assert unit.arrivals.find(NAMESPACE, ids) == [one]
            assert unit.arrivals.find(OTHER, ids) == [two]
            assert unit.arrivals.find(NOWHERE, ids) == []
            assert unit.arrivals.find(NAMESPACE, []) == []
            packs = [one.pack_id, two.pack_id]
            assert unit.arrivals.find_promised(NAMESPACE, packs) == {one.pack_id: one}
            assert unit.arrivals.find_promised(NOWHERE, packs) == {}
            assert unit.arrivals.count_promised(NAMESPACE) == 1
            assert unit.arrivals.count_promised(NOWHERE) == 0
            assert unit.arrivals.count_blocks() == (0, 0)

        metadata.read(work)

    def test_an_arrival_changes_and_goes(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        one, same_pack = make_arrival(1), make_arrival(2, pack=pack_id(1))
        stands = one._replace(state=ArrivalState.UNVERIFIED, due_s=7, upload="abc")

        def change(unit: Unit) -> None:
            unit.arrivals.add(one)
            unit.arrivals.add(same_pack)
            # Only these three are changed.
            unit.arrivals.change(stands._replace(heads=b"other", length_bytes=3))
            unit.arrivals.change(make_arrival(3))

        metadata.write(change)

        def look(unit: Unit) -> None:
            assert unit.arrivals.find(NAMESPACE, [one.arrival_id, bytes(16)]) == [stands]
            assert unit.arrivals.find_promised(NAMESPACE, [pack_id(1)]) == {pack_id(1): same_pack}
            assert unit.arrivals.count_promised(NAMESPACE) == 1
            assert unit.arrivals.count_blocks() == (1, one.length_bytes)

        metadata.read(look)

        def remove(unit: Unit) -> None:
            unit.arrivals.remove(OTHER, one.arrival_id)
            unit.arrivals.remove(NAMESPACE, same_pack.arrival_id)
            unit.arrivals.remove(NAMESPACE, same_pack.arrival_id)
            assert unit.arrivals.find(NAMESPACE, [one.arrival_id, same_pack.arrival_id]) == [stands]

        metadata.write(remove)

    def test_blocks_of_arrivals_are_their_namespace_s_alone(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        mine, theirs = make_arrival(1), make_arrival(2, namespace_id=OTHER)
        places, others = make_claims(mine, range(5)), make_claims(theirs, range(3, 8))
        ids = [block_id(number) for number in range(20)]

        def add(unit: Unit) -> None:
            for arrival, claims in ((mine, places), (theirs, others)):
                unit.arrivals.add(arrival)
                unit.arrivals.add_places(claims)
                unit.arrivals.add_places(claims)

        metadata.write(add)

        def look(unit: Unit) -> None:
            assert unit.arrivals.locate(NAMESPACE, ids) == {p.block_id: p for p in places}
            assert unit.arrivals.locate(OTHER, [*ids, *ids]) == {p.block_id: p for p in others}
            assert unit.arrivals.locate(NOWHERE, ids) == {}
            assert unit.arrivals.locate(NAMESPACE, []) == {}
            assert unit.arrivals.find_damaged(NAMESPACE, ids) == {}
            # To the block index they are nothing.
            assert unit.blocks.locate(ids) == {}
            assert unit.blocks.find_held(NAMESPACE, ids) == set()
            assert unit.blocks.totals()["blocks"] == 0

        metadata.read(look)

        def damage(unit: Unit) -> None:
            unit.arrivals.mark([*places[1:], make_claims(make_arrival(9), range(1))[0]],
                               is_damaged=True)  # fmt: skip
            unit.arrivals.mark(places[4:], is_damaged=False)

        metadata.write(damage)

        def look_again(unit: Unit) -> None:
            whole = {p.block_id: p for p in (places[0], places[4])}
            assert unit.arrivals.locate(NAMESPACE, ids) == whole
            assert unit.arrivals.find_damaged(NAMESPACE, ids) == {
                p.block_id: p for p in places[1:4]
            }
            assert len(unit.arrivals.locate(OTHER, ids)) == len(others)

        metadata.read(look_again)

        def drop(unit: Unit) -> None:
            unit.arrivals.drop_places(NAMESPACE, mine.arrival_id)
            assert unit.arrivals.locate(NAMESPACE, ids) == {}
            assert unit.arrivals.find_damaged(NAMESPACE, ids) == {}
            assert unit.arrivals.find(NAMESPACE, [mine.arrival_id]) == [mine]
            assert len(unit.arrivals.locate(OTHER, ids)) == len(others)

        metadata.write(drop)

        def remove(unit: Unit) -> None:
            unit.arrivals.remove(OTHER, theirs.arrival_id)
            assert unit.arrivals.locate(OTHER, ids) == {}

        metadata.write(remove)

    def test_a_block_in_two_arrivals_is_found_where_it_is_whole(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        first, second = make_arrival(1), make_arrival(2)
        claims = [make_claims(arrival, range(1)) for arrival in (first, second)]

        def add(unit: Unit) -> None:
            for arrival, places in zip((first, second), claims, strict=True):
                unit.arrivals.add(arrival)
                unit.arrivals.add_places(places)
            unit.arrivals.mark(claims[0], is_damaged=True)

        metadata.write(add)

        def look(unit: Unit) -> None:
            assert unit.arrivals.locate(NAMESPACE, [block_id(0)]) == {block_id(0): claims[1][0]}
            damaged = unit.arrivals.find_damaged(NAMESPACE, [block_id(0)])
            assert damaged == {block_id(0): claims[0][0]}

        metadata.read(look)

    def test_what_is_due_is_listed_longest_first(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        arrivals = [
            make_arrival(number, namespace_id=(NAMESPACE, OTHER)[number % 2], due_s=90 - number)
            for number in range(8)
        ]

        def add(unit: Unit) -> None:
            for arrival in arrivals:
                unit.arrivals.add(arrival)
            unit.arrivals.change(arrivals[5]._replace(state=ArrivalState.QUARANTINED))

        metadata.write(add)

        def look(unit: Unit) -> None:
            due = unit.arrivals.list_due(ArrivalState.PROMISED, 86, 3)
            assert due == [arrivals[7], arrivals[6], arrivals[4]]
            assert unit.arrivals.list_due(ArrivalState.PROMISED, 82, 9) == []
            assert len(unit.arrivals.list_due(ArrivalState.QUARANTINED, 1_000, 9)) == 1

        metadata.read(look)

    def test_many_blocks_of_an_arrival(self, metadata: Metadata) -> None:
        add_accounts(metadata)
        arrival = make_arrival(1)
        places = make_claims(arrival, range(3_000))

        def add(unit: Unit) -> None:
            unit.arrivals.add(arrival._replace(heads=bytes(44 * 3_000)))
            unit.arrivals.add_places(places)

        metadata.write(add)
        ids = [block_id(number) for number in range(4_000)]
        assert len(block_id(1)) == BLOCK_ID_BYTES
        assert len(metadata.read(lambda unit: unit.arrivals.locate(NAMESPACE, ids))) == 3_000
