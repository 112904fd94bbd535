# SPDX-License-Identifier: Apache-2.0
"""Packs that devices put: they join the common pool, or are kept aside."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from drystone.core.content.coding import STANDARD
from drystone.core.content.frame import HEADER_BYTES, Codec, Frame
from drystone.core.content.hashing import block_id
from drystone.core.errors import Unavailable
from drystone.core.limits import ARRIVAL_JOINED_S, ARRIVAL_QUARANTINE_S, ARRIVAL_STRAY_S
from drystone.server.ports.arrivals import ARRIVING, ArrivalState
from drystone.server.service.blocks.direct import DirectStore
from drystone.server.workers.strays import Strays
from drystone.server.workers.verifier import RETRY_S, Verifier, examine
from drystone.testing.blocks import Always, frames_of, ids_of, make_noise, make_pack

pytestmark = pytest.mark.asyncio

BLOCKS = make_noise(6, 2_000)
PACK = make_pack(frames_of(BLOCKS))


class Stolen(Always):
    """A duty that somebody else takes in the middle."""

    def require(self, unit) -> None:
        raise Unavailable("lost")


@pytest.fixture
def verifier(direct_server):
    server = direct_server
    return Verifier(server.service.writer, server.packs, server.objects, server.clock, Always())


@pytest.fixture
def verify(verifier):
    """Verifies all that is due now."""

    async def work(mine=verifier):
        with ThreadPoolExecutor(1) as threads:
            while await mine.verify_due(threads):
                pass

    return work


def make_strays(server) -> Strays:
    store = DirectStore(server.objects, server.signing)
    return Strays(server.service.writer, store, server.clock, Always())


def names_below(objects, prefix) -> list[str]:
    return [stat.name for stat in objects.iter_names(prefix)]


def list_in(server, state) -> list[str]:
    due = server.metadata.read(lambda unit: unit.arrivals.list_due(state, 1 << 62, 99))
    return [arrival.name for arrival in due]


async def test_a_verified_pack_is_as_if_it_had_come_through_the_server(
    device, objects, verify, verifier, direct_server
):
    anna, bob = await device(), await device("bob")
    await anna.send_pack(PACK)

    await verify()

    assert list_in(direct_server, ArrivalState.UNVERIFIED) == []
    # Who was told to read there may be about to; then the object goes.
    assert list_in(direct_server, ArrivalState.JOINED) == names_below(objects, ARRIVING) != []
    direct_server.clock.advance(ARRIVAL_JOINED_S)
    await make_strays(direct_server).remove_due()
    assert list_in(direct_server, ArrivalState.JOINED) == names_below(objects, ARRIVING) == []
    ids = set(ids_of(BLOCKS))
    claims = direct_server.metadata.read(lambda u: u.arrivals.locate(anna.namespace_id, ids))
    assert claims == {}
    packs = list(direct_server.packs.iter_packs())
    assert [place.block_id for place in packs[0].places] == ids_of(BLOCKS)
    digits = PACK.offer.pack_id.hex()
    assert names_below(objects, "packs/") == [f"packs/{digits[:2]}/{digits}"]
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS
    # Bob has them, too, and shows that he does: nothing is stored twice.
    assert (await bob.put(frames_of(BLOCKS))).stored_blocks_count == 0
    assert verifier.stats()[:3] == (1, 6, 0)


async def test_before_that_a_block_is_stored_twice_and_afterwards_once(
    device, verify, verifier, direct_server
):
    anna, bob = await device(), await device("bob")
    await anna.send_pack(PACK)
    assert (await bob.put(frames_of(BLOCKS[:4]))).stored_blocks_count == 4

    await verify()

    totals = direct_server.metadata.read(lambda unit: unit.blocks.totals())
    assert totals["blocks"] == 6
    assert totals["packs"] == 2
    assert sorted(len(pack.places) for pack in direct_server.packs.iter_packs()) == [2, 4]
    assert verifier.stats().duplicates == 4
    for one in (anna, bob):
        assert await one.fetch(ids_of(BLOCKS[:4])) == BLOCKS[:4]


async def test_what_is_put_again_after_it_was_verified_is_nobody_s(
    device, objects, verify, direct_server
):
    anna, bob = await device(), await device("bob")
    [granted] = await anna.offer(PACK.offer)
    direct_server.signing.send(granted.request, PACK.body)
    await anna.settle(granted.arrival_id)
    await verify()

    lies = make_pack(frames_of(make_noise(6, 2_000, seed=9)))
    direct_server.signing.send(granted.request, lies.body)

    await bob.put(frames_of(BLOCKS))
    for one in (anna, bob):
        assert await one.fetch(ids_of(BLOCKS)) == BLOCKS
    # Said once more it changes nothing.
    assert await anna.settle(granted.arrival_id) == [None]
    await verify()
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS
    strays = make_strays(direct_server)
    direct_server.clock.advance(ARRIVAL_JOINED_S)
    await strays.remove_due()
    # And once more, with nothing known of it any more.
    objects.put(granted.request.url.removeprefix("https://store.invalid/"), [lies.body])
    direct_server.clock.advance(ARRIVAL_STRAY_S)
    await strays.remove_strays()
    assert names_below(objects, ARRIVING) == []
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_what_is_put_again_before_it_is_verified_is_found(device, verify, direct_server):
    anna = await device()
    [granted] = await anna.offer(PACK.offer)
    direct_server.signing.send(granted.request, PACK.body)
    await anna.settle(granted.arrival_id)
    direct_server.signing.send(granted.request, PACK.body[:-1] + b"?")

    await verify()

    # All but the last are what was said.
    assert await anna.holds(BLOCKS) == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("other", "held_count"), [(PACK.body + b"?", 6), (PACK.body[:-1], 5), (b"", 0)]
)
async def test_another_length_put_before_it_is_verified_is_found(
    device, objects, verify, direct_server, other, held_count
):
    anna = await device()
    [granted] = await anna.offer(PACK.offer)
    direct_server.signing.send(granted.request, PACK.body)
    await anna.settle(granted.arrival_id)
    direct_server.signing.send(granted.request, other)

    await verify()

    assert list_in(direct_server, ArrivalState.QUARANTINED) == names_below(objects, ARRIVING) != []
    held = await anna.holds(BLOCKS)
    assert held == [number < held_count for number in range(6)]
    found = await anna.fetch_frames(ids_of(BLOCKS))
    assert [frame.codec != Codec.ABSENT for frame in found] == held
    # Nothing but blocks is stored, whatever else was put.
    stored = sum(stat.length_bytes for stat in objects.iter_names("packs/"))
    assert stored <= len(PACK.body)


async def test_what_looks_wrong_once_is_looked_at_again(device, objects, verify, verifier):
    """A store, or the way to it, may err; nothing is quarantined for that."""
    anna = await device()
    await anna.send_pack(PACK)
    read = objects.read
    answers = []

    def err_once(name, ranges):
        answers.append(read(name, ranges))
        return [bytes(len(piece)) for piece in answers[0]] if len(answers) == 1 else answers[-1]

    objects.read = err_once
    await verify()
    objects.read = read

    assert (verifier.stats().packs, verifier.stats().quarantined) == (1, 0)
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        (lambda body: body[:-2_000] + bytes(2_000), {5}),
        (lambda body: bytes(len(body)), {0, 1, 2, 3, 4, 5}),
        (lambda body: body[: HEADER_BYTES + 9] + b"?" + body[HEADER_BYTES + 10 :], {0}),
        # The tag is no part of any block.
        (lambda body: b"?" + body[1:], set()),
    ],
)
async def test_a_bad_pack_is_kept_aside_and_its_good_blocks_are_kept(
    device, objects, verify, verifier, direct_server, change, bad
):
    anna, bob = await device(), await device("bob")
    await anna.send_pack(PACK, change(PACK.body))
    content = await anna.holds(BLOCKS)
    assert content == [True] * 6

    await verify()

    held = [number not in bad for number in range(6)]
    assert await anna.holds(BLOCKS) == held
    assert verifier.stats().quarantined == 1
    [name] = names_below(objects, ARRIVING)
    assert list_in(direct_server, ArrivalState.QUARANTINED) == [name]
    frames = await anna.fetch_frames(ids_of(BLOCKS))
    assert [frame.codec != Codec.ABSENT for frame in frames] == held
    assert await bob.holds(BLOCKS) == [False] * 6
    # Whoever has the content heals it.
    await anna.put(frames_of([BLOCKS[number] for number in bad]))
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS
    direct_server.clock.advance(ARRIVAL_QUARANTINE_S + 1)
    await make_strays(direct_server).remove_due()
    assert names_below(objects, ARRIVING) == []
    assert list_in(direct_server, ArrivalState.LOST) == []
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_what_was_never_healed_stays_known_to_be_damaged(
    device, objects, verify, direct_server
):
    anna = await device()
    await anna.send_pack(PACK, bytes(len(PACK.body)))
    await verify()
    direct_server.clock.advance(ARRIVAL_QUARANTINE_S + 1)

    await make_strays(direct_server).remove_due()

    assert names_below(objects, ARRIVING) == []
    assert len(list_in(direct_server, ArrivalState.LOST)) == 1
    frames = await anna.fetch_frames(ids_of(BLOCKS))
    assert {frame.codec for frame in frames} == {Codec.ABSENT}


async def test_a_claim_of_somebody_else_s_blocks_poisons_nothing(device, verify, direct_server):
    eve, anna = await device("eve"), await device()
    lies = make_noise(6, 2_000, seed=66)
    claim = make_pack(
        [
            Frame(block_id(block), 2_000, Codec.RAW, lie)
            for block, lie in zip(BLOCKS, lies, strict=True)
        ]
    )
    await eve.send_pack(claim)
    await verify()

    assert await eve.holds(BLOCKS) == [False] * 6
    assert (await anna.put(frames_of(BLOCKS))).stored_blocks_count == 6
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS
    # And the other way round: Anna has them, Eve only says so.
    await eve.send_pack(claim)
    await verify()
    assert await eve.holds(BLOCKS) == [False] * 6
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_a_bomb_is_met_by_its_bounds(device, verify, verifier):
    anna = await device()
    zeros = bytes(1 << 20)
    [frame] = frames_of([zeros], STANDARD)
    assert frame.codec == Codec.ZSTD
    small = frame._replace(plain_bytes=len(frame.payload))
    await anna.send_pack(make_pack([small]))

    await verify()

    assert verifier.stats().quarantined == 1
    assert await anna.holds([zeros]) == [False]


async def test_a_store_that_is_away_puts_a_pack_off(
    device, objects, verify, verifier, direct_server
):
    anna = await device()
    await anna.send_pack(PACK)
    objects.read_error = Unavailable("away")
    await verify()
    assert verifier.stats().troubles == 1
    objects.read_error = None
    await verify()
    assert verifier.stats().packs == 0

    direct_server.clock.advance(RETRY_S)
    await verify()

    assert verifier.stats().packs == 1


async def test_a_pack_that_meets_a_defect_of_ours_keeps_no_other_one_waiting(
    device, verify, verifier, monkeypatch
):
    anna, bob = await device(), await device("bob")
    await anna.send_pack(PACK)
    await bob.send_pack(make_pack(frames_of(make_noise(6, 3_000, seed=9))))
    looked_at = []

    def stumble(objects, arrival):
        looked_at.append(arrival.name)
        if arrival.name == looked_at[0]:
            raise RuntimeError("a defect")
        return examine(objects, arrival)

    monkeypatch.setattr("drystone.server.workers.verifier.examine", stumble)
    await verify()

    assert len(looked_at) == 2
    assert (verifier.stats().troubles, verifier.stats().packs) == (1, 1)


async def test_an_object_that_is_gone_is_told(device, objects, verify, verifier):
    anna = await device()
    await anna.send_pack(PACK)
    [name] = names_below(objects, ARRIVING)
    objects.delete(name)

    await verify()

    assert verifier.stats().quarantined == 1
    assert await anna.holds(BLOCKS) == [False] * 6


async def test_a_crash_before_the_index_knows_costs_nothing(device, objects, verify, direct_server):
    """The packs are stored, and the unit of work fails: the next look stores the same."""
    anna = await device()
    await anna.send_pack(PACK)
    server = direct_server
    stolen = Verifier(server.service.writer, server.packs, server.objects, server.clock, Stolen())
    with pytest.raises(Unavailable):
        await verify(stolen)
    assert len(names_below(objects, "packs/")) == 1
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS

    await verify()

    assert len(names_below(objects, "packs/")) == 1
    assert len(list_in(server, ArrivalState.JOINED)) == 1
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_two_that_verify_the_same_do_it_once(device, verify, verifier, direct_server):
    anna = await device()
    await anna.send_pack(PACK)
    now_s = direct_server.clock.now_ns() // 10**9
    [arrival] = direct_server.metadata.read(
        lambda unit: unit.arrivals.list_due(ArrivalState.UNVERIFIED, now_s, 9)
    )
    await verify()

    with ThreadPoolExecutor(1) as threads:
        await verifier._verify(arrival, threads)

    assert verifier.stats().packs == 1
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS
    assert await anna.holds(BLOCKS) == [True] * 6
