# SPDX-License-Identifier: Apache-2.0

import asyncio
from random import Random

import pytest

from drystone.core.content.frame import Codec, read_absent
from drystone.core.content.hashing import block_id
from drystone.core.errors import DrystoneError, Unavailable
from drystone.server.service.blocks.verbs import BlockNotFound
from drystone.testing.blocks import BlockDevice, frames_of, ids_of, make_noise
from drystone.testing.service import MemoryServer

TEXT = b"".join(b"line %d of a text that compresses well\n" % i for i in range(200))
SECRET = b"known to one account only " * 50


pytestmark = pytest.mark.asyncio


async def test_blocks_come_in_the_order_asked_for_also_twice(device):
    anna = await device()
    blocks = make_noise(20)
    await anna.put(frames_of(blocks[:10]))
    await anna.put(frames_of(blocks[10:]))
    wanted = Random(5).choices(blocks, k=50)

    assert await anna.fetch(ids_of(wanted)) == wanted


async def test_neighbours_leave_undivided(device, server):
    anna = await device()
    blocks = make_noise(20)
    await anna.put(frames_of(blocks))
    names = ids_of(blocks)
    groups = await server.service.blocks.fetch(anna.actor, anna.namespace_id, names, {})

    [[run]] = [group async for group in groups]
    assert run.frames_count == 20


