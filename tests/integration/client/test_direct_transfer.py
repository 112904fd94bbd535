# SPDX-License-Identifier: Apache-2.0
"""A device, a server and an object store: what goes where, and what happens when the store fails.

The store is one over HTTP that refuses, breaks off and lies as it is told.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest
import pytest_asyncio
from aiohttp import web

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, direct, sign_in, stores
from drystone.core.content.coding import RAW_ONLY, encode_delta
from drystone.core.content.hashing import block_id
from drystone.core.errors import Unavailable
from drystone.core.limits import DIRECT_PACK_BYTES, MIB, TICKET_S
from drystone.server.ports.arrivals import ARRIVING, ArrivalState
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.blocks import as_bundle, frames_of, ids_of, make_noise
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.loopback import listening
from drystone.testing.service import PASSWORD, MemoryServer

pytestmark = pytest.mark.asyncio

LARGE = make_noise(40, MIB // 2, seed=3)
"""20 MiB: a pack in two parts, and one in one piece."""


class Store:
    """The object store, over HTTP.

    Attributes:
        faults: What becomes of the next requests, in order: a status, ``cut``, ``late`` (done, and
            the answer is lost), or ``""`` for nothing special; when it is empty, all is well.
        requests: Method and outcome of each request.
        headers: Of each request.
    """

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.faults: list[int | str] = []
        self.requests: list[tuple[str, int]] = []
        self.headers = []
        self.void_before_s = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.headers.append(request.headers)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "cut":
            self.requests.append((request.method, 0))
            request.transport.abort()
            return web.Response()
        if isinstance(fault, int):
            status, content = fault, b"<Error/>"
        else:
            status, content = self._do(request, body)
        self.requests.append((request.method, status))
        if fault == "late":
            request.transport.abort()
        if fault == "other":
            content = bytes(len(content))
        if fault == "short":
            content = content[:-1]
        return web.Response(status=status, body=content)

    def _do(self, request: web.Request, body: bytes) -> tuple[int, bytes]:
        name = request.path.lstrip("/")
        signed = [s for s in self.server.signing.signed if s.url.endswith(request.path_qs)]
        objects = self.server.objects
        if all(s.expires_s < self.void_before_s for s in signed):
            return 403, b""
        if request.method == "PUT":
            assert request.headers["content-length"] == str(len(body))
            assert request.headers["x-sha256"] == signed[-1].headers["x-sha256"]
            if request.query_string:
                self.server.signing.put_part(request.query_string, body)
                return 200, b""
            if objects.find_length(name) is not None:
                return 412, b""
            objects.put(name, [body])
            return 200, b""
        first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
        try:
            [found] = objects.read(name, [(int(first), int(last) + 1 - int(first))])
        except FileNotFoundError:
            return 404, b""
        return 206, found

    def count(self) -> Counter:
        return Counter(self.requests)


@pytest.fixture
def server():
    server = MemoryServer(FaultyObjects(MemoryObjects()), is_direct=True)
    server.admin.add_account("anna", PASSWORD)
    yield server
    server.close()


@pytest_asyncio.fixture
async def store(server) -> AsyncIterator[Store]:
    store = Store(server)
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{rest:.*}", store.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.signing.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"
    yield store
    await runner.cleanup()


@pytest_asyncio.fixture
async def join(server):
    """Signs devices in; each may be forced to relay."""
    opened: list[HttpRemote] = []
    told: list[str] = []
    async with listening(server.service) as url:

        async def join(*, is_direct=True) -> HttpRemote:
            plain = HttpSession(url)
            device = await sign_in(plain, "anna", PASSWORD, "laptop")
            await plain.close()
            session = HttpSession(url, device.token, chance=lambda: 0.5)
            namespace_id = device.namespace_id
            opened.append(HttpRemote(session, namespace_id, is_direct=is_direct, tell=told.append))
            opened[-1].told = told
            # What a sync begins with: it tells what the server offers.
            await opened[-1].read_changes("", None)
            return opened[-1]

        yield join
        for remote in opened:
            await remote.close()


@pytest.fixture
def waits(monkeypatch):
    """How long was waited between tries of the store; no time passes."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(wait_s):
        if wait_s <= 0.2:  # Others' business.
            return await sleep(wait_s)
        waits.append(round(wait_s, 3))
        return await sleep(0)

    monkeypatch.setattr(stores.asyncio, "sleep", note)
    return waits


