# SPDX-License-Identifier: Apache-2.0

import asyncio
import threading
from random import Random

import pytest

from drystone.core.content.coding import RAW_ONLY, decode_frame, encode_block, encode_delta
from drystone.core.content.frame import Codec, absent_frame, read_absent
from drystone.core.content.hashing import block_id
from drystone.core.content.outline import encode_outline
from drystone.core.content.patch import make_patch
from drystone.core.errors import DrystoneError, Unavailable
from drystone.core.ids import BlockId, NamespaceId
from drystone.core.limits import ASK_BLOCKS_MAX, LEASE_RENEW_BELOW_S, LEASE_S
from drystone.server.ports.blocks import Run
from drystone.server.ports.objects import ObjectStoreFull
from drystone.server.service.blocks import ingest, verbs
from drystone.server.service.blocks.checking import BlockRefused
from drystone.server.service.blocks.verbs import BlockNotFound, TooManyBlocks
from drystone.server.service.gate import NamespaceNotFound
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import MemoryServer, until
from drystone.wire.bundle import BundleReader, BundleWriter

pytestmark = pytest.mark.asyncio

TEXT = b"".join(b"line %d of a text that compresses well\n" % i for i in range(200))
SECRET = b"known to one account only " * 50


@pytest.fixture
def objects():
    return FaultyObjects(MemoryObjects())


@pytest.fixture
def server(objects):
    server = MemoryServer(objects)
    yield server
    server.close()


@pytest.fixture
def small_packs(monkeypatch):
    """Groups of 1,000 bytes and packs of 4,000: the same way, in small steps."""
    monkeypatch.setattr(ingest, "_GROUP_BYTES", 1_000)
    monkeypatch.setattr(verbs, "PACK_BYTES_TARGET", 4_000)
    monkeypatch.setattr(verbs, "_PACK_BYTES_MIN", 1_000)


def make_blocks(count, length=200, seed=0):
    random = Random(seed)
    return [random.randbytes(length) for _ in range(count)]


def frames_of(blocks, policy=RAW_ONLY):
    return [encode_block(block_id(block), block, policy) for block in blocks]


def ids_of(blocks):
    return [block_id(block) for block in blocks]


async def bundle(*portions, error=None):
    for portion in portions:
        yield portion
    if error is not None:
        raise error


async def put(server, actor, *portions, error=None):
    frames = bundle(*portions, error=error)
    return await server.service.blocks.put(actor, actor.root_namespace_id, frames)


async def held(server, actor, blocks):
    names = ids_of(blocks)
    found = await server.service.blocks.ask(actor, actor.root_namespace_id, names)
    return [name in found for name in names]


async def fetch_frames(server, actor, names, bases=None):
    """Returns each frame by itself; runs are taken apart."""
    namespace_id = actor.root_namespace_id
    groups = await server.service.blocks.fetch(actor, namespace_id, names, bases or {})
    found = [item async for group in groups for item in group]
    return [frame for item in found for frame in (split(item) if isinstance(item, Run) else [item])]


def split(run):
    writer, reader = BundleWriter(), BundleReader()
    content = b"".join((writer.begin(), writer.frames(*run), writer.end()))
    frames = reader.feed(content)
    reader.finish()
    return frames


async def fetch(server, actor, names, bases=None, known=()):
    """Returns the verified blocks; ``known`` are those that the receiver has."""
    have = {block_id(block): block for block in known}
    frames = await fetch_frames(server, actor, names, bases)
    assert [frame.block_id for frame in frames] == list(names)
    return [decode_frame(frame, have.get) for frame in frames]


def pack_names(objects):
    return sorted(found.name for found in objects.iter_names("packs/"))


# --- ask ------------------------------------------------------------------------------------------


async def test_what_was_put_is_held_and_need_not_be_sent(server):
    anna = await server.sign_in()
    blocks = make_blocks(3)
    await put(server, anna, frames_of(blocks[:2]))

    assert await held(server, anna, blocks) == [True, True, False]


