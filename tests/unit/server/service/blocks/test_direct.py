# SPDX-License-Identifier: Apache-2.0
"""Tickets, arrivals, and who may read what of them."""

import asyncio
import threading
from hashlib import sha256

import pytest

from drystone.core.content.coding import STANDARD, decode_frame
from drystone.core.content.frame import HEADER_BYTES, Codec, Frame, read_absent
from drystone.core.content.hashing import PACK_TAG, block_id
from drystone.core.errors import Refused, Unavailable
from drystone.core.ids import PackId
from drystone.core.limits import (
    ARRIVAL_S,
    DIRECT_PACK_BYTES_MAX,
    DIRECT_RANGE_BYTES_MAX,
    GRANT_PACKS_MAX,
    KIB,
    MIB,
    TICKET_S,
)
from drystone.server.ports.arrivals import ARRIVING, ArrivalState
from drystone.server.service.blocks import direct as direct_module
from drystone.server.service.blocks import heads as heads_module
from drystone.server.service.blocks import parts as parts_module
from drystone.server.service.blocks.heads import Offer
from drystone.server.service.blocks.verbs import BlockNotFound
from drystone.server.service.gate import NamespaceNotFound
from drystone.testing.blocks import (
    DirectDevice,
    frames_of,
    ids_of,
    make_noise,
    make_pack,
    split_run,
)
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio

BLOCKS = make_noise(5, 2_000)
PACK = make_pack(frames_of(BLOCKS))


@pytest.fixture
def server(objects):
    server = MemoryServer(objects, is_direct=True)
    yield server
    server.close()


@pytest.fixture
def device(server):
    async def sign_in(account="anna", name="laptop"):
        return DirectDevice(server, await server.sign_in(account, name))

    return sign_in


def list_arriving(objects) -> list[str]:
    return [stat.name for stat in objects.iter_names(ARRIVING)]


async def test_a_pack_that_arrived_is_held_and_read_like_any_other(device, objects, pack_names):
    anna = await device()
    assert await anna.holds(BLOCKS) == [False] * 5

    await anna.send_pack(PACK)

    assert await anna.holds(BLOCKS) == [True] * 5
    assert await anna.fetch(ids_of(BLOCKS[::-1])) == BLOCKS[::-1]
    assert len(list_arriving(objects)) == 1
    assert pack_names() == []


async def test_what_may_arrive_is_known_before_anything_is_signed(device, server, monkeypatch):
    anna = await device()
    seen = []

    def look(*args):
        due = server.metadata.read(lambda u: u.arrivals.list_due(ArrivalState.PROMISED, 1 << 40, 9))
        seen.append([(a.name, a.length_bytes, a.pack_id, a.device_id) for a in due])
        return sign(*args)

    sign = server.signing.sign_put
    monkeypatch.setattr(server.signing, "sign_put", look)
    [granted] = await anna.offer(PACK.offer)

    name = granted.request.url.removeprefix("https://store.invalid/")
    assert seen == [[(name, len(PACK.body), PACK.offer.pack_id, anna.actor.device_id)]]
    assert granted.request.headers["content-length"] == str(len(PACK.body))
    assert granted.request.headers["x-sha256"] == PACK.offer.pack_id.hex()


async def test_a_pack_of_held_blocks_need_not_be_put(device, server):
    anna = await device()
    await anna.put(frames_of(BLOCKS[:3]))
    [granted] = await anna.offer(PACK.offer)
    assert granted.arrival_id
    await anna.put(frames_of(BLOCKS[3:]))

    [granted] = await anna.offer(PACK.offer)

    assert granted == (b"", False, None, ())


async def test_a_ticket_is_renewed_for_the_same_place(device, server):
    anna = await device()
    [first] = await anna.offer(PACK.offer)
    server.clock.advance(TICKET_S + 1)
    [second] = await anna.offer(PACK.offer)

    assert second.arrival_id == first.arrival_id
    assert second.request.url == first.request.url
    assert second.request.expires_s == first.request.expires_s + TICKET_S + 1
    due = server.metadata.read(lambda u: u.arrivals.list_due(ArrivalState.PROMISED, 1 << 40, 9))
    assert [a.due_s for a in due] == [second.request.expires_s + ARRIVAL_S]