def relayed(server) -> int:
    """Returns how many packs came through the server."""
    return len(list(server.objects.iter_names("packs/")))


def arrived(server) -> int:
    return len(list(server.objects.iter_names(ARRIVING)))


def in_state(server, state) -> int:
    return len(server.metadata.read(lambda unit: unit.arrivals.list_due(state, 1 << 62, 99)))


async def fetch(remote, blocks, bases=()) -> dict[bytes, bytes]:
    wanted = [(name, None) for name in ids_of(blocks)]
    found = {}
    length_bytes = sum(map(len, blocks))
    async for group in remote.fetch_blocks(wanted, lambda _: None, length_bytes=length_bytes):
        found.update(group)
    return found


def expected(blocks) -> dict[bytes, bytes]:
    return dict(zip(ids_of(blocks), blocks, strict=True))


def in_portions(blocks):
    frames = frames_of(blocks, RAW_ONLY)
    return as_bundle(*[frames[start : start + 2] for start in range(0, len(frames), 2)])


async def test_much_goes_straight_to_the_store_and_comes_from_it(server, store, join):
    remote = await join()

    assert await remote.put_blocks(in_portions(LARGE)) == len(LARGE)

    assert store.count() == {("PUT", 200): 3}
    assert (relayed(server), arrived(server)) == (0, 2)
    assert in_state(server, ArrivalState.UNVERIFIED) == 2
    assert await remote.ask(ids_of(LARGE)) == []
    assert await fetch(remote, LARGE) == expected(LARGE)
    assert store.count()["GET", 206] == 3
    assert remote.told == []
    lengths = [stat.length_bytes for stat in server.objects.iter_names(ARRIVING)]
    assert max(lengths) <= DIRECT_PACK_BYTES + 64 * 1024
    # The store is not told who asks.
    assert not any("Authorization" in headers for headers in store.headers)
    traffic = remote.traffic()
    assert traffic.sent_bytes > 20 * MIB
    assert traffic.received_bytes > 20 * MIB


async def test_little_goes_through_the_server(server, store, join):
    remote = await join()
    small = make_noise(20, 10_000)

    assert await remote.put_blocks(in_portions(small)) == 20

    assert await fetch(remote, small) == expected(small)
    assert store.requests == []
    assert (relayed(server), arrived(server)) == (1, 0)


async def test_what_is_made_against_other_blocks_goes_through_the_server(server, store, join):
    remote = await join()
    base = LARGE[0]
    await remote.put_blocks(in_portions([base]))
    changed = [base[:1_000] + bytes([n]) + base[1_001:] for n in range(8)]
    deltas = [encode_delta(block_id(new), new, block_id(base), base) for new in changed]
    assert all(delta.base for delta in deltas)

    mixed = as_bundle([*deltas[:4], *frames_of(LARGE[1:9]), *deltas[4:]])
    assert await remote.put_blocks(mixed) == 16

    assert store.count() == {("PUT", 200): 1}
    assert await remote.ask(ids_of([*changed, *LARGE[:9]])) == []
    assert await fetch(remote, changed) == expected(changed)


async def test_a_device_that_is_to_relay_relays(server, store, join):
    remote = await join(is_direct=False)

    await remote.put_blocks(in_portions(LARGE))

    assert await fetch(remote, LARGE) == expected(LARGE)
    assert store.requests == []


async def test_a_server_that_does_not_offer_it_is_not_asked(store, server, join, monkeypatch):
    monkeypatch.setattr(server.service.direct, "_store", None)
    remote = await join()
    before = remote.traffic().requests_count

    await remote.put_blocks(in_portions(LARGE))

    assert store.requests == []
    assert remote.traffic().requests_count == before + 1


async def test_a_server_that_stops_offering_it_is_obeyed(store, server, join, monkeypatch):
    remote = await join()
    monkeypatch.setattr(server.service.direct, "_store", None)

    await remote.put_blocks(in_portions(LARGE))

    assert store.requests == []
    assert await remote.ask(ids_of(LARGE)) == []
    assert await fetch(remote, LARGE) == expected(LARGE)


@pytest.mark.parametrize("fault", [500, 503, 429])
async def test_a_busy_store_is_tried_again_with_growing_waits(server, store, join, waits, fault):
    remote = await join()
    store.faults = [fault] * 3

    await remote.put_blocks(in_portions(LARGE[:8]))

    assert waits == [0.3, 0.9, 2.7]
    assert arrived(server) == 1
    assert relayed(server) == 0
    assert store.count()["PUT", 200] == 1
    store.faults = [fault] * 2
    assert await fetch(remote, LARGE[:8]) == expected(LARGE[:8])
    assert store.count()["GET", 206] == 1