async def test_what_others_hold_is_not_told(server):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    await put(server, anna, frames_of([SECRET]))

    assert await held(server, bert, [SECRET, b"nobody's"]) == [False, False]


async def test_ask_renews_leases_that_end_soon_and_no_others(server):
    anna = await server.sign_in()
    old, new = make_blocks(2)
    await put(server, anna, frames_of([old]))
    begun_s = server.clock.now_ns() // 10**9
    server.clock.advance(LEASE_S - LEASE_RENEW_BELOW_S + 1)
    await put(server, anna, frames_of([new]))
    now_s = server.clock.now_ns() // 10**9
    server.clock.advance(1)

    def leases():
        names, namespace_id = ids_of([old, new]), anna.root_namespace_id
        found = server.metadata.read(lambda unit: unit.blocks.find_leases(namespace_id, names))
        return [found[name] for name in names]

    assert leases() == [begun_s + LEASE_S, now_s + LEASE_S]
    await held(server, anna, [old, new])
    assert leases() == [now_s + 1 + LEASE_S, now_s + LEASE_S]


async def test_nothing_may_be_asked_about_a_namespace_of_others(server):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    await put(server, anna, frames_of([SECRET]))
    blocks, theirs = server.service.blocks, anna.root_namespace_id
    nobodys = NamespaceId(b"n" * 16)
    names = ids_of([SECRET])

    for namespace_id in (theirs, nobodys):
        for asked in (
            blocks.ask(bert, namespace_id, names),
            blocks.put(bert, namespace_id, bundle(frames_of([b"x"]))),
            blocks.fetch(bert, namespace_id, names, {}),
            blocks.outline(bert, namespace_id, names),
            blocks.load_manifest(bert, namespace_id, names[0]),
            blocks.check_contents(bert, namespace_id, []),
        ):
            with pytest.raises(NamespaceNotFound):
                await asked


async def test_more_blocks_than_a_request_may_name_are_refused(server):
    anna = await server.sign_in()
    names = [BlockId(i.to_bytes(32, "big")) for i in range(ASK_BLOCKS_MAX + 1)]
    blocks, namespace_id = server.service.blocks, anna.root_namespace_id

    assert await blocks.ask(anna, namespace_id, names[1:]) == set()
    for asked in (
        blocks.ask(anna, namespace_id, names),
        blocks.fetch(anna, namespace_id, names, {}),
        blocks.outline(anna, namespace_id, names),
    ):
        with pytest.raises(TooManyBlocks):
            await asked


# --- put ------------------------------------------------------------------------------------------


async def test_put_tells_what_was_new(server, objects):
    anna = await server.sign_in()
    blocks = make_blocks(5)
    first = await put(server, anna, frames_of(blocks[:3]))
    second = await put(server, anna, frames_of(blocks))

    assert (first.blocks_count, first.stored_blocks_count) == (3, 3)
    assert (second.blocks_count, second.stored_blocks_count) == (5, 2)
    lengths = [objects.find_length(name) for name in pack_names(objects)]
    assert sum(lengths) == first.stored_bytes + second.stored_bytes


async def test_empty_bundle_is_fine(server, objects):
    anna = await server.sign_in()

    assert await put(server, anna) == (0, 0, 0)
    assert pack_names(objects) == []


async def test_block_twice_in_a_bundle_is_stored_once(server, objects):
    anna = await server.sign_in()
    [frame] = frames_of([TEXT])

    assert (await put(server, anna, [frame, frame], [frame])).blocks_count == 1
    assert len(pack_names(objects)) == 1


async def test_block_that_somebody_else_sent_before_is_held_but_not_stored_again(server, objects):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    await put(server, anna, frames_of([SECRET]))
    tally = await put(server, bert, frames_of([SECRET]))

    assert tally == (1, 0, 0)
    assert await held(server, bert, [SECRET]) == [True]
    assert len(pack_names(objects)) == 1


