# SPDX-License-Identifier: Apache-2.0

import asyncio
import threading

import pytest

from drystone.core.content.coding import STANDARD, encode_block, encode_delta
from drystone.core.content.frame import Codec, absent_frame
from drystone.core.content.hashing import block_id
from drystone.core.content.outline import encode_outline
from drystone.core.content.patch import make_patch
from drystone.core.errors import Unavailable
from drystone.server.ports.objects import ObjectStoreFull
from drystone.server.service.blocks import verbs
from drystone.server.service.blocks.checking import BlockRefused
from drystone.testing.blocks import frames_of, make_noise
from drystone.testing.service import until

TEXT = b"".join(b"line %d of a text that compresses well\n" % i for i in range(200))
SECRET = b"known to one account only " * 50


pytestmark = pytest.mark.asyncio


async def test_put_tells_what_was_new(device, objects, pack_names):
    anna = await device()
    blocks = make_noise(5)
    first = await anna.put(frames_of(blocks[:3]))
    second = await anna.put(frames_of(blocks))

    assert (first.blocks_count, first.stored_blocks_count) == (3, 3)
    assert (second.blocks_count, second.stored_blocks_count) == (5, 2)
    lengths = [objects.find_length(name) for name in pack_names()]
    assert sum(lengths) == first.stored_bytes + second.stored_bytes


async def test_empty_bundle_is_fine(device, pack_names):
    anna = await device()

    assert await anna.put() == (0, 0, 0)
    assert pack_names() == []


async def test_block_twice_in_a_bundle_is_stored_once(device, pack_names):
    anna = await device()
    [frame] = frames_of([TEXT])

    assert (await anna.put([frame, frame], [frame])).blocks_count == 1
    assert len(pack_names()) == 1


async def test_block_that_somebody_else_sent_before_is_held_but_not_stored_again(
    device, pack_names
):
    anna, bert = await device("anna"), await device("bert")
    await anna.put(frames_of([SECRET]))
    tally = await bert.put(frames_of([SECRET]))

    assert tally == (1, 0, 0)
    assert await bert.holds([SECRET]) == [True]
    assert len(pack_names()) == 1


async def test_knowing_the_name_of_a_known_block_is_not_enough_to_hold_it(device):
    anna, bert = await device("anna"), await device("bert")
    await anna.put(frames_of([SECRET]))
    [frame] = frames_of([SECRET])
    lie = frame._replace(payload=bytes(len(SECRET)))

    with pytest.raises(BlockRefused):
        await bert.put([lie])
    assert await bert.holds([SECRET]) == [False]


async def test_compressed_frames_rest_as_they_came(device):
    anna = await device()
    [frame] = frames_of([TEXT], STANDARD)
    assert frame.codec == Codec.ZSTD
    await anna.put([frame])

    assert await anna.fetch_frames([frame.block_id]) == [frame]


def bad_frames():
    [raw] = frames_of([TEXT])
    packed = encode_block(raw.block_id, TEXT)
    other = encode_block(raw.block_id, TEXT[::-1])
    return {
        "raw": (raw._replace(payload=TEXT[::-1]), "corrupt-block"),
        "zstd": (other, "corrupt-block"),
        "cut": (packed._replace(payload=packed.payload[:-3]), "bad-compression"),
        "garbage": (packed._replace(payload=b"no zstd at all"), "bad-compression"),
        "bomb": (packed._replace(plain_bytes=len(TEXT) - 1), "decompression-bomb"),
        "absent": (absent_frame(raw.block_id, "corrupt-block", "lost"), "corrupt-block"),
        "delta": (encode_delta(raw.block_id, TEXT, block_id(b"b"), TEXT[:-9]), "missing-base"),
        "patch": (
            make_patch(raw.block_id, TEXT, block_id(b"b"), encode_outline(TEXT[:-9])),
            "missing-base",
        ),
    }


@pytest.mark.parametrize("wrong", list(bad_frames()))
async def test_bad_frame_is_refused_by_name_and_nothing_is_kept_of_it(device, pack_names, wrong):
    anna = await device()
    frame, code = bad_frames()[wrong]

    with pytest.raises(BlockRefused) as caught:
        await anna.put([frame])

    assert caught.value.code == code
    assert caught.value.block_id == frame.block_id
    assert frame.block_id.hex() in caught.value.message
    assert caught.value.advice
    assert pack_names() == []
    assert await anna.holds([TEXT]) == [False]


@pytest.mark.usefixtures("small_packs")
async def test_what_came_before_a_bad_frame_need_not_be_sent_again(device):
    anna = await device()
    blocks = make_noise(12)
    frames = frames_of(blocks)
    frames[9] = frames[9]._replace(payload=bytes(200))

    with pytest.raises(BlockRefused):
        await anna.put(frames[:6], frames[6:])

    assert (await anna.holds(blocks))[:5] == [True] * 5
    assert (await anna.holds(blocks))[9] is False


async def test_what_came_before_a_break_need_not_be_sent_again(device):
    anna = await device()
    blocks = make_noise(9)
    broken = Unavailable("the connection broke")

    with pytest.raises(Unavailable, match="the connection broke"):
        await anna.put(frames_of(blocks[:3]), frames_of(blocks[3:7]), error=broken)

    assert await anna.holds(blocks) == [True] * 7 + [False] * 2


@pytest.mark.usefixtures("small_packs")
async def test_packs_are_told_to_the_index_while_the_rest_still_comes(device, server):
    anna = await device()
    blocks = make_noise(60)
    seen = []

    async def slow_bundle():
        for frame in frames_of(blocks):
            yield [frame]
            await asyncio.sleep(0)
        await until(lambda: server.metadata.read(lambda unit: unit.blocks.totals())["packs"] >= 2)
        seen.extend(await anna.holds(blocks))

    await server.service.blocks.put(anna.actor, anna.namespace_id, slow_bundle())

    assert 10 < sum(seen) < 60
    assert await anna.holds(blocks) == [True] * 60


