# SPDX-License-Identifier: Apache-2.0

import pytest

from drystone.core.journal.change import Delete, Edit, Restore
from drystone.server.workers.collecting import Quarantine, Restored
from drystone.testing.blocks import BlockDevice, frames_of, ids_of, make_noise
from drystone.testing.service import AT_ONCE, file_id
from tests.unit.server.workers.test_collecting import (
    AFTER_LEASE_S,
    chunked,
    commit,
    file,
    put_file,
    retired,
    single,
)

pytestmark = pytest.mark.asyncio

DAY_S = 86_400
RULES = AT_ONCE._replace(quarantine_s=40 * DAY_S, history_s=30 * DAY_S)


@pytest.fixture
def device(server):
    """Signs a device of an account in."""

    async def sign_in(account="anna"):
        return BlockDevice(server, await server.sign_in(account))

    return sign_in


def bring_back(server, wanted=None):
    restored = Restored()
    for _ in Quarantine(server.metadata, server.packs, server.clock).restore(wanted, restored):
        pass
    return restored


async def test_what_was_collected_comes_back_to_whoever_had_it(server, keeper, device):
    anna, bob = await device(), await device("bob")
    blocks = make_noise(6)
    content, encoded = chunked(blocks[:3])
    await anna.put(frames_of([*blocks[:3], encoded]))
    [rev] = await commit(anna, file(1, content))
    await put_file(bob, 1, blocks[4])
    await commit(anna, Delete(file_id(1), rev))
    server.clock.advance(31 * DAY_S)
    keeper.collect(RULES, runs=2)
    assert await anna.holds(blocks[:3]) == [False] * 3
    assert await commit(anna, Restore(file_id(1))) == ["content-collected"]
    restored = bring_back(server)

    assert (restored.packs, restored.blocks, restored.holders) == (1, 4, 4)
    assert restored.troubles == []
    assert retired(server) == []
    assert await commit(anna, Restore(file_id(1))) == [rev]
    assert await anna.fetch(ids_of(blocks[:3])) == blocks[:3]
    assert await bob.holds(blocks[:3]) == [False] * 3
    assert bring_back(server) == Restored()
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect(RULES, runs=3)
    assert await anna.fetch(ids_of(blocks[:3])) == blocks[:3]


async def test_history_comes_back_as_far_as_all_of_it_is_there(server, keeper, device):
    anna = await device()
    revs, blocks = [], make_noise(5)
    for number, block in enumerate(blocks):
        await anna.put(frames_of([block]))
        change = file(1, single(block))
        if revs:
            change = Edit(file_id(1), revs[-1], single(block), 0o644, number)
        revs += await commit(anna, change)
        server.clock.advance(20 * DAY_S)
        keeper.collect(RULES, runs=2)
    # The first versions left quarantine long ago.
    for _ in range(2):
        server.clock.advance(15 * DAY_S)
        keeper.collect(RULES, runs=2)
    assert len(retired(server)) == 2
    restored = bring_back(server)

    assert (restored.packs, restored.holders, restored.troubles) == (2, 2, [])
    outcomes = [(await commit(anna, Restore(file_id(1), rev)))[0] for rev in revs]
    assert outcomes[:2] == ["content-collected"] * 2
    assert all(isinstance(rev, int) for rev in outcomes[2:])
    for block in blocks[2:]:
        assert await anna.fetch(ids_of([block])) == [block]


async def test_only_what_was_named_comes_back_and_damage_is_told(server, keeper, device, objects):
    anna = await device()
    blocks = make_noise(4)
    for block in blocks[:2]:
        await anna.put(frames_of([block]))
    await anna.put(frames_of(blocks[2:]))
    server.clock.advance(AFTER_LEASE_S)
    keeper.collect(RULES, runs=2)
    listed = Quarantine(server.metadata, server.packs, server.clock).list()
    first, second, third = sorted(listed, key=lambda pack: pack.length_bytes)
    assert bring_back(server, [first.pack_id]).packs == 1
    left = {pack.pack_id for pack in retired(server)}
    assert left == {second.pack_id, third.pack_id}
    for stat in objects.iter_names():
        if stat.length_bytes > 300:
            objects.change(stat.name, lambda content: content[:-1] + b"\0")
    restored = bring_back(server)

    assert (restored.packs, restored.blocks) == (2, 2)
    assert "damaged" in restored.troubles[0]