async def test_knowing_the_name_of_a_known_block_is_not_enough_to_hold_it(server):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    await put(server, anna, frames_of([SECRET]))
    [frame] = frames_of([SECRET])
    lie = frame._replace(payload=bytes(len(SECRET)))

    with pytest.raises(BlockRefused):
        await put(server, bert, [lie])
    assert await held(server, bert, [SECRET]) == [False]


async def test_compressed_frames_rest_as_they_came(server):
    anna = await server.sign_in()
    [frame] = frames_of([TEXT], policy=encode_block.__defaults__[0])
    assert frame.codec == Codec.ZSTD
    await put(server, anna, [frame])

    assert await fetch_frames(server, anna, [frame.block_id]) == [frame]


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
async def test_bad_frame_is_refused_by_name_and_nothing_is_kept_of_it(server, objects, wrong):
    anna = await server.sign_in()
    frame, code = bad_frames()[wrong]

    with pytest.raises(BlockRefused) as caught:
        await put(server, anna, [frame])

    assert caught.value.code == code
    assert caught.value.block_id == frame.block_id
    assert frame.block_id.hex() in caught.value.message
    assert caught.value.advice
    assert pack_names(objects) == []
    assert await held(server, anna, [TEXT]) == [False]


@pytest.mark.usefixtures("small_packs")
async def test_what_came_before_a_bad_frame_need_not_be_sent_again(server):
    anna = await server.sign_in()
    blocks = make_blocks(12)
    frames = frames_of(blocks)
    frames[9] = frames[9]._replace(payload=bytes(200))

    with pytest.raises(BlockRefused):
        await put(server, anna, frames[:6], frames[6:])

    assert (await held(server, anna, blocks))[:5] == [True] * 5
    assert (await held(server, anna, blocks))[9] is False


async def test_what_came_before_a_break_need_not_be_sent_again(server):
    anna = await server.sign_in()
    blocks = make_blocks(9)
    broken = Unavailable("the connection broke")

    with pytest.raises(Unavailable, match="the connection broke"):
        await put(server, anna, frames_of(blocks[:3]), frames_of(blocks[3:7]), error=broken)

    assert await held(server, anna, blocks) == [True] * 7 + [False] * 2


@pytest.mark.usefixtures("small_packs")
async def test_packs_are_told_to_the_index_while_the_rest_still_comes(server):
    anna = await server.sign_in()
    blocks = make_blocks(60)
    seen = []

    async def slow_bundle():
        for frame in frames_of(blocks):
            yield [frame]
            await asyncio.sleep(0)
        await until(lambda: server.metadata.read(lambda unit: unit.blocks.totals())["packs"] >= 2)
        seen.extend(await held(server, anna, blocks))

    await server.service.blocks.put(anna, anna.root_namespace_id, slow_bundle())

    assert 10 < sum(seen) < 60
    assert await held(server, anna, blocks) == [True] * 60


@pytest.mark.usefixtures("small_packs")
async def test_pack_does_not_grow_beyond_its_bound(server, objects):
    anna = await server.sign_in()
    frames = frames_of(make_blocks(100))
    tally = await put(server, anna, frames[:50], frames[50:])

    lengths = [objects.find_length(name) for name in pack_names(objects)]
    assert sum(lengths) == tally.stored_bytes
    assert len(lengths) == 5
    assert max(lengths) <= 4_000 + 8 + 44 * 20


