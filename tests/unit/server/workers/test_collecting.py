# SPDX-License-Identifier: Apache-2.0

import pytest

from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.content import Content
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.content.manifest import Manifest, encode_manifest
from drystone.core.ids import ROOT_ID, PackId, Rev
from drystone.core.journal.change import Accepted, Create, Delete, Edit, Move, Restore
from drystone.core.limits import LEASE_S
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.collecting import PackRemoved, RetiredState, Why
from drystone.server.service.blocks.verbs import BlockNotFound
from drystone.server.workers.checking import Check
from drystone.server.workers.collecting import CollectRules, Tally
from drystone.testing.blocks import BlockDevice, frames_of, ids_of, make_noise
from drystone.testing.service import AT_ONCE, file_id

pytestmark = pytest.mark.asyncio

HASH = b"h" * 32
AFTER_LEASE_S = LEASE_S + 1


@pytest.fixture
def device(server):
    """Signs a device of an account in."""

    async def sign_in(account="anna"):
        return BlockDevice(server, await server.sign_in(account))

    return sign_in


def single(block):
    name = block_id(block)
    return Content(len(block), name, False, content_hash_of_block_id(name))


def chunked(blocks):
    """Returns the content of a file made of blocks, and its manifest's encoding."""
    chunks, offset = [], 0
    for block in blocks:
        chunks.append(Chunk(offset, len(block), block_id(block)))
        offset += len(block)
    encoded = encode_manifest(Manifest(ChunkerId.FASTCDC, 1, offset, HASH, tuple(chunks)))
    return Content(offset, block_id(encoded), True, HASH), encoded


def file(number, content, parent_id=ROOT_ID):
    name = f"f{number}"
    return Create(Entry(file_id(number), parent_id, name, Kind.FILE, content, 0o644, 7, "", Rev(0)))


def folder(number):
    entry = Entry(file_id(number), ROOT_ID, f"d{number}", Kind.FOLDER, None, 0o755, 0, "", Rev(0))
    return Create(entry)


async def commit(device, *changes):
    done = await device.server.commit(device.actor, changes)
    return [
        outcome.rev if isinstance(outcome, Accepted) else outcome.code for outcome in done.outcomes
    ]


async def put_file(device, number, block, parent_id=ROOT_ID):
    await device.put(frames_of([block]))
    [rev] = await commit(device, file(number, single(block), parent_id))
    return rev


def retired(server):
    return server.metadata.read(lambda unit: unit.packs.list_retired(PackId(b""), 99))


async def test_what_was_never_committed_goes_after_its_lease_and_a_second_look(
    server, keeper, device
):
    anna = await device()
    kept, idle = make_noise(2)
    await put_file(anna, 1, kept)
    await anna.put(frames_of([idle]))

    assert keeper.collect(runs=3).let_go == 0
    server.clock.advance(AFTER_LEASE_S)
    assert keeper.collect().let_go == 1
    assert await anna.fetch(ids_of([idle])) == [idle]
    tally = keeper.collect()

    assert (tally.dropped_holders, tally.dropped_blocks, tally.retired_packs) == (1, 1, 1)
    assert tally.removed_packs == 1
    assert tally.dropped_bytes == 200 + 44
    assert keeper.count() == (1, 1)
    assert await anna.fetch(ids_of([kept])) == [kept]
    with pytest.raises(BlockNotFound):
        await anna.fetch(ids_of([idle]))
    assert keeper.collect() == Tally(namespaces=1)


