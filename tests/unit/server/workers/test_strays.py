# SPDX-License-Identifier: Apache-2.0
"""What was begun and never accounted for is found and removed."""

import pytest

from drystone.core.limits import ARRIVAL_S, ARRIVAL_STRAY_S, TICKET_S
from drystone.server.ports.arrivals import ARRIVING, ArrivalState
from drystone.server.service.blocks.direct import DirectStore
from drystone.server.workers.strays import Strays
from drystone.testing.blocks import Always, frames_of, ids_of, make_noise, make_pack

pytestmark = pytest.mark.asyncio

BLOCKS = make_noise(3, 2_000)
PACK = make_pack(frames_of(BLOCKS))


@pytest.fixture
def strays(direct_server):
    return make_strays(direct_server, Always())


def make_strays(server, duty) -> Strays:
    store = DirectStore(server.objects, server.signing)
    return Strays(server.service.writer, store, server.clock, duty)


def arriving(objects) -> list[str]:
    return [stat.name for stat in objects.iter_names(ARRIVING)]


def promised(server) -> int:
    return len(
        server.metadata.read(lambda u: u.arrivals.list_due(ArrivalState.PROMISED, 1 << 62, 99))
    )


@pytest.mark.parametrize("is_put", [False, True])
async def test_a_promise_ends_when_its_time_is_over(device, objects, strays, direct_server, is_put):
    """Killed after the ticket was given, or after the pack was put."""
    anna = await device()
    [granted] = await anna.offer(PACK.offer)
    if is_put:
        direct_server.signing.send(granted.request, PACK.body)
    direct_server.clock.advance(TICKET_S + ARRIVAL_S - 1)
    await strays.remove_due()
    assert promised(direct_server) == 1
    assert len(arriving(objects)) == is_put

    direct_server.clock.advance(1)
    await strays.remove_due()

    assert promised(direct_server) == 0
    assert arriving(objects) == []
    assert strays.stats().given_up == 1
    [trouble] = await anna.settle(granted.arrival_id)
    assert trouble.code == "arrival-unknown"


async def test_a_promise_that_is_renewed_in_that_moment_is_kept(
    device, objects, strays, direct_server, monkeypatch
):
    anna = await device()
    [granted] = await anna.offer(PACK.offer)
    direct_server.signing.send(granted.request, PACK.body)
    direct_server.clock.advance(TICKET_S + ARRIVAL_S)
    list_due = strays._list_due

    async def list_and_renew(state):
        found = await list_due(state)
        await anna.offer(PACK.offer)
        monkeypatch.setattr(strays, "_list_due", list_due)
        return found

    monkeypatch.setattr(strays, "_list_due", list_and_renew)
    await strays.remove_due()

    assert strays.stats().given_up == 0
    assert await anna.settle(granted.arrival_id) == [None]
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_what_has_arrived_is_left_alone(device, objects, strays, direct_server):
    anna = await device()
    await anna.send_pack(PACK)
    direct_server.clock.advance(30 * 24 * 3600)

    await strays.remove_due()
    await strays.remove_strays()

    assert len(arriving(objects)) == 1
    assert await anna.fetch(ids_of(BLOCKS)) == BLOCKS


async def test_an_object_that_nobody_knows_is_removed_after_a_day(
    device, objects, strays, direct_server, monkeypatch
):
    """Killed between the two steps of giving up: out of the tables, and not out of the store."""
    anna = await device()
    [granted] = await anna.offer(PACK.offer)
    direct_server.signing.send(granted.request, PACK.body)
    direct_server.clock.advance(TICKET_S + ARRIVAL_S)
    monkeypatch.setattr(objects, "delete", lambda _: None)
    await strays.remove_due()
    monkeypatch.undo()
    [name] = arriving(objects)
    objects.put("arriving/of-others", [b"not ours"])

    written = next(objects.iter_names(name)).written_ns
    direct_server.clock.advance((written - direct_server.clock.now_ns()) / 1e9)
    await strays.remove_strays()
    assert name in arriving(objects)
    direct_server.clock.advance(ARRIVAL_STRAY_S + 1)
    await strays.remove_strays()

    assert arriving(objects) == ["arriving/of-others"]
    assert strays.stats().strays == 1


async def test_a_worker_without_the_duty_removes_nothing(device, objects, direct_server):
    class Never(Always):
        async def ensure(self) -> bool:
            return False

    anna = await device()
    [granted] = await anna.offer(PACK.offer)
    direct_server.signing.send(granted.request, PACK.body)
    direct_server.clock.advance(30 * 24 * 3600)
    strays = make_strays(direct_server, Never())

    await strays.remove_due()
    await strays.remove_strays()

    assert promised(direct_server) == len(arriving(objects)) == 1


async def test_parts_of_a_promise_go_with_it(device, strays, direct_server, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.direct.DIRECT_PART_BYTES", 2_500)
    monkeypatch.setattr("drystone.server.service.blocks.parts.DIRECT_PART_BYTES", 2_500)
    monkeypatch.setattr("drystone.server.service.blocks.heads.DIRECT_PART_BYTES", 2_500)
    anna = await device()
    [granted] = await anna.offer(PACK.offer._replace(parts=bytes(32 * 3)))
    direct_server.signing.send(granted.parts[0].request, PACK.body[:2_500])
    direct_server.clock.advance(TICKET_S + ARRIVAL_S)

    await strays.remove_due()

    assert promised(direct_server) == 0
    assert direct_server.signing.uploads == {"upload-0": None}