@pytest.mark.usefixtures("small_packs")
async def test_sender_is_held_back_while_the_disk_is_slow(server, objects):
    anna = await server.sign_in()
    frames = frames_of(make_blocks(200))
    sent = []
    gate = threading.Event()
    objects.before_put = gate.wait

    async def eager_bundle():
        for frame in frames:
            sent.append(frame)
            yield [frame]

    putting = asyncio.create_task(
        server.service.blocks.put(anna, anna.root_namespace_id, eager_bundle())
    )
    await until(lambda: objects.puts_count == 1)
    for _ in range(300):
        await asyncio.sleep(0.001)
        if len(sent) == len(frames):
            break
    held_back_at = len(sent)
    gate.set()
    await putting

    # One pack being stored, one full, one group checked and one gathered: 200 bytes each.
    assert held_back_at <= (4_000 + 4_000 + 1_000 + 1_000) // 200 + 2
    assert len(sent) == 200


async def test_many_blocks_already_seen_do_not_hold_on_to_the_body(server):
    anna = await server.sign_in()
    body = memoryview(bytearray(1_000_000))
    [small] = frames_of([b"new"])
    [again] = frames_of([bytes(900_000)])
    await put(server, anna, [again])
    stored = []
    real = server.service.blocks.shelf.packs.store
    server.service.blocks.shelf.packs.store = lambda frames: stored.extend(frames) or real(frames)

    body[:3] = b"new"
    views = [small._replace(payload=body[:3]), again._replace(payload=body[3:900_003])]
    body[3:900_003] = bytes(900_000)
    await put(server, anna, views)

    assert [bytes(frame.payload) for frame in stored] == [b"new"]
    assert stored[0].payload is not views[0].payload
    assert isinstance(stored[0].payload, bytes)


@pytest.mark.usefixtures("small_packs")
async def test_full_disk_is_told_and_what_was_stored_before_is_held(server, objects):
    anna = await server.sign_in()
    blocks = make_blocks(60)
    objects.put_errors = [None, ObjectStoreFull("no room")]

    with pytest.raises(ObjectStoreFull):
        await put(server, anna, frames_of(blocks))

    found = await held(server, anna, blocks)
    names = pack_names(objects)
    totals = server.metadata.read(lambda unit: unit.blocks.totals())
    assert sum(found) == totals["blocks"] >= 20
    assert totals["packs"] == len(names)
    missing = [block for block, is_held in zip(blocks, found, strict=True) if not is_held]
    await put(server, anna, frames_of(missing))
    assert all(await held(server, anna, blocks))


async def test_full_disk_at_the_only_pack_leaves_nothing(server, objects):
    anna = await server.sign_in()
    objects.put_errors = [ObjectStoreFull("no room")] * 2

    with pytest.raises(ObjectStoreFull):
        await put(server, anna, frames_of([TEXT]))

    assert pack_names(objects) == []
    assert await held(server, anna, [TEXT]) == [False]


async def test_cancelled_put_leaves_nothing_running(server, objects):
    anna = await server.sign_in()
    never = asyncio.Event()

    async def endless_bundle():
        yield frames_of([TEXT])
        await never.wait()

    before = asyncio.all_tasks()
    putting = asyncio.create_task(
        server.service.blocks.put(anna, anna.root_namespace_id, endless_bundle())
    )
    await asyncio.sleep(0.01)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting

    assert asyncio.all_tasks() == before
    assert pack_names(objects) == []


async def test_uploads_wait_for_their_turn_and_are_told_to_come_again(server, monkeypatch):
    anna = await server.sign_in()
    monkeypatch.setattr("drystone.server.service.blocks.turns.TURN_WAIT_S", 0.01)
    never = asyncio.Event()

    async def endless_bundle():
        await never.wait()
        yield []

    blocks, namespace_id = server.service.blocks, anna.root_namespace_id
    busy = [
        asyncio.create_task(blocks.put(anna, namespace_id, endless_bundle()))
        for _ in range(verbs.UPLOADS_AT_ONCE_MAX)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await put(server, anna, frames_of([TEXT]))
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)

    assert caught.value.code == "server-busy"
    assert caught.value.retry_after_s > 0
    await put(server, anna, frames_of([TEXT]))


# --- put: deltas and patches ----------------------------------------------------------------------