async def test_a_pack_that_was_put_and_not_told_of_is_not_put_again(device, server):
    anna = await device()
    [first] = await anna.offer(PACK.offer)
    server.signing.send(first.request, PACK.body)

    [second] = await anna.offer(PACK.offer)

    assert second == (first.arrival_id, True, None, ())
    assert await anna.settle(second.arrival_id) == [None]
    assert await anna.holds(BLOCKS) == [True] * 5


async def test_tickets_and_what_came_of_them_are_counted(device, server, objects):
    anna = await device()
    arrival_id = await anna.send_pack(PACK)
    await anna.offer(PACK.offer)  # All of it is held: no ticket.
    blocks = make_noise(3, 100 * KIB)
    other = make_pack(frames_of(blocks))
    [cut_off] = await anna.offer(other.offer)
    objects.put(cut_off.request.url.removeprefix("https://store.invalid/"), [b"cut off"])
    await anna.settle(cut_off.arrival_id, b"nothing of this name")
    await anna.send_pack(other)
    ranges = await server.service.direct.read(anna.actor, anna.namespace_id, ids_of(blocks))
    told = {
        (sample.name.removeprefix("drystone_"), *sample.labels.values()): sample.value
        for family in server.service.measures.read()
        for sample in family.samples
    }

    assert await anna.settle(arrival_id) == [None]
    assert told["tickets_total", "put"] == 3
    assert told["ticket_bytes_total", "put"] == len(PACK.body) + 2 * len(other.body)
    assert told["tickets_total", "get"] == len(ranges) > 0
    assert told["ticket_bytes_total", "get"] == sum(one.length_bytes for one in ranges)
    assert told["tickets_total", "put_part"] == 0
    assert told["arrivals_total", "taken"] == 2
    assert told["arrivals_total", "pack-length"] == told["arrivals_total", "arrival-unknown"] == 1


async def test_the_same_is_said_of_an_arrival_twice(device):
    anna = await device()
    arrival_id = await anna.send_pack(PACK)

    assert await anna.settle(arrival_id, arrival_id) == [None, None]


@pytest.mark.parametrize("length", [0, len(PACK.body) - 1, len(PACK.body) + 1])
async def test_a_pack_of_another_length_is_refused_and_goes(device, objects, length):
    anna = await device()

    with pytest.raises(Refused) as caught:
        await anna.send_pack(PACK, (PACK.body + b"x")[:length])

    assert caught.value.code == "pack-length"
    assert f"{length:,}" in caught.value.message
    assert await anna.holds(BLOCKS) == [False] * 5
    assert list_arriving(objects) == []
    with pytest.raises(BlockNotFound):
        await anna.fetch(ids_of(BLOCKS))
    # Another ticket is for another place.
    await anna.send_pack(PACK)
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_a_pack_that_is_not_there_is_refused_and_may_still_come(device, server):
    anna = await device()
    [granted] = await anna.offer(PACK.offer)

    [trouble] = await anna.settle(granted.arrival_id)

    assert trouble.code == "pack-missing"
    assert await anna.holds(BLOCKS) == [False] * 5
    server.signing.send(granted.request, PACK.body)
    assert await anna.settle(granted.arrival_id) == [None]


async def test_others_are_taken_beside_one_that_is_missing(device, server):
    anna = await device()
    more = make_pack(frames_of(make_noise(2, seed=9)))
    one, other = await anna.offer(PACK.offer, more.offer)
    server.signing.send(other.request, more.body)

    troubles = await anna.settle(one.arrival_id, other.arrival_id, b"?" * 16)

    assert [trouble and trouble.code for trouble in troubles] == [
        "pack-missing", None, "arrival-unknown",
    ]  # fmt: skip