async def test_nothing_goes_before_its_age(server, keeper, device):
    anna = await device()
    await anna.put(frames_of(make_noise(1)))
    rules = CollectRules(age_s=7_200, quarantine_s=500, remembered_s=500)
    server.clock.advance(AFTER_LEASE_S)
    assert keeper.collect(rules).let_go == 1
    server.clock.advance(7_199)
    assert keeper.collect(rules).dropped_holders == 0
    server.clock.advance(1)
    tally = keeper.collect(rules)
    assert (tally.dropped_holders, tally.noted_blocks, tally.dropped_blocks) == (1, 1, 0)
    server.clock.advance(3_600)
    tally = keeper.collect(rules)
    assert (tally.dropped_blocks, tally.retired_packs, tally.removed_packs) == (1, 1, 0)
    server.clock.advance(499)
    assert keeper.collect(rules).removed_packs == 0
    server.clock.advance(1)
    assert keeper.collect(rules).removed_packs == 1
    assert [pack.state for pack in retired(server)] == [RetiredState.REMOVED]
    server.clock.advance(500)
    keeper.collect(rules)
    assert retired(server) == []


@pytest.mark.parametrize("how", ["ask", "put", "commit"])
async def test_whoever_needs_a_block_in_between_keeps_it(server, keeper, device, how):
    anna = await device()
    [block] = make_noise(1)
    await anna.put(frames_of([block]))
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect()
    if how == "ask":
        assert await anna.holds([block]) == [True]
    elif how == "put":
        await anna.put(frames_of([block]))
    else:
        assert await commit(anna, file(1, single(block))) == [1]
    assert keeper.collect(runs=3).dropped_holders == 0
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect(runs=3)

    assert keeper.count() == ((1, 1) if how == "commit" else (0, 0))


async def test_a_block_goes_when_the_last_namespace_lets_go(server, keeper, device):
    anna, bob = await device(), await device("bob")
    [block] = make_noise(1)
    await anna.put(frames_of([block]))
    await put_file(bob, 1, block)
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect(runs=3)

    assert keeper.count() == (1, 1)
    assert await bob.fetch(ids_of([block])) == [block]
    # It is there, and yet anna must not see it any more.
    assert await anna.holds([block]) == [False]


async def test_a_namespace_that_sends_a_block_as_it_is_dropped_keeps_it(server, keeper, device):
    anna, bob = await device(), await device("bob")
    [block] = make_noise(1)
    await anna.put(frames_of([block]))
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect()
    # Between any two steps of the run that drops it.
    for steps in range(1, 40):
        tally, copy = Tally(), server.metadata.copy()
        run = keeper.begin(tally, AT_ONCE._replace(quarantine_s=9))
        for _ in range(steps):
            next(run, None)
        await put_file(bob, 1, block)
        for _ in run:
            pass
        assert await bob.fetch(ids_of([block])) == [block]
        assert keeper.collect(runs=3).missing_blocks == 0
        assert await bob.fetch(ids_of([block])) == [block]
        server.metadata.become(copy)


async def test_chunks_are_reached_through_their_manifests(server, keeper, device):
    anna = await device()
    blocks = make_noise(6)
    content, encoded = chunked(blocks[:4])
    await anna.put(frames_of([*blocks, encoded]))
    await commit(anna, file(1, content))
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect(runs=3)

    assert await anna.holds(blocks) == [True] * 4 + [False] * 2
    assert await anna.fetch(ids_of(blocks[:4])) == blocks[:4]


async def test_a_block_may_be_a_file_and_a_manifest(server, keeper, device):
    anna = await device()
    blocks = make_noise(3)
    content, encoded = chunked(blocks)
    await anna.put(frames_of([*blocks, encoded]))
    await commit(anna, file(1, single(encoded)), file(2, content))
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect(runs=3)

    assert await anna.holds(blocks) == [True] * 3