async def test_patch_and_delta_against_held_blocks_become_whole_blocks(server):
    anna = await server.sign_in()
    await put(server, anna, frames_of([TEXT]))
    [outline] = await server.service.blocks.outline(anna, anna.root_namespace_id, ids_of([TEXT]))
    first, second = TEXT + b"more\n", b"before\n" + TEXT
    patch = make_patch(block_id(first), first, block_id(TEXT), outline)
    delta = encode_delta(block_id(second), second, block_id(TEXT), TEXT)
    assert (patch.codec, delta.codec) == (Codec.PATCH, Codec.DELTA)
    await put(server, anna, [patch, delta])

    frames = await fetch_frames(server, anna, ids_of([first, second]))
    assert [decode_frame(frame, lambda _: None) for frame in frames] == [first, second]
    assert {frame.codec for frame in frames} == {Codec.ZSTD}


async def test_base_that_only_others_hold_is_none(server):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    await put(server, anna, frames_of([TEXT]))
    changed = TEXT + b"more\n"
    delta = encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)

    with pytest.raises(BlockRefused) as caught:
        await put(server, bert, [delta])

    assert caught.value.code == "missing-base"
    assert caught.value.advice == "Send the block whole."
    assert await held(server, bert, [changed]) == [False]


async def test_patch_that_does_not_yield_its_block_is_refused(server):
    anna = await server.sign_in()
    await put(server, anna, frames_of([TEXT]))
    changed = TEXT + b"more\n"
    delta = encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)
    lie = delta._replace(block_id=block_id(b"something else"))

    with pytest.raises(BlockRefused) as caught:
        await put(server, anna, [lie])
    assert caught.value.code == "corrupt-block"


async def test_base_whose_pack_is_lost_is_asked_for_whole(server, objects):
    anna = await server.sign_in()
    await put(server, anna, frames_of([TEXT]))
    objects.delete(pack_names(objects)[0])
    changed = TEXT + b"more\n"

    with pytest.raises(BlockRefused) as caught:
        await put(server, anna, [encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)])
    assert caught.value.code == "missing-base"


async def test_patched_block_that_is_known_is_only_held(server, objects):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    changed = TEXT + b"more\n"
    await put(server, anna, frames_of([changed]))
    await put(server, bert, frames_of([TEXT]))
    tally = await put(
        server, bert, [encode_delta(block_id(changed), changed, block_id(TEXT), TEXT)]
    )

    assert tally == (1, 0, 0)
    assert await held(server, bert, [changed]) == [True]


@pytest.mark.usefixtures("small_packs")
async def test_tiny_patches_that_claim_large_blocks_are_worked_on_a_few_at_a_time(
    server, monkeypatch
):
    anna = await server.sign_in()
    base = make_blocks(1, 900)[0]
    await put(server, anna, frames_of([base]))
    blocks = [base + bytes([i]) for i in range(30)]
    deltas = [encode_delta(block_id(b), b, block_id(base), base) for b in blocks]
    sizes = []
    real = ingest.check_frames

    def check(shelf, namespace_id, frames, arrived_bytes):
        sizes.append(len(frames))
        return real(shelf, namespace_id, frames, arrived_bytes)

    monkeypatch.setattr(ingest, "check_frames", check)
    await put(server, anna, deltas)

    assert max(sizes) <= 2
    assert await held(server, anna, blocks) == [True] * 30


# --- fetch ----------------------------------------------------------------------------------------


async def test_blocks_come_in_the_order_asked_for_also_twice(server):
    anna = await server.sign_in()
    blocks = make_blocks(20)
    await put(server, anna, frames_of(blocks[:10]))
    await put(server, anna, frames_of(blocks[10:]))
    wanted = Random(5).choices(blocks, k=50)

    assert await fetch(server, anna, ids_of(wanted)) == wanted