async def test_connections_that_break_are_made_anew(server, store, join, waits):
    remote = await join()
    store.faults = ["cut"] * 3
    await remote.put_blocks(in_portions(LARGE[:8]))
    assert store.count() == {("PUT", 0): 3, ("PUT", 200): 1}
    assert waits[0] == 0.3

    store.faults = ["cut"] * 3
    assert await fetch(remote, LARGE[:8]) == expected(LARGE[:8])
    assert relayed(server) == 0
    assert remote.told == []


async def test_a_put_whose_answer_was_lost_is_not_done_twice(server, store, join, waits):
    remote = await join()
    store.faults = ["late"]

    await remote.put_blocks(in_portions(LARGE[:8]))

    assert store.requests == [("PUT", 200), ("PUT", 412)]
    assert in_state(server, ArrivalState.UNVERIFIED) == 1
    assert await fetch(remote, LARGE[:8]) == expected(LARGE[:8])


@pytest.mark.parametrize("status", [400, 403])
async def test_an_expired_ticket_is_renewed(server, store, join, waits, status):
    remote = await join()
    store.faults = [status]
    await remote.put_blocks(in_portions(LARGE[:8]))

    assert store.requests == [("PUT", status), ("PUT", 200)]
    assert in_state(server, ArrivalState.PROMISED) == 0
    store.faults = [status]
    assert await fetch(remote, LARGE[:8]) == expected(LARGE[:8])
    assert store.requests[2:] == [("GET", status), ("GET", 206)]
    assert remote.told == []


@pytest.mark.parametrize("fault", [403, 503, "cut"])
async def test_only_the_part_that_failed_is_put_again(server, store, join, waits, fault):
    remote = await join()
    store.faults = ["", fault]

    await remote.put_blocks(in_portions(LARGE[:30]))

    assert store.count()["PUT", 200] == 2
    assert len(store.requests) == 3
    assert (relayed(server), arrived(server)) == (0, 1)
    assert await fetch(remote, LARGE[:30]) == expected(LARGE[:30])


async def test_clocks_that_differ_for_good_end_in_relay_told_once(server, store, join, waits):
    store.void_before_s = server.clock.now_ns() // 10**9 + 10 * TICKET_S
    remote = await join()

    await remote.put_blocks(in_portions(LARGE))

    assert await remote.ask(ids_of(LARGE)) == []
    assert arrived(server) == 0
    assert relayed(server) >= 2
    assert len(remote.told) == 1
    assert "refuses" in remote.told[0] or "not accept" in remote.told[0]
    tries = len(store.requests)
    # Not tried again for a while.
    assert await fetch(remote, LARGE) == expected(LARGE)
    await remote.put_blocks(in_portions(make_noise(4, MIB, seed=11)))
    assert len(store.requests) == tries


async def test_a_store_out_of_reach_is_no_error(server, store, join, waits):
    remote = await join()
    server.signing.url = "http://127.0.0.1:9/"

    assert await remote.put_blocks(in_portions(LARGE)) == len(LARGE)

    assert await remote.ask(ids_of(LARGE)) == []
    assert len(remote.told) == 1
    assert "cannot be reached" in remote.told[0]
    assert await fetch(remote, LARGE) == expected(LARGE)
    # What was promised is given up by the server in time.
    assert in_state(server, ArrivalState.PROMISED) <= direct.PACKS_AT_ONCE


async def test_a_range_that_lies_is_fetched_from_the_server(server, store, join):
    remote = await join()
    await remote.put_blocks(in_portions(LARGE[:8]))
    store.faults = ["other"]

    assert await fetch(remote, LARGE[:8]) == expected(LARGE[:8])

    assert store.requests[1:] == [("GET", 206)]


async def test_a_range_that_is_cut_off_is_read_again(server, store, join, waits):
    remote = await join()
    await remote.put_blocks(in_portions(LARGE[:8]))
    store.faults = ["short", "cut"]

    assert await fetch(remote, LARGE[:8]) == expected(LARGE[:8])

    assert store.count()["GET", 206] == 2