async def test_other_bytes_of_the_right_length_are_never_read(device):
    anna = await device()
    await anna.send_pack(PACK, PACK.body[:-100] + bytes(100))

    found = await anna.fetch_frames(ids_of(BLOCKS))

    assert [bytes(frame.payload) for frame in found[:4]] == BLOCKS[:4]
    # The header is right: whoever gets the block verifies it, and asks again.
    with pytest.raises(Exception, match="other bytes"):
        decode_frame(found[4], lambda _: None)
    doubted = await fetch_doubted(anna, ids_of(BLOCKS))
    assert [frame.codec for frame in doubted] == [Codec.RAW] * 4 + [Codec.ABSENT]
    assert read_absent(doubted[4])[0] == "corrupt-block"
    # Then it has to be sent, and heals.
    assert await anna.holds(BLOCKS) == [True] * 4 + [False]
    await anna.put(frames_of(BLOCKS[4:]))
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def fetch_doubted(device, names):
    fetch = device.server.service.blocks.fetch
    groups = await fetch(device.actor, device.namespace_id, names, {}, names)
    frames = []
    async for group in groups:
        for item in group:
            frames += [item] if isinstance(item, Frame) else split_run(item)
    return frames


async def test_a_claim_counts_for_nobody_else(device):
    anna, bob = await device(), await device("bob")
    await anna.send_pack(PACK)

    assert await bob.holds(BLOCKS) == [False] * 5
    with pytest.raises(BlockNotFound):
        await bob.fetch(ids_of(BLOCKS))
    tally = await bob.put(frames_of(BLOCKS))
    assert tally.stored_blocks_count == 5
    assert await bob.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_who_knows_a_block_s_name_does_not_get_the_block(device):
    anna, eve = await device(), await device("eve")
    await anna.put(frames_of(BLOCKS))
    # Eve says that her own bytes are those blocks.
    lies = make_noise(5, 2_000, seed=66)
    claim = make_pack(
        [Frame(block_id(block), 2_000, Codec.RAW, lie)
         for block, lie in zip(BLOCKS, lies, strict=True)]
    )  # fmt: skip
    await eve.send_pack(claim)

    frames = await eve.fetch_frames(ids_of(BLOCKS))

    assert [bytes(frame.payload) for frame in frames] == lies
    for ticket in await eve.server.service.direct.read(eve.actor, eve.namespace_id, ids_of(BLOCKS)):
        assert ticket.request.url.removeprefix("https://store.invalid/").startswith(ARRIVING)
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS
    assert (await eve.put(frames_of(lies))).stored_blocks_count == 5


async def test_who_may_not_open_a_namespace_gets_no_ticket(device, server):
    anna, eve = await device(), await device("eve")
    arrival_id = await anna.send_pack(PACK)
    eve.namespace_id = anna.namespace_id

    for asking in (
        eve.offer(PACK.offer),
        eve.settle(arrival_id),
        server.service.direct.read(eve.actor, eve.namespace_id, ids_of(BLOCKS)),
    ):
        with pytest.raises(NamespaceNotFound):
            await asking


HEADS = PACK.offer.heads
BASED = make_pack([Frame(block_id(b"x"), 1, Codec.DELTA, b"y", block_id(b"z"))])


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        (Offer(PackId(b"short"), HEADS), "cut off"),
        (Offer(PACK.offer.pack_id, HEADS[:-1]), "cut off"),
        (Offer(PACK.offer.pack_id, b""), "cut off"),
        (Offer(PACK.offer.pack_id, bytes(HEADER_BYTES)), "no frame begins"),
        (Offer(PACK.offer.pack_id, BASED.offer.heads[:HEADER_BYTES]), "codec 2"),
        (Offer(PACK.offer.pack_id, HEADS + HEADS[:HEADER_BYTES]), "twice"),
        (Offer(PACK.offer.pack_id, HEADS * 4_000), "20,000 blocks"),
    ],
)
async def test_heads_that_cannot_be_are_refused(device, server, offer, reason):
    anna = await device()

    with pytest.raises(Refused, match=reason) as caught:
        await anna.offer(PACK.offer, offer)

    assert caught.value.code == "unfit-pack"
    assert server.signing.signed == []