async def test_much_comes_in_groups(device, server, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.reading._GROUP_BYTES", 1_000)
    anna = await device()
    blocks = make_noise(20)
    await anna.put(frames_of(blocks))
    groups = await server.service.blocks.fetch(anna.actor, anna.namespace_id, ids_of(blocks), {})

    assert [[run.frames_count for run in group] async for group in groups] == [[5]] * 4


async def test_much_comes_in_smaller_groups_while_many_fetch(device, server, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.reading._GROUP_BYTES", 2_000)
    anna = await device()
    blocks = make_noise(20)
    await anna.put(frames_of(blocks))
    fetch = server.service.blocks.fetch
    streams = [await fetch(anna.actor, anna.namespace_id, ids_of(blocks), {}) for _ in range(16)]
    for stream in streams:
        await anext(stream)
    left = [sum(run.frames_count for run in group) async for group in streams[-1]]
    for stream in streams:
        await stream.aclose()

    assert left == [5, 5, 5]


async def test_absent_and_foreign_blocks_look_alike(device):
    anna, bert = await device("anna"), await device("bert")
    await anna.put(frames_of([SECRET]))
    await bert.put(frames_of([TEXT]))
    messages = []
    for name in (block_id(SECRET), block_id(b"nobody's")):
        with pytest.raises(BlockNotFound) as caught:
            await bert.fetch([block_id(TEXT), name])
        messages.append(caught.value.message.replace(name.hex(), "NAME"))

    assert messages[0] == messages[1]


async def test_delta_comes_where_a_base_is_named_and_it_is_shorter(device):
    anna = await device()
    changed = TEXT + b"one more line\n"
    noise = make_noise(1, 5_000)[0]
    await anna.put(frames_of([TEXT, changed, noise]))
    names = ids_of([changed, noise, TEXT])
    bases = {name: block_id(TEXT) for name in names}

    frames = await anna.fetch_frames(names, bases)

    # Noise shares nothing with the base; no block is made from itself.
    assert [frame.codec for frame in frames] == [Codec.DELTA, Codec.RAW, Codec.RAW]
    assert len(frames[0].payload) < 100
    assert await anna.fetch(names, bases, known=[TEXT]) == [changed, noise, TEXT]


async def test_base_that_the_namespace_does_not_hold_is_not_used(device):
    anna, bert = await device("anna"), await device("bert")
    changed = TEXT + b"one more line\n"
    await anna.put(frames_of([TEXT]))
    await bert.put(frames_of([changed]))

    [frame] = await bert.fetch_frames(ids_of([changed]), {block_id(changed): block_id(TEXT)})
    assert frame.codec == Codec.RAW


@pytest.mark.parametrize("with_bases", [False, True], ids=["plain", "with bases"])
@pytest.mark.parametrize("wrong", ["missing", "cut", "changed"])
async def test_lost_block_is_told_and_others_go_on(device, server, objects, wrong, with_bases):
    anna = await device()
    blocks = make_noise(3)
    for block in blocks:
        await anna.put(frames_of([block]))
    places = server.metadata.read(lambda unit: unit.blocks.locate(ids_of(blocks)))
    digits = places[block_id(blocks[1])].pack_id.hex()
    name = f"packs/{digits[:2]}/{digits}"
    if wrong == "missing":
        objects.delete(name)
    elif wrong == "cut":
        objects.change(name, lambda content: content[:-1])
    else:
        objects.change(name, lambda content: content[:20] + b"?" + content[21:])

    names = ids_of(blocks)
    bases = {names[0]: names[2]} if with_bases else {}
    frames = await anna.fetch_frames(names, bases)

    assert [frame.codec for frame in frames] == [Codec.RAW, Codec.ABSENT, Codec.RAW]
    code, message = read_absent(frames[1])
    assert code == "corrupt-block"
    assert names[1].hex() in message
    assert digits in message


async def test_block_whose_stored_bytes_changed_is_no_base_and_no_delta(
    device, objects, pack_names
):
    anna = await device()
    changed = TEXT + b"one more line\n"
    await anna.put(frames_of([TEXT]))
    [name] = pack_names()
    await anna.put(frames_of([changed]))
    objects.change(name, lambda content: content[:-1] + b"?")
    names = ids_of([changed, TEXT])

    frames = await anna.fetch_frames(names, {names[0]: names[1], names[1]: names[0]})
    assert [frame.codec for frame in frames] == [Codec.RAW, Codec.ABSENT]


async def test_fetch_that_is_given_up_leaves_nothing_running(device, server, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.reading._GROUP_BYTES", 1_000)
    anna = await device()
    blocks = make_noise(20)
    await anna.put(frames_of(blocks))
    before = asyncio.all_tasks()
    groups = await server.service.blocks.fetch(anna.actor, anna.namespace_id, ids_of(blocks), {})
    await anext(groups)
    assert asyncio.all_tasks() != before
    await groups.aclose()

    assert asyncio.all_tasks() == before


async def test_store_that_is_away_breaks_the_fetch_off(device, objects):
    anna = await device()
    await anna.put(frames_of([TEXT]))
    objects.read_error = Unavailable("away")

    with pytest.raises(DrystoneError, match="away"):
        await anna.fetch(ids_of([TEXT]))


async def test_crash_between_pack_and_index_leaves_what_can_be_found_again(
    device, server, pack_names
):
    anna = await device()
    blocks = make_noise(5)

    async def fail(work, **_):
        raise Unavailable("the power went")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.service.blocks.shelf.writer, "write", fail)
        with pytest.raises(Unavailable, match="the power went"):
            await anna.put(frames_of(blocks))

    assert await anna.holds(blocks) == [False] * 5
    [pack] = list(server.service.blocks.shelf.packs.iter_packs())
    assert [place.block_id for place in pack.places] == ids_of(blocks)
    # Sent again, it is the same pack, and nothing is in the way.
    tally = await anna.put(frames_of(blocks))
    assert tally.stored_blocks_count == 5
    assert len(pack_names()) == 1
    assert await anna.fetch(ids_of(blocks)) == blocks


async def test_index_rebuilt_from_packs_alone_serves_every_block(device, objects):
    anna = await device()
    blocks = [*make_noise(30), TEXT]
    for start in range(0, 31, 7):
        await anna.put(frames_of(blocks[start : start + 7]))

    other = MemoryServer(objects)
    bert = BlockDevice(other, await other.sign_in("bert"))
    for pack in other.service.blocks.shelf.packs.iter_packs():
        await other.service.writer.write(lambda unit, p=pack: unit.blocks.add_pack(*p))
    names = ids_of(blocks)
    await other.service.writer.write(lambda unit: unit.blocks.hold(bert.namespace_id, names, 2**40))

    assert await bert.fetch(names) == blocks
    other.close()