@pytest.mark.parametrize("how", ["damaged", "lost"])
async def test_a_manifest_that_cannot_be_read_refers_to_everything(
    server, keeper, device, objects, how
):
    anna, bob = await device(), await device("bob")
    blocks = make_noise(4)
    content, encoded = chunked(blocks[:2])
    await anna.put(frames_of([encoded]))
    [pack] = server.packs.iter_stored()
    await anna.put(frames_of(blocks))
    await commit(anna, file(1, content))
    [other] = make_noise(1, seed=7)
    await bob.put(frames_of([other]))
    server.clock.advance(AFTER_LEASE_S)
    name = next(s.name for s in objects.iter_names() if pack.pack_id.hex() in s.name)
    if how == "damaged":
        objects.change(name, lambda content: content[:-1] + b"\0")
    else:
        objects.delete(name)
    tally = keeper.collect(runs=3)

    assert "cannot be read" in tally.troubles[0]
    assert keeper.survey().troubles == tally.troubles
    assert await anna.holds(blocks) == [True] * 4
    assert await bob.holds([other]) == [False]


async def test_history_is_kept_for_ever_unless_told_otherwise(server, keeper, device):
    anna = await device()
    old, new = make_noise(2)
    rev = await put_file(anna, 1, old)
    await anna.put(frames_of([new]))
    [new_rev] = await commit(anna, Edit(file_id(1), rev, single(new), 0o644, 8))
    await commit(anna, Delete(file_id(1), new_rev))
    server.clock.advance(50 * 365 * 86_400)
    keeper.collect(runs=3)

    assert await anna.holds([old, new]) == [True, True]
    assert await commit(anna, Restore(file_id(1), rev)) == [4]


async def test_history_is_kept_as_long_as_told(server, keeper, device):
    rules = AT_ONCE._replace(history_s=30 * 86_400)
    anna = await device()
    old, new, last = make_noise(3)
    rev = await put_file(anna, 1, old)
    await anna.put(frames_of([new]))
    server.clock.advance(100 * 86_400)
    [middle] = await commit(anna, Edit(file_id(1), rev, single(new), 0o644, 8))
    server.clock.advance(20 * 86_400)
    # What was replaced is as old as what replaced it.
    assert keeper.collect(rules, runs=3).dropped_holders == 0
    await anna.put(frames_of([last]))
    [newest] = await commit(anna, Edit(file_id(1), middle, single(last), 0o644, 9))
    server.clock.advance(11 * 86_400)
    keeper.collect(rules, runs=3)

    assert await anna.holds([old, new, last]) == [False, True, True]
    assert await commit(anna, Restore(file_id(1), rev)) == ["content-collected"]
    assert await commit(anna, Restore(file_id(1), middle)) == [4]
    server.clock.advance(90 * 86_400)
    keeper.collect(rules, runs=3)
    assert await commit(anna, Restore(file_id(1), newest)) == ["content-collected"]
    # What is current is no history, however old it is.
    assert await anna.fetch(ids_of([new])) == [new]


async def test_a_moved_file_has_all_its_history(server, keeper, device):
    rules = AT_ONCE._replace(history_s=30 * 86_400)
    anna = await device()
    old, new = make_noise(2)
    rev = await put_file(anna, 1, old)
    server.clock.advance(100 * 86_400)
    await commit(anna, Move(file_id(1), ROOT_ID, "moved", ROOT_ID, "f1"))
    server.clock.advance(100 * 86_400)
    keeper.collect(rules, runs=3)
    await anna.put(frames_of([new]))
    await commit(anna, Edit(file_id(1), rev, single(new), 0o644, 8))
    server.clock.advance(20 * 86_400)
    keeper.collect(rules, runs=3)

    assert await commit(anna, Restore(file_id(1), rev)) == [4]