async def test_neighbours_leave_undivided(server):
    anna = await server.sign_in()
    blocks = make_blocks(20)
    await put(server, anna, frames_of(blocks))
    names = ids_of(blocks)
    groups = await server.service.blocks.fetch(anna, anna.root_namespace_id, names, {})

    [[run]] = [group async for group in groups]
    assert run.frames_count == 20


async def test_much_comes_in_groups(server, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.reading._GROUP_BYTES", 1_000)
    anna = await server.sign_in()
    blocks = make_blocks(20)
    await put(server, anna, frames_of(blocks))
    groups = await server.service.blocks.fetch(anna, anna.root_namespace_id, ids_of(blocks), {})

    assert [[run.frames_count for run in group] async for group in groups] == [[5]] * 4


async def test_absent_and_foreign_blocks_look_alike(server):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    await put(server, anna, frames_of([SECRET]))
    await put(server, bert, frames_of([TEXT]))
    messages = []
    for name in (block_id(SECRET), block_id(b"nobody's")):
        with pytest.raises(BlockNotFound) as caught:
            await fetch(server, bert, [block_id(TEXT), name])
        messages.append(caught.value.message.replace(name.hex(), "NAME"))

    assert messages[0] == messages[1]


async def test_delta_comes_where_a_base_is_named_and_it_is_shorter(server):
    anna = await server.sign_in()
    changed = TEXT + b"one more line\n"
    noise = make_blocks(1, 5_000)[0]
    await put(server, anna, frames_of([TEXT, changed, noise]))
    names = ids_of([changed, noise, TEXT])
    bases = {name: block_id(TEXT) for name in names}

    frames = await fetch_frames(server, anna, names, bases)

    # Noise shares nothing with the base; no block is made from itself.
    assert [frame.codec for frame in frames] == [Codec.DELTA, Codec.RAW, Codec.RAW]
    assert len(frames[0].payload) < 100
    assert await fetch(server, anna, names, bases, known=[TEXT]) == [changed, noise, TEXT]


async def test_base_that_the_namespace_does_not_hold_is_not_used(server):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    changed = TEXT + b"one more line\n"
    await put(server, anna, frames_of([TEXT]))
    await put(server, bert, frames_of([changed]))

    [frame] = await fetch_frames(
        server, bert, ids_of([changed]), {block_id(changed): block_id(TEXT)}
    )
    assert frame.codec == Codec.RAW


@pytest.mark.parametrize("with_bases", [False, True], ids=["plain", "with bases"])
@pytest.mark.parametrize("wrong", ["missing", "cut", "changed"])
async def test_lost_block_is_told_and_others_go_on(server, objects, wrong, with_bases):
    anna = await server.sign_in()
    blocks = make_blocks(3)
    for block in blocks:
        await put(server, anna, frames_of([block]))
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
    frames = await fetch_frames(server, anna, names, bases)

    assert [frame.codec for frame in frames] == [Codec.RAW, Codec.ABSENT, Codec.RAW]
    code, message = read_absent(frames[1])
    assert code == "corrupt-block"
    assert names[1].hex() in message
    assert digits in message


async def test_block_whose_stored_bytes_changed_is_no_base_and_no_delta(server, objects):
    anna = await server.sign_in()
    changed = TEXT + b"one more line\n"
    await put(server, anna, frames_of([TEXT]))
    [name] = pack_names(objects)
    await put(server, anna, frames_of([changed]))
    objects.change(name, lambda content: content[:-1] + b"?")
    names = ids_of([changed, TEXT])

    frames = await fetch_frames(server, anna, names, {names[0]: names[1], names[1]: names[0]})
    assert [frame.codec for frame in frames] == [Codec.RAW, Codec.ABSENT]


async def test_fetch_that_is_given_up_leaves_nothing_running(server, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.reading._GROUP_BYTES", 1_000)
    anna = await server.sign_in()
    blocks = make_blocks(20)
    await put(server, anna, frames_of(blocks))
    before = asyncio.all_tasks()
    groups = await server.service.blocks.fetch(anna, anna.root_namespace_id, ids_of(blocks), {})
    await anext(groups)
    assert asyncio.all_tasks() != before
    await groups.aclose()

    assert asyncio.all_tasks() == before


async def test_store_that_is_away_breaks_the_fetch_off(server, objects):
    anna = await server.sign_in()
    await put(server, anna, frames_of([TEXT]))
    objects.read_error = Unavailable("away")

    with pytest.raises(DrystoneError, match="away"):
        await fetch(server, anna, ids_of([TEXT]))


# --- outline --------------------------------------------------------------------------------------


async def test_outline_is_given_of_held_blocks_only(server):
    anna, bert = await server.sign_in("anna"), await server.sign_in("bert")
    await put(server, anna, frames_of([SECRET]))
    await put(server, bert, frames_of([TEXT]))
    names = ids_of([SECRET, TEXT, b"nobody's", TEXT])
    found = await server.service.blocks.outline(bert, bert.root_namespace_id, names)

    assert found == [b"", encode_outline(TEXT), b"", encode_outline(TEXT)]


async def test_outline_of_a_lost_block_is_empty(server, objects):
    anna = await server.sign_in()
    await put(server, anna, frames_of([TEXT]))
    objects.delete(pack_names(objects)[0])

    namespace_id = anna.root_namespace_id
    assert await server.service.blocks.outline(anna, namespace_id, ids_of([TEXT])) == [b""]


async def test_outlines_end_where_the_answer_is_full(server, monkeypatch):
    anna = await server.sign_in()
    blocks = make_blocks(4, 3_000)
    await put(server, anna, frames_of(blocks))
    room_bytes = sum(len(encode_outline(block)) for block in blocks[:2])
    monkeypatch.setattr(verbs, "OUTLINES_BYTES_MAX", room_bytes)
    monkeypatch.setattr("drystone.server.service.blocks.shelf.PLAIN_BYTES_AT_ONCE", 3_000)
    found = await server.service.blocks.outline(anna, anna.root_namespace_id, ids_of(blocks))

    assert [bool(outline) for outline in found] == [True, True, False, False]


# --- what a crash leaves --------------------------------------------------------------------------


async def test_crash_between_pack_and_index_leaves_what_can_be_found_again(server, objects):
    anna = await server.sign_in()
    blocks = make_blocks(5)

    async def fail(work, **_):
        raise Unavailable("the power went")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.service.blocks.shelf.writer, "write", fail)
        with pytest.raises(Unavailable, match="the power went"):
            await put(server, anna, frames_of(blocks))

    assert await held(server, anna, blocks) == [False] * 5
    [pack] = list(server.service.blocks.shelf.packs.iter_packs())
    assert [place.block_id for place in pack.places] == ids_of(blocks)
    # Sent again, it is the same pack, and nothing is in the way.
    tally = await put(server, anna, frames_of(blocks))
    assert tally.stored_blocks_count == 5
    assert len(pack_names(objects)) == 1
    assert await fetch(server, anna, ids_of(blocks)) == blocks


async def test_index_rebuilt_from_packs_alone_serves_every_block(server, objects):
    anna = await server.sign_in()
    blocks = [*make_blocks(30), TEXT]
    for start in range(0, 31, 7):
        await put(server, anna, frames_of(blocks[start : start + 7]))

    other = MemoryServer(objects)
    bert = await other.sign_in("bert")
    for pack in other.service.blocks.shelf.packs.iter_packs():
        await other.service.writer.write(lambda unit, p=pack: unit.blocks.add_pack(*p))
    names = ids_of(blocks)
    await other.service.writer.write(
        lambda unit: unit.blocks.hold(bert.root_namespace_id, names, 2**40)
    )

    assert await fetch(other, bert, names) == blocks
    other.close()