@pytest.mark.usefixtures("small_packs")
async def test_pack_does_not_grow_beyond_its_bound(device, objects, pack_names):
    anna = await device()
    frames = frames_of(make_noise(100))
    tally = await anna.put(frames[:50], frames[50:])

    lengths = [objects.find_length(name) for name in pack_names()]
    assert sum(lengths) == tally.stored_bytes
    assert len(lengths) == 5
    assert max(lengths) <= 4_000 + 8 + 44 * 20


@pytest.mark.usefixtures("small_packs")
async def test_packs_are_smaller_while_several_are_being_filled(
    device, server, objects, pack_names
):
    anna = await device()
    never = asyncio.Event()

    async def endless_bundle():
        await never.wait()
        yield []

    blocks = server.service.blocks
    others = [
        asyncio.create_task(blocks.put(anna.actor, anna.namespace_id, endless_bundle()))
        for _ in range(7)
    ]
    await until(lambda: blocks._uploads.taken_count == 7)
    await anna.put(frames_of(make_noise(50)))
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)

    lengths = [objects.find_length(name) for name in pack_names()]
    assert max(lengths) <= 1_000 + 8 + 44 * 5
    assert blocks._uploads.taken_count == 0


@pytest.mark.usefixtures("small_packs")
async def test_sender_is_held_back_while_the_disk_is_slow(device, server, objects):
    anna = await device()
    frames = frames_of(make_noise(200))
    sent = []
    gate = threading.Event()
    objects.before_put = gate.wait

    async def eager_bundle():
        for frame in frames:
            sent.append(frame)
            yield [frame]

    putting = asyncio.create_task(
        server.service.blocks.put(anna.actor, anna.namespace_id, eager_bundle())
    )
    await until(lambda: objects.puts_count == 1)
    # Whatever could still be checked is checked by then.
    for _ in range(50):
        await server.service.blocks.shelf.run(lambda: None)
    held_back_at = len(sent)
    gate.set()
    await putting

    # One pack being stored, one full, one group checked and one gathered: 200 bytes each.
    assert held_back_at <= (4_000 + 4_000 + 1_000 + 1_000) // 200 + 2
    assert len(sent) == 200


async def test_many_blocks_already_seen_do_not_hold_on_to_the_body(device, server):
    anna = await device()
    body = memoryview(bytearray(1_000_000))
    [small] = frames_of([b"new"])
    [again] = frames_of([bytes(900_000)])
    await anna.put([again])
    stored = []
    real = server.service.blocks.shelf.packs.store
    server.service.blocks.shelf.packs.store = lambda frames: stored.extend(frames) or real(frames)

    body[:3] = b"new"
    views = [small._replace(payload=body[:3]), again._replace(payload=body[3:900_003])]
    body[3:900_003] = bytes(900_000)
    await anna.put(views)

    assert [bytes(frame.payload) for frame in stored] == [b"new"]
    assert stored[0].payload is not views[0].payload
    assert isinstance(stored[0].payload, bytes)


@pytest.mark.usefixtures("small_packs")
async def test_full_disk_is_told_and_what_was_stored_before_is_held(
    device, server, objects, pack_names
):
    anna = await device()
    blocks = make_noise(60)
    objects.put_errors = [None, ObjectStoreFull("no room")]

    with pytest.raises(ObjectStoreFull):
        await anna.put(frames_of(blocks))

    found = await anna.holds(blocks)
    names = pack_names()
    totals = server.metadata.read(lambda unit: unit.blocks.totals())
    assert sum(found) == totals["blocks"] >= 20
    assert totals["packs"] == len(names)
    missing = [block for block, is_held in zip(blocks, found, strict=True) if not is_held]
    await anna.put(frames_of(missing))
    assert all(await anna.holds(blocks))


async def test_full_disk_at_the_only_pack_leaves_nothing(device, objects, pack_names):
    anna = await device()
    objects.put_errors = [ObjectStoreFull("no room")] * 2

    with pytest.raises(ObjectStoreFull):
        await anna.put(frames_of([TEXT]))

    assert pack_names() == []
    assert await anna.holds([TEXT]) == [False]


async def test_cancelled_put_leaves_nothing_running(device, server, pack_names):
    anna = await device()
    never = asyncio.Event()

    async def endless_bundle():
        yield frames_of([TEXT])
        await never.wait()

    before = asyncio.all_tasks()
    putting = asyncio.create_task(
        server.service.blocks.put(anna.actor, anna.namespace_id, endless_bundle())
    )
    await asyncio.sleep(0.01)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting

    assert asyncio.all_tasks() == before
    assert pack_names() == []


async def test_uploads_wait_for_their_turn_and_are_told_to_come_again(device, server, monkeypatch):
    anna = await device()
    monkeypatch.setattr("drystone.server.service.blocks.turns.TURN_WAIT_S", 0.01)
    never = asyncio.Event()

    async def endless_bundle():
        await never.wait()
        yield []

    blocks, namespace_id = server.service.blocks, anna.namespace_id
    busy = [
        asyncio.create_task(blocks.put(anna.actor, namespace_id, endless_bundle()))
        for _ in range(verbs.UPLOADS_AT_ONCE_MAX)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await anna.put(frames_of([TEXT]))
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)

    assert caught.value.code == "server-busy"
    assert caught.value.retry_after_s > 0
    await anna.put(frames_of([TEXT]))