async def test_what_is_below_a_deleted_folder_goes_with_it(server, keeper, device):
    rules = AT_ONCE._replace(history_s=30 * 86_400)
    anna = await device()
    below, deep, beside = make_noise(3)
    [rev] = await commit(anna, folder(1))
    entry = folder(2).entry._replace(parent_id=file_id(1))
    await commit(anna, Create(entry))
    await put_file(anna, 3, below, file_id(1))
    await put_file(anna, 4, deep, file_id(2))
    await put_file(anna, 5, beside)
    server.clock.advance(100 * 86_400)
    await commit(anna, Delete(file_id(1), rev))
    server.clock.advance(20 * 86_400)
    keeper.collect(rules, runs=3)
    assert await anna.holds([below, deep, beside]) == [True] * 3
    assert await commit(anna, Restore(file_id(1))) == [rev]
    await commit(anna, Delete(file_id(1), rev))
    server.clock.advance(31 * 86_400)
    assert await commit(anna, Restore(file_id(1))) == [rev]
    await commit(anna, Delete(file_id(1), rev))
    server.clock.advance(31 * 86_400)
    keeper.collect(rules, runs=3)

    assert await anna.holds([below, deep, beside]) == [False, False, True]
    for number in (1, 2, 3):
        name = f"back{number}"
        outcomes = await commit(anna, Restore(file_id(number), parent_id=ROOT_ID, name=name))
        assert outcomes == ["content-collected"]


async def test_a_thin_pack_is_compacted_and_who_reads_it_goes_on(server, keeper, device):
    rules = AT_ONCE._replace(quarantine_s=100)
    anna = await device()
    blocks = make_noise(9)
    await anna.put(frames_of(blocks[:5]))
    await anna.put(frames_of(blocks[5:]))
    await commit(anna, file(1, single(blocks[0])), file(2, single(blocks[7])))
    before = server.metadata.read(lambda unit: unit.blocks.locate(ids_of(blocks)))
    server.clock.advance(AFTER_LEASE_S)
    tally = keeper.collect(rules, runs=2)

    assert (tally.compacted_packs, tally.retired_packs, tally.moved_bytes) == (2, 2, 2 * 244)
    assert {pack.why for pack in retired(server)} == {Why.THIN}
    kept = ids_of([blocks[0], blocks[7]])
    now = server.metadata.read(lambda unit: unit.blocks.locate(kept))
    assert len({place.pack_id for place in now.values()}) == 1
    old = server.packs.read([before[name] for name in ids_of(blocks)])
    assert [bytes(frame.payload) for frame in old] == blocks
    assert await anna.fetch(kept) == [blocks[0], blocks[7]]
    server.clock.advance(100)
    assert keeper.collect(rules).removed_packs == 2
    assert await anna.fetch(kept) == [blocks[0], blocks[7]]
    assert keeper.count() == (2, 1)


async def test_a_damaged_block_is_not_carried_to_another_pack(server, keeper, device, objects):
    anna = await device()
    blocks = make_noise(5)
    await anna.put(frames_of(blocks))
    await commit(anna, file(1, single(blocks[0])), file(2, single(blocks[1])))
    [stat] = objects.iter_names()
    objects.change(stat.name, lambda content: content[:60] + b"\0\1\2" + content[63:])
    server.clock.advance(AFTER_LEASE_S)
    tally = keeper.collect(runs=2)

    assert (tally.moved_bytes, tally.retired_packs) == (244, 0)
    assert await anna.fetch(ids_of([blocks[1]])) == [blocks[1]]
    assert retired(server) == []


async def test_a_dry_run_tells_what_would_go_and_changes_nothing(server, keeper, device):
    anna = await device()
    blocks = make_noise(9)
    for some in (blocks[:5], blocks[5:8], blocks[8:]):
        await anna.put(frames_of(some))
    await commit(anna, file(1, single(blocks[0])), file(2, single(blocks[8])))
    server.packs.store(frames_of(make_noise(1, seed=9)))
    server.clock.advance(AFTER_LEASE_S)
    before, told = keeper.count(), keeper.survey()
    assert keeper.count() == before
    assert told == keeper.survey()
    keeper.collect(AT_ONCE._replace(quarantine_s=9))
    done = keeper.collect(AT_ONCE._replace(quarantine_s=9))

    assert told.is_dry
    assert (told.dropped_blocks, told.dropped_bytes) == (7, 7 * 244)
    for name in ("dropped_blocks", "dropped_bytes", "retired_packs", "retired_bytes"):
        assert getattr(told, name) == getattr(done, name), name
    assert (told.compacted_packs, told.orphans, told.removed_packs) == (1, 1, 0)


