# SPDX-License-Identifier: Apache-2.0
"""Assembly: what is at hand is copied, what is zeros is left out, the rest is fetched."""

from itertools import count

from drystone.core.content.assembly import (
    Copy,
    Fetch,
    Hole,
    Seed,
    pick_bases,
    plan_assembly,
)
from drystone.core.content.chunk import Chunk
from drystone.core.content.hashing import block_id, zeros_id
from drystone.core.limits import BLOCK_BYTES_MAX


def named(text):
    return block_id(text.encode())


def chunks_of(*parts):
    """Chunks from names, or (name, length) where the length matters."""
    found = []
    offset = 0
    for part in parts:
        name, length = part if isinstance(part, tuple) else (part, 100)
        found.append(Chunk(offset, length, named(name)))
        offset += length
    return found


def test_neighbours_of_one_source_are_one_copy():
    chunks = chunks_of("a", "b", "c", "d", "e")
    seeds = {
        named("a"): Seed("old", 500),
        named("b"): Seed("old", 600),
        named("c"): Seed("other", 700),
        named("e"): Seed("other", 800),
    }
    plan = plan_assembly(chunks, seeds)
    assert plan.copies == (
        Copy("old", 500, 0, 200),
        Copy("other", 700, 200, 100),
        Copy("other", 800, 400, 100),
    )
    assert plan.fetches == (Fetch(named("d"), 100, (300,), None),)


def test_a_block_that_occurs_twice_is_fetched_once():
    plan = plan_assembly(chunks_of("a", "b", "a"), {})
    assert plan.fetches == (
        Fetch(named("a"), 100, (0, 200), None),
        Fetch(named("b"), 100, (100,), None),
    )


def test_zeros_are_neither_fetched_nor_copied():
    zero = zeros_id(BLOCK_BYTES_MAX)
    chunks = [Chunk(index * BLOCK_BYTES_MAX, BLOCK_BYTES_MAX, zero) for index in range(3)]
    chunks.append(Chunk(3 * BLOCK_BYTES_MAX, 5, named("end")))
    plan = plan_assembly(chunks, {zero: Seed("old", 0), named("end"): Seed("old", 9)})
    assert plan.holes == (Hole(0, 3 * BLOCK_BYTES_MAX),)
    assert plan.copies == (Copy("old", 9, 3 * BLOCK_BYTES_MAX, 5),)


def test_nothing_is_needed_for_an_empty_file():
    assert plan_assembly([], {}) == ((), (), ())


def test_a_changed_block_resembles_what_stood_in_its_place():
    old = chunks_of("a", "b", "c", "d")
    new = chunks_of("a", "B", "c", ("D", 101))
    assert pick_bases(new, old) == {named("B"): named("b"), named("D"): named("d")}
    plan = plan_assembly(new, {chunk.block_id: Seed("old", 0) for chunk in old}, old)
    assert [fetch.base for fetch in plan.fetches] == [named("b"), named("d")]


def test_blocks_cut_otherwise_resemble_what_they_overlap_most():
    old = chunks_of("a", ("b", 300), ("c", 100), "d")
    halves = chunks_of("a", ("x", 150), ("y", 151), ("z", 100), "d")
    assert pick_bases(halves, old) == {
        named("x"): named("b"),
        named("y"): named("b"),
        named("z"): named("c"),
    }
    halved = chunks_of("a", ("x", 50), ("y", 100), ("z", 250), "d")
    assert pick_bases(halved, chunks_of("a", "b", "c", ("e", 200), "d"))[named("y")] == named("b")
    merged = chunks_of("a", ("x", 401), "d")
    assert pick_bases(merged, old) == {named("x"): named("b")}


def test_an_inserted_run_resembles_old_blocks_at_its_ends_only():
    old = chunks_of("a", ("b", 100), "c")
    new = chunks_of("a", ("b1", 60), ("n1", 100), ("n2", 100), ("n3", 100), ("b2", 60), "c")
    bases = pick_bases(new, old)
    assert bases[named("b1")] == bases[named("b2")] == named("b")
    assert named("n2") not in bases


def test_an_appended_run_resembles_nothing():
    old = chunks_of("a", ("b", 40))
    new = chunks_of("a", ("b+", 100), "n1", "n2")
    assert pick_bases(new, old) == {named("b+"): named("b")}
    assert pick_bases(chunks_of("a", ("b", 40), "n"), old) == {}


def test_another_order_and_another_file_give_some_base_or_none():
    old = chunks_of("a", "b", "c", "d")
    assert pick_bases(chunks_of("c", "X", "a", "Y"), old)
    assert pick_bases(chunks_of("X"), []) == {}
    numbers = count()
    new = chunks_of(*[f"n{next(numbers)}" for _ in range(4)])
    assert list(pick_bases(new, old).values()) == [chunk.block_id for chunk in old]
