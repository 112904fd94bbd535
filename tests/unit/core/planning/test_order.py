# SPDX-License-Identifier: Apache-2.0
"""Steps come after what they wait for; rings are cut."""

from drystone.core.names.detour import is_detour_name
from drystone.core.planning.graph import Graph
from drystone.core.planning.order import arrange
from drystone.core.planning.plan import (
    Conflict,
    ConflictKind,
    Discard,
    MarkSynced,
    Place,
    Plan,
    SetAside,
    Shift,
)
from tests.unit.core.planning.trees import file, folder, make_id

A, B, C = (file(number, name) for number, name in ((1, "a"), (2, "b"), (3, "c")))


def arranged(graph: Graph) -> Plan:
    numbers = iter(range(90, 99))
    return arrange(graph, lambda: make_id(next(numbers)))


def test_order_given_is_kept_and_deletions_go_last() -> None:
    graph = Graph()
    gone = graph.add(A.file_id, Discard(A))
    graph.is_last.add(gone)
    graph.add(B.file_id, Place(B))
    graph.add(C.file_id, Place(C))

    assert arranged(graph).steps == (Place(B), Place(C), Discard(A))


def test_deletion_that_something_waits_for_comes_before_it() -> None:
    graph = Graph()
    first = graph.add(B.file_id, Place(B))
    gone = graph.add(A.file_id, Discard(A))
    graph.is_last.add(gone)
    graph.need(first, gone)

    found = arranged(graph)

    assert found.steps == (Discard(A), Place(B))
    assert found.after == ((), (0,))


def test_whole_folder_shares_what_it_waits_for() -> None:
    graph = Graph()
    above = graph.add(A.file_id, Place(A))
    needs = (above,)
    graph.add(B.file_id, Place(B), needs)
    graph.add(C.file_id, Place(C), needs)

    after = arranged(graph).after

    assert after == ((), (0,), (0,))
    assert after[1] is after[2]


def test_what_waits_firmly_for_something_that_waits_is_left_out() -> None:
    graph = Graph()
    unread = graph.add(A.file_id, None)
    firm = graph.add(B.file_id, Place(B), (unread,))
    graph.conflicts[firm] = Conflict(ConflictKind.NAME, B.file_id, "b", "")
    loose = graph.add(C.file_id, Place(C))
    graph.prefer(loose, unread)

    found = arranged(graph)

    assert found.steps == (Place(C),)
    assert found.waiting == (A.file_id, B.file_id)
    assert found.conflicts == ()
    assert found.after == ((),)


def test_vertex_does_not_wait_for_itself() -> None:
    graph = Graph()
    vertex = graph.add(A.file_id, Place(A))
    graph.need(vertex, vertex)
    graph.prefer(vertex, vertex)

    assert arranged(graph).steps == (Place(A),)


def test_swapped_names_take_a_detour() -> None:
    graph = Graph()
    to_b, to_a = A._replace(name="b"), B._replace(name="a")
    one, other = graph.add(A.file_id, Shift(A, to_b)), graph.add(B.file_id, Shift(B, to_a))
    graph.standing.update({one: A, other: B})
    graph.yields.update({one: other, other: one})

    away, first, rest = arranged(graph).steps

    assert isinstance(away, SetAside)
    assert away.before in (A, B)
    assert is_detour_name(away.entry.name)
    assert first == (Shift(B, to_a) if away.before == A else Shift(A, to_b))
    assert isinstance(rest, Shift)
    assert rest.before == away.entry


def test_detour_comes_after_what_precedes_it_in_its_own_entry() -> None:
    graph = Graph()
    above = graph.add(C.file_id, MarkSynced(C))
    held = graph.add(A.file_id, MarkSynced(A))
    one = graph.add_after(held, A.file_id, Shift(A, A._replace(name="b")))
    graph.adopted[one] = above
    other = graph.add(B.file_id, Shift(B, B._replace(name="a")))
    graph.standing.update({one: A})
    graph.yields.update({one: other, other: one})

    found = arranged(graph)

    assert found.steps[:2] == (MarkSynced(C), MarkSynced(A))
    assert isinstance(found.steps[2], SetAside)
    assert found.steps[2].before == A
    assert found.after[2] == (0, 1)


def test_detour_waits_when_what_precedes_it_is_in_the_ring_too() -> None:
    graph = Graph()
    first = graph.add(A.file_id, MarkSynced(A))
    one = graph.add_after(first, A.file_id, Shift(A, A._replace(name="b")))
    other = graph.add(B.file_id, Shift(B, B._replace(name="a")))
    graph.standing[one] = A
    graph.yields[other] = one
    graph.prefer(first, other)

    found = arranged(graph)

    assert len(found.steps) in (3, 4)
    assert found.waiting == ()


def test_ring_with_a_waiting_leaver_waits() -> None:
    graph = Graph()
    unread = graph.add(C.file_id, None)
    one = graph.add(A.file_id, Shift(A, A._replace(name="b")), (unread,))
    other = graph.add(B.file_id, Shift(B, B._replace(name="a")))
    graph.standing.update({one: A})
    graph.yields.update({one: other, other: one})

    found = arranged(graph)

    assert found.steps == ()
    assert set(found.waiting) == {A.file_id, B.file_id, C.file_id}


def test_wish_gives_way_in_a_ring() -> None:
    graph = Graph()
    one, other = graph.add(A.file_id, Place(A)), graph.add(B.file_id, Place(B))
    graph.need(one, other)
    graph.prefer(other, one)

    assert arranged(graph).steps == (Place(B), Place(A))


def test_ring_that_nothing_can_cut_waits_and_others_go_on() -> None:
    graph = Graph()
    one, other = graph.add(A.file_id, Place(A)), graph.add(B.file_id, Place(B))
    graph.need(one, other)
    graph.need(other, one)
    graph.add(C.file_id, Place(C))

    found = arranged(graph)

    assert found.steps == (Place(C),)
    assert set(found.waiting) == {A.file_id, B.file_id}


def test_many_rings_are_cut_in_one_go() -> None:
    graph = Graph()
    for number in range(0, 2_000, 2):
        a, b = folder(number, f"{number}"), folder(number + 1, f"{number + 1}")
        one = graph.add(a.file_id, Shift(a, a._replace(name=b.name)))
        other = graph.add(b.file_id, Shift(b, b._replace(name=a.name)))
        graph.standing.update({one: a, other: b})
        graph.yields.update({one: other, other: one})
    numbers = iter(range(10_000, 20_000))

    found = arrange(graph, lambda: make_id(next(numbers)))

    assert len(found.steps) == 3_000