async def test_an_object_that_moved_meanwhile_is_found_again(server, store, join):
    remote = await join()
    await remote.put_blocks(in_portions(LARGE[:8]))
    store.faults = [404]

    assert await fetch(remote, LARGE[:8]) == expected(LARGE[:8])

    assert store.requests[1:] == [("GET", 404), ("GET", 206)]
    assert remote.told == []


async def test_what_was_acknowledged_is_not_sent_twice(server, store, join, monkeypatch):
    remote = await join()
    await remote.put_blocks(in_portions(LARGE[:16]))
    store.requests.clear()

    missing = set(await remote.ask(ids_of(LARGE)))
    rest = [block for block in LARGE if block_id(block) in missing]
    await remote.put_blocks(in_portions(rest))

    assert len(rest) == 24
    stored = sum(stat.length_bytes for stat in server.objects.iter_names(ARRIVING))
    assert stored < 21 * MIB


async def test_a_server_that_goes_away_meanwhile_is_told(server, store, join, monkeypatch):
    remote = await join()

    async def away(*_):
        raise Unavailable("the database is away", retry_after_s=30)

    monkeypatch.setattr(server.service.direct, "settle", away)
    with pytest.raises(Unavailable):
        await remote.put_blocks(in_portions(LARGE))

    assert len(await remote.ask(ids_of(LARGE))) == len(LARGE)
    monkeypatch.undo()
    store.requests.clear()
    # The packs that stand there already are only told of.
    await remote.put_blocks(in_portions(LARGE))
    assert store.count()["PUT", 200] + relayed(server) < 3
    assert await fetch(remote, LARGE) == expected(LARGE)


async def test_too_many_under_way_go_through_the_server(server, store, join, monkeypatch):
    monkeypatch.setattr("drystone.server.service.blocks.direct.ARRIVALS_PROMISED_MAX", 0)
    remote = await join()

    assert await remote.put_blocks(in_portions(LARGE)) == len(LARGE)

    assert store.requests == []
    assert await remote.ask(ids_of(LARGE)) == []


async def test_trouble_of_the_device_itself_is_told_as_it_is(server, store, join):
    remote = await join()

    class Own(Exception): ...

    with pytest.raises(Own):
        await remote.put_blocks(as_bundle(frames_of(LARGE[:20]), error=Own()))
    # Nothing is left running.
    await asyncio.sleep(0)
    assert remote._direct._turns._value == direct.PACKS_AT_ONCE


async def test_tickets_without_tls_are_not_used_with_a_server_with_tls(store):
    session = stores.StoreSession(needs_tls=True, chance=lambda: 0.5, connections_max=1)
    ticket = stores.Ticket("PUT", "http://127.0.0.1:9/x", 0)
    try:
        with pytest.raises(stores.StoreAway, match="TLS"):
            await session.put(ticket, b"secret")
    finally:
        await session.close()
    assert store.requests == []


async def test_a_store_behind_a_wall_that_drops_all_is_given_up_soon(waits, monkeypatch):
    """Nobody says no there: what takes its time is that no connection comes about."""
    monkeypatch.setattr(stores, "_CONNECT_S_MAX", 0.05)
    session = stores.StoreSession(needs_tls=False, chance=lambda: 0.5, connections_max=1)
    with socket.socket() as wall, ExitStack() as stack:
        wall.bind(("127.0.0.1", 0))
        wall.listen(0)
        # Nobody takes these, so that nobody else comes through.
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(wall.getsockname())
        ticket = stores.Ticket("PUT", f"http://127.0.0.1:{wall.getsockname()[1]}/x", 0)
        with pytest.raises(stores.StoreAway, match="cannot be reached"):
            await session.put(ticket, b"body")
        await session.close()
    assert len(waits) == stores.UNREACHED_ATTEMPTS_MAX - 1


async def test_what_waits_for_others_on_a_slow_link_is_not_taken_for_trouble(waits, monkeypatch):
    monkeypatch.setattr(stores, "_CONNECT_S_MAX", 0.1)
    requests = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        await request.read()
        await asyncio.sleep(0.15)
        return web.Response()

    app = web.Application()
    app.router.add_put("/x", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    session = stores.StoreSession(needs_tls=False, chance=lambda: 0.5, connections_max=1)
    ticket = stores.Ticket("PUT", f"http://127.0.0.1:{port}/x", 0)
    await asyncio.gather(*(session.put(ticket, b"body") for _ in range(3)))
    await session.close()
    await runner.cleanup()

    assert requests == 3
    assert waits == []
