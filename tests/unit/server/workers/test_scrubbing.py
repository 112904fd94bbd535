# SPDX-License-Identifier: Apache-2.0

import pytest

from drystone.core.content.coding import STANDARD
from drystone.core.content.frame import Codec
from drystone.server.ports.objects import ObjectStoreAway
from drystone.server.workers.scrubbing import Scrub, ScrubTally
from drystone.testing.blocks import BlockDevice, frames_of, ids_of, make_noise
from drystone.testing.service import AT_ONCE
from tests.unit.server.workers.test_collecting import AFTER_LEASE_S, commit, file, single

pytestmark = pytest.mark.asyncio


@pytest.fixture
def device(server):
    """Signs a device of an account in."""

    async def sign_in(account="anna"):
        return BlockDevice(server, await server.sign_in(account))

    return sign_in


def scrub(server, within_s=1, steps=None, *, is_deep=False):
    tally = ScrubTally()
    server.clock.advance(1)
    run = Scrub(server.metadata, server.packs, server.clock).run(
        tally, within_s=within_s, is_deep=is_deep
    )
    for number, _ in enumerate(run, 1):
        if number == steps:
            break
    return tally


def damage(objects, block):
    """Changes a byte in the middle of a block, wherever it lies."""

    def change(content):
        at = content.find(block)
        if at < 0:
            return content
        at += len(block) // 2
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    for stat in list(objects.iter_names()):
        objects.change(stat.name, change)


def verified(server):
    lines = server.metadata.read(lambda unit: unit.packs.list_packs(0, 99))
    return [line.verified_s for line in lines]


async def test_whole_blocks_are_read_and_remembered(server, device):
    anna = await device()
    for seed in range(3):
        await anna.put(frames_of(make_noise(4, seed=seed)))
    assert verified(server) == [0, 0, 0]
    tally = scrub(server)

    assert (tally.packs, tally.blocks, tally.read_bytes) == (3, 12, 12 * 244)
    assert (tally.damaged, tally.left, tally.damaged_packs) == (0, 0, [])
    now_s = server.clock.now_ns() // 10**9
    assert verified(server) == [now_s] * 3
    assert scrub(server, within_s=100).packs == 0
    server.clock.advance(100)
    assert scrub(server, within_s=100).packs == 3


async def test_a_scrub_that_is_broken_off_goes_on_where_it_was(server, device):
    anna = await device()
    for seed in range(4):
        await anna.put(frames_of(make_noise(2, seed=seed)))
    first = scrub(server, steps=5)
    second = scrub(server, within_s=100)

    assert 0 < first.packs < 4
    assert first.packs + second.packs == 4


async def test_a_damaged_block_is_found_and_heals_when_it_is_sent_again(server, device, objects):
    anna = await device()
    blocks = make_noise(5)
    await anna.put(frames_of(blocks))
    damage(objects, blocks[2])
    tally = scrub(server)

    assert (tally.damaged, tally.left, len(tally.damaged_packs)) == (1, 1, 1)
    assert await anna.holds(blocks) == [True, True, False, True, True]
    assert (scrub(server).damaged, scrub(server).left) == (0, 1)
    await anna.put(frames_of([blocks[2]]))
    assert await anna.holds(blocks) == [True] * 5
    assert scrub(server).left == 0


@pytest.mark.parametrize("how", ["missing", "cut off"])
async def test_a_pack_that_is_gone_has_lost_all_its_blocks(server, device, objects, how):
    anna = await device()
    blocks = make_noise(3)
    await anna.put(frames_of(blocks))
    [stat] = objects.iter_names()
    if how == "missing":
        objects.delete(stat.name)
    else:
        objects.change(stat.name, lambda content: content[:60])
    tally = scrub(server)

    assert (tally.damaged, tally.left) == (3, 3)
    assert await anna.holds(blocks) == [False] * 3


async def test_what_was_noted_and_can_be_read_is_whole(server, device):
    anna = await device()
    blocks = make_noise(3)
    await anna.put(frames_of(blocks))
    places = server.metadata.read(lambda unit: unit.blocks.locate(ids_of(blocks)))
    some = list(places.values())[:2]
    server.metadata.write(lambda unit: unit.blocks.mark(some, is_damaged=True))
    tally = scrub(server)

    assert (tally.mended, tally.left) == (2, 0)
    assert await anna.holds(blocks) == [True] * 3


async def test_a_store_that_is_away_is_no_damage(server, device, objects):
    anna = await device()
    blocks = make_noise(3)
    await anna.put(frames_of(blocks))
    objects.read_error = ObjectStoreAway("it does not answer")
    with pytest.raises(ObjectStoreAway):
        scrub(server)
    objects.read_error = None

    assert verified(server) == [0]
    assert await anna.holds(blocks) == [True] * 3


async def test_a_block_is_repaired_from_a_pack_in_quarantine(server, keeper, device, objects):
    anna = await device()
    blocks = make_noise(9)
    await anna.put(frames_of(blocks))
    await commit(anna, file(1, single(blocks[0])), file(2, single(blocks[7])))
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect(AT_ONCE._replace(quarantine_s=1_000), runs=2)
    kept = ids_of([blocks[0], blocks[7]])
    now = server.metadata.read(lambda unit: unit.blocks.locate(kept))
    [name] = {place.pack_id.hex() for place in now.values()}
    stat = next(s for s in objects.iter_names() if name in s.name)
    objects.change(stat.name, lambda content: content[:80] + b"\0\1\2\3" + content[84:])
    tally = scrub(server)

    assert (tally.damaged, tally.repaired, tally.left) == (1, 1, 0)
    assert await anna.fetch(kept) == [blocks[0], blocks[7]]
    assert scrub(server) == ScrubTally(packs=2, blocks=2, read_bytes=2 * 244)


async def test_a_deep_scrub_finds_copies_in_any_pack(server, device, objects):
    anna = await device()
    blocks = make_noise(3)
    await anna.put(frames_of(blocks))
    damage(objects, blocks[1])
    # Of an upload that came at the same time: the index kept the place of the other one.
    server.packs.store(frames_of([blocks[1], *make_noise(1, seed=5)]))
    assert scrub(server).left == 1
    tally = scrub(server, is_deep=True)

    assert (tally.repaired, tally.left) == (1, 0)
    assert await anna.fetch(ids_of(blocks)) == blocks


async def test_frames_that_are_compressed_are_compared_with_what_they_hold(server, device):
    anna = await device()
    block = b"again and again " * 500
    frames = frames_of([block], STANDARD)
    await anna.put(frames)

    assert frames[0].codec == Codec.ZSTD
    assert scrub(server).left == 0