async def test_leftovers_of_broken_uploads_go(server, keeper, device):
    blocks = make_noise(1)
    pack = server.packs.store(frames_of(blocks))
    tally = keeper.collect(AT_ONCE._replace(quarantine_s=9))

    assert (tally.orphans, tally.orphan_bytes) == (1, pack.length_bytes)
    assert keeper.count() == (0, 1)
    server.clock.advance(9)
    assert keeper.collect(AT_ONCE._replace(quarantine_s=9)).removed_packs == 1
    assert keeper.count() == (0, 0)


async def test_the_same_pack_may_come_while_its_object_is_on_its_way_out(
    server, keeper, device, objects
):
    anna = await device()
    blocks = make_noise(1)
    pack = server.packs.store(frames_of(blocks))
    rules = AT_ONCE._replace(remembered_s=1_000)
    for steps in range(1, 30):
        run = keeper.begin(Tally(), rules)
        for _ in range(steps):
            next(run, None)
        try:
            await anna.put(frames_of(blocks))
        except PackRemoved:
            for _ in run:
                pass
            await anna.put(frames_of(blocks))
        else:
            for _ in run:
                pass
        assert await anna.fetch(ids_of(blocks)) == blocks
        assert [s.pack_id for s in server.packs.iter_stored()] == [pack.pack_id]
        # It is let go of again, down to the last trace or not.
        server.clock.advance(AFTER_LEASE_S)
        keeper.collect(rules, runs=2)
        assert keeper.count() == (0, 0)


async def test_an_object_put_before_its_removal_was_over_is_put_again(
    server, keeper, device, objects
):
    anna = await device()
    blocks = make_noise(1)
    [name] = [server.packs.store(frames_of(blocks)).pack_id]
    put = []

    def remove_meanwhile():
        # After it was found there and before the index is told of it.
        objects.before_put = lambda: put.append(1)
        keeper.collect(AT_ONCE._replace(remembered_s=1_000))

    objects.before_put = remove_meanwhile
    await anna.put(frames_of(blocks))

    assert put == [1]
    assert [stored.pack_id for stored in server.packs.iter_stored()] == [name]
    assert await anna.fetch(ids_of(blocks)) == blocks


async def test_a_check_does_not_miss_what_was_let_go_of(server, keeper, device, objects):
    rules = AT_ONCE._replace(history_s=30 * 86_400)
    anna = await device()
    old, new, gone, kept = make_noise(4)
    rev = await put_file(anna, 1, old)
    await put_file(anna, 2, kept)
    await anna.put(frames_of([new]))
    await commit(anna, Edit(file_id(1), rev, single(new), 0o644, 8))
    gone_rev = await put_file(anna, 3, gone)
    await commit(anna, Delete(file_id(3), gone_rev))
    server.clock.advance(100 * 86_400)
    keeper.collect(rules, runs=3)
    assert await anna.holds([old, new, gone, kept]) == [False, True, False, True]

    def check():
        now_ns = server.clock.now_ns()
        found = Check(server.metadata, objects, server.packs, now_ns, is_deep=False)
        return {finding.code for finding in found.iter_findings()} & {"block-unknown"}

    assert check() == set()
    places = server.metadata.read(lambda unit: unit.blocks.locate(ids_of([kept])))
    assert len(places) == 1
    number = server.metadata.read(lambda unit: unit.holders.number(ids_of([kept])))
    server.metadata.write(lambda unit: unit.holders.note_unheld(list(number.values()), 0))
    server.metadata.write(lambda unit: unit.holders.drop_blocks(list(number.values()), 0))
    assert check() == {"block-unknown"}