async def test_a_pack_that_is_too_long_is_refused(device):
    anna = await device()
    count = DIRECT_PACK_BYTES_MAX // (4 * MIB) + 1
    frames = [Frame(block_id(b"%d" % n), 4 * MIB, Codec.RAW, bytes(4 * MIB)) for n in range(count)]
    offer = Offer(PACK.offer.pack_id, make_pack(frames).offer.heads)

    with pytest.raises(Refused, match="bytes; at most"):
        await anna.offer(offer)


async def test_only_so_many_packs_at_once_and_under_way(device, monkeypatch):
    anna = await device()
    packs = [make_pack(frames_of(make_noise(1, seed=n))) for n in range(GRANT_PACKS_MAX + 1)]
    with pytest.raises(Refused):
        await anna.offer(*(pack.offer for pack in packs))
    monkeypatch.setattr(direct_module, "ARRIVALS_PROMISED_MAX", 3)
    await anna.offer(*(pack.offer for pack in packs[:3]))

    with pytest.raises(Unavailable) as caught:
        await anna.offer(packs[3].offer)

    assert caught.value.code == "too-many-arrivals"
    assert caught.value.retry_after_s
    # Those under way go on.
    assert len(await anna.offer(*(pack.offer for pack in packs[:3]))) == 3


async def test_a_server_without_direct_transfer_says_so(objects):
    server = MemoryServer(objects)
    try:
        anna = DirectDevice(server, await server.sign_in())
        for asking in (
            anna.offer(PACK.offer),
            anna.settle(b"x" * 16),
            server.service.direct.read(anna.actor, anna.namespace_id, ids_of(BLOCKS)),
        ):
            with pytest.raises(Refused) as caught:
                await asking
            assert caught.value.code == "direct-off"
        assert not server.service.direct.is_on
    finally:
        server.close()


# --- tickets to read -------------------------------------------------------------------------

LARGE = make_noise(10, 300 * KIB)


def read_ranges(server, ranges) -> dict[bytes, bytes]:
    """Sends the tickets and returns the blocks that came."""
    found = {}
    for ids, length_bytes, request in ranges:
        body = server.signing.send(request)
        assert len(body) == length_bytes
        names = list(ids)
        position = 0
        for name in names:
            header = body[position : position + HEADER_BYTES]
            stored = int.from_bytes(header[4:8], "little")
            position += HEADER_BYTES
            found[name] = body[position : position + stored]
            position += stored
        assert position == length_bytes
    return found


async def test_ranges_are_exactly_what_was_asked_for(device, server):
    anna = await device()
    await anna.put(frames_of(LARGE))
    wanted = [*LARGE[:3], *LARGE[5:7], LARGE[9]]
    names = ids_of([*reversed(wanted), b"nobody's"])

    ranges = await server.service.direct.read(anna.actor, anna.namespace_id, names)

    assert sorted(len(ids) for ids, _, _ in ranges) == [1, 2, 3]
    assert read_ranges(server, ranges) == dict(zip(ids_of(wanted), wanted, strict=True))


async def test_blocks_of_others_in_the_same_pack_are_in_no_range(device, server):
    anna, bob = await device(), await device("bob")
    await anna.put(frames_of(LARGE))
    await bob.put(frames_of(LARGE[::2]))
    read = server.service.direct.read

    ranges = await read(bob.actor, bob.namespace_id, ids_of(LARGE))

    assert read_ranges(server, ranges) == dict(zip(ids_of(LARGE[::2]), LARGE[::2], strict=True))


async def test_small_blocks_have_no_ranges_and_long_runs_are_cut(device, server):
    anna = await device()
    small, many = make_noise(3, 1_000), make_noise(12, 1 * MIB, seed=5)
    await anna.put(frames_of(small))
    await anna.put(frames_of(many))
    read = server.service.direct.read

    assert await read(anna.actor, anna.namespace_id, ids_of(small)) == []
    ranges = await read(anna.actor, anna.namespace_id, ids_of(many))
    assert all(length <= DIRECT_RANGE_BYTES_MAX for _, length, _ in ranges)
    assert read_ranges(server, ranges) == dict(zip(ids_of(many), many, strict=True))


async def test_a_store_that_cannot_restrict_ranges_gives_only_what_the_namespace_put(
    device, server
):
    anna = await device()
    server.signing.restricts_ranges = False
    await anna.put(frames_of(LARGE[:5]))
    await anna.send_pack(make_pack(frames_of(LARGE[5:])))

    ranges = await server.service.direct.read(anna.actor, anna.namespace_id, ids_of(LARGE))

    assert {name for ids, _, _ in ranges for name in ids} == set(ids_of(LARGE[5:]))


async def test_compressed_frames_arrive_as_they_are(device):
    anna = await device()
    text = [b"stone %d on stone\n" % n * 500 for n in range(3)]
    pack = make_pack(frames_of(text, STANDARD))
    assert pack.body.startswith(PACK_TAG)
    assert len(pack.body) < 3_000

    await anna.send_pack(pack)

    assert await anna.fetch(ids_of(text)) == text


# --- in parts --------------------------------------------------------------------------------

PART = 2_500
IN_PARTS = PACK.offer._replace(
    parts=b"".join(
        sha256(PACK.body[at : at + PART]).digest() for at in range(0, len(PACK.body), PART)
    )
)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 2,500 bytes: the pack has five."""
    for module in (direct_module, parts_module, heads_module):
        monkeypatch.setattr(module, "DIRECT_PART_BYTES", PART)


def put_parts(server, granted, numbers=range(5), body=PACK.body) -> None:
    for number in numbers:
        offset, length, request = granted.parts[number]
        server.signing.send(request, body[offset : offset + length])


async def test_a_long_pack_arrives_in_parts(device, server, objects, small_parts):
    anna = await device()
    [granted] = await anna.offer(IN_PARTS)
    assert granted.request is None
    assert [(p.offset_bytes, p.length_bytes) for p in granted.parts] == [
        (0, 2_500), (2_500, 2_500), (5_000, 2_500), (7_500, 2_500), (10_000, 228)
    ]  # fmt: skip
    assert granted.parts[1].request.headers["x-sha256"] == IN_PARTS.parts[32:64].hex()
    put_parts(server, granted)
    assert list_arriving(objects) == []

    assert await anna.settle(granted.arrival_id) == [None]

    assert len(list_arriving(objects)) == 1
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS
    assert await anna.settle(granted.arrival_id) == [None]


async def test_a_short_pack_does_not(device):
    anna = await device()

    [granted] = await anna.offer(PACK.offer._replace(parts=sha256(PACK.body).digest()))

    assert granted.request is not None
    assert granted.parts == ()


async def test_the_store_s_own_list_says_which_parts_are_there(
    device, server, objects, small_parts
):
    anna = await device()
    [granted] = await anna.offer(IN_PARTS)
    put_parts(server, granted, (0, 3))

    [trouble] = await anna.settle(granted.arrival_id)

    assert trouble.code == "pack-missing"
    assert "part 2, 3, 5 of 5" in trouble.message
    assert list_arriving(objects) == []
    assert await anna.holds(BLOCKS) == [False] * 5
    # Asked again, those are signed that are missing, for the same upload.
    [again] = await anna.offer(IN_PARTS)
    assert again.arrival_id == granted.arrival_id
    assert again.parts == tuple(granted.parts[number] for number in (1, 2, 4))
    put_parts(server, again, range(3))
    assert await anna.settle(again.arrival_id) == [None]
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_a_part_of_another_length_is_found_before_it_is_too_late(
    device, server, objects, small_parts
):
    anna = await device()
    [granted] = await anna.offer(IN_PARTS)
    put_parts(server, granted)
    server.signing.send(granted.parts[2].request, b"short")

    [again] = await anna.offer(IN_PARTS)
    assert [part.offset_bytes for part in again.parts] == [5_000]
    [trouble] = await anna.settle(granted.arrival_id)

    assert trouble.code == "pack-length"
    assert list_arriving(objects) == []
    assert server.signing.uploads == {"upload-0": None}
    [third] = await anna.offer(IN_PARTS)
    assert third.arrival_id != granted.arrival_id
    put_parts(server, third)
    assert await anna.settle(third.arrival_id) == [None]


async def test_a_part_with_another_checksum_is_signed_again(
    device, server, small_parts, monkeypatch
):
    anna = await device()
    [granted] = await anna.offer(IN_PARTS)
    put_parts(server, granted)
    list_parts = server.signing.list_parts
    monkeypatch.setattr(
        server.signing,
        "list_parts",
        lambda *of: [
            part._replace(checksum=bytes(32) if part.number == 4 else part_hash(part))
            for part in list_parts(*of)
        ],
    )

    def part_hash(part) -> bytes:
        return IN_PARTS.parts[32 * (part.number - 1) : 32 * part.number]

    [again] = await anna.offer(IN_PARTS)

    assert [part.offset_bytes for part in again.parts] == [7_500]


async def test_two_that_begin_the_same_pack_at_once_put_their_parts_together(
    device, server, small_parts, monkeypatch
):
    """A device asked again because the first answer was long in coming."""
    anna = await device()
    both = threading.Barrier(2, timeout=20)
    begin_parts = server.signing.begin_parts

    def begin(name: str) -> str:
        both.wait()
        return str(begin_parts(name))

    with monkeypatch.context() as patch:
        patch.setattr(server.signing, "begin_parts", begin)
        [[one], [two]] = await asyncio.gather(anna.offer(IN_PARTS), anna.offer(IN_PARTS))

    assert one.parts == two.parts
    # The other one's is given up.
    assert sorted(map(str, server.signing.uploads.values())) == ["None", "{}"]
    put_parts(server, one)
    assert await anna.settle(two.arrival_id) == [None]


async def test_parts_that_were_completed_and_not_told_of(device, server, small_parts):
    """Killed between the store's answer and the tables."""
    anna = await device()
    [granted] = await anna.offer(IN_PARTS)
    put_parts(server, granted)
    name = next(iter(server.signing.signed)).url.removeprefix("https://store.invalid/")
    name = name.partition("?")[0]
    server.signing.complete_parts(name, "upload-0", server.signing.list_parts(name, "upload-0"))

    [again] = await anna.offer(IN_PARTS)

    assert again == (granted.arrival_id, True, None, ())
    assert await anna.settle(granted.arrival_id) == [None]
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_parts_that_the_store_dropped_are_begun_anew(device, server, small_parts):
    anna = await device()
    [granted] = await anna.offer(IN_PARTS)
    put_parts(server, granted, (0, 1))
    server.signing.uploads["upload-0"] = None

    [trouble] = await anna.settle(granted.arrival_id)
    assert trouble.code == "pack-missing"
    [again] = await anna.offer(IN_PARTS)

    assert len(again.parts) == 5
    put_parts(server, again)
    assert await anna.settle(granted.arrival_id) == [None]


async def test_hashes_of_parts_that_do_not_fit_are_refused(device, small_parts):
    anna = await device()

    with pytest.raises(Refused, match="each part"):
        await anna.offer(IN_PARTS._replace(parts=IN_PARTS.parts[32:]))


async def test_a_store_that_is_away_takes_nothing(device, server, objects, monkeypatch):
    anna = await device()
    [granted] = await anna.offer(PACK.offer)
    server.signing.send(granted.request, PACK.body)

    def away(_):
        raise Unavailable("away")

    monkeypatch.setattr(objects, "find_length", away)
    with pytest.raises(Unavailable):
        await anna.settle(granted.arrival_id)
    monkeypatch.undo()
    assert await anna.holds(BLOCKS) == [False] * 5

    assert await anna.settle(granted.arrival_id) == [None]
