# SPDX-License-Identifier: Apache-2.0
"""Several workers are one server: whoever asks which of them, and whatever becomes of them."""

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in
from drystone.core.errors import DrystoneError, Refused, Unavailable
from drystone.core.ids import ROOT_ID, FileId, Rev, Seq, format_id
from drystone.core.journal.change import Accepted, Create
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.real_devices import RealDevice, look_at
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess

# A server with workers is three programs to start; on a busy machine that takes its time.
PASSWORD = "correct horse"
TWO = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_WORKERS": "2"}
PATIENCE_S = 120.0
numbers = count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request, tmp_path_factory, postgres):
    """Two workers; one server for all tests that leave it whole."""
    environment = dict(TWO)
    if request.param == "postgresql":
        environment["DRYSTONE_SERVER_DATABASE"] = postgres.make_schema()
    data_dir = tmp_path_factory.mktemp("workers") / "data"
    with ServerProcess(data_dir, environment=environment) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture
def account(server) -> Iterator[str]:
    """A new account, of this test alone; two workers run again when the next one begins."""
    yield from lend(server)


def lend(server: ServerProcess) -> Iterator[str]:
    name = f"user{next(numbers)}"
    server.add_account(name, PASSWORD)
    yield name
    deadline = time.monotonic() + PATIENCE_S
    while not is_settled(server):
        assert time.monotonic() < deadline, "the workers do not come to rest"
        time.sleep(0.05)


def is_settled(server: ServerProcess) -> bool:
    said = server.read_log()
    rolls = said.count("workers.rolling")
    is_rolled = rolls == said.count("workers.replaced") + said.count("workers.not-replaced")
    return is_rolled and len(server.find_workers()) == 2


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """One for all tests that may stop it, and then start it again."""
    with ServerProcess(tmp_path_factory.mktemp("own") / "data", environment=TWO) as server:
        yield server


@pytest.fixture
def owner(embedded) -> Iterator[str]:
    """A new account on that server."""
    yield from lend(embedded)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        await asyncio.sleep(0.02)


class Device(HttpRemote):
    """A remote that knows whose it is."""

    token: str
    device: str


@asynccontextmanager
async def device(url: str, name: str = "laptop", account: str = "anna") -> AsyncIterator[Device]:
    """A new device of anna, with connections of its own."""
    async with joining(url) as session:
        signed_in = await sign_in(session, account, PASSWORD, name)
    async with joining(url, signed_in.token) as session:
        remote = Device(session, signed_in.namespace_id)
        remote.token, remote.device = signed_in.token, format_id(signed_in.device_id)
        yield remote


@asynccontextmanager
async def joining(url: str, token: str | None = None) -> AsyncIterator[HttpSession]:
    session = HttpSession(url, token) if token else HttpSession(url)
    try:
        yield session
    finally:
        await session.close()


def folder(number: int) -> Create:
    file_id = FileId(number.to_bytes(16, "big"))
    return Create(Entry(file_id, ROOT_ID, f"f{number}", Kind.FOLDER, None, 0o755, 0, "", Rev(0)))


async def commit(remote: HttpRemote, number: int) -> Seq:
    """Commits a folder, again and again until it is acknowledged; returns its seq."""
    while True:
        try:
            result = await remote.commit([folder(number)], Seq(10**9), f"key {number}")
        except Unavailable:
            continue
        [outcome] = result.outcomes
        assert isinstance(outcome, Accepted)
        return outcome.seq


async def read_since(remote: HttpRemote, cursor: str) -> tuple[dict[FileId, Seq], str]:
    """Returns what is new since a cursor, and the cursor after it."""
    found: dict[FileId, Seq] = {}
    while True:
        page = await remote.read_changes(cursor, None)
        assert not page.reset
        found |= {stored.file_id: stored.seq for stored in page.entries}
        cursor = page.cursor
        if not page.has_more:
            return found, cursor


async def follow(remote: HttpRemote, seen: dict[FileId, Seq], count: int) -> None:
    """Does as a device does: reads whenever the bell rings."""
    cursor = ""
    async for _ in remote.listen():
        while True:
            with suppress(Unavailable):
                found, cursor = await read_since(remote, cursor)
                break
        seen |= found
        if len(seen) == count:
            return


def count_eras(server: ServerProcess, url: str | None = None) -> int:
    query = "SELECT count(DISTINCT era_id) FROM era"
    if url is not None:
        with psycopg.connect(url) as connection:
            return int(connection.execute(query).fetchone()[0])  # type: ignore[index]
    with closing(sqlite3.connect(server.data_dir / "metadata.db")) as connection:
        return int(connection.execute(query).fetchone()[0])


def count_sockets(pid: int) -> int:
    fds = Path(f"/proc/{pid}/fd")
    return sum(os.readlink(fd).startswith("socket:") for fd in fds.iterdir())


# --- together -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_devices_on_any_worker_hear_what_is_committed_on_any_other(server, account):
    workers = server.find_workers()
    assert len(workers) == 2
    async with device(server.url, account=account) as first, asyncio.TaskGroup() as group:
        token = first.token
        sessions = []
        heard: list[set[int]] = []
        tasks = []
        for way in (hear_bell, hear_poll):
            idle = {pid: count_sockets(pid) for pid in workers}
            # Until each worker has some of them.
            while not all(count_sockets(pid) >= idle[pid] + 2 for pid in idle):
                assert len(sessions) < 200
                sessions.append(HttpSession(server.url, token))
                heard.append(set())
                remote = HttpRemote(sessions[-1], first.namespace_id)
                tasks.append(group.create_task(way(remote, heard[-1])))
                await until(lambda: 0 in heard[-1])
                # Only so many bells of one device stay open.
                if len(sessions) % 3 == 0:
                    token = await new_token(server.url, account)
        last = len(heard)
        for number in range(1, 6):
            await commit(HttpRemote(sessions[number % last], first.namespace_id), number)
        await until(lambda: all(max(heads) == 5 for heads in heard))
        for task in tasks:
            task.cancel()
    for session in sessions:
        await session.close()


async def hear_bell(remote: HttpRemote, heads: set[int]) -> None:
    async for head in remote.listen():
        heads.add(head)


async def hear_poll(remote: HttpRemote, heads: set[int]) -> None:
    """As devices do behind a proxy that lets no WebSocket through."""
    cursor = ""
    while True:
        found, cursor = await read_since(remote, cursor)
        heads |= {0, *found.values()}
        query = {"namespace": format_id(remote.namespace_id), "cursor": cursor}
        async with remote.session.request("GET", "/v1/changes/wait", query=query) as answer:
            await answer.read()


async def new_token(url: str, account: str) -> str:
    async with joining(url) as session:
        return (await sign_in(session, account, PASSWORD, "another")).token


@pytest.mark.asyncio
async def test_nothing_acknowledged_is_lost_and_nobody_misses_anything_whatever_workers_do(
    server, account
):
    per_device, devices_count = 25, 4
    total = per_device * devices_count
    acknowledged: dict[FileId, Seq] = {}
    seen: dict[FileId, Seq] = {}

    async def work(name: str, first: int) -> None:
        async with device(server.url, name, account) as remote:
            for number in range(first, first + per_device):
                seq = await commit(remote, number)
                acknowledged[FileId(number.to_bytes(16, "big"))] = seq
                await asyncio.sleep(0.05)

    async def disturb(until_count: int, deed: Callable[[list[int]], None]) -> None:
        await until(lambda: len(acknowledged) >= until_count)
        await until(lambda: len(server.find_workers()) >= 2)
        deed(server.find_workers())

    async with device(server.url, "follower", account) as follower, asyncio.TaskGroup() as group:
        group.create_task(follow(follower, seen, total))
        for place in range(devices_count):
            group.create_task(work(f"device {place}", 1 + place * per_device))
        await disturb(10, lambda pids: os.kill(pids[0], signal.SIGKILL))
        await disturb(30, lambda pids: os.kill(pids[-1], signal.SIGKILL))
        await disturb(45, lambda _: server.signal(signal.SIGHUP))
        await disturb(70, lambda pids: [os.kill(pid, signal.SIGKILL) for pid in pids])

    async with device(server.url, "late", account) as late:
        found, _ = await read_since(late, "")
    assert len(acknowledged) == total
    assert found == acknowledged == seen
    assert sorted(found.values()) == list(range(1, total + 1))
    environment = server._environment
    assert count_eras(server, environment.get("DRYSTONE_SERVER_DATABASE")) == 1


@pytest.mark.asyncio
async def test_a_device_that_was_revoked_is_refused_by_every_worker_from_then_on(server, account):
    async with (
        device(server.url, "owner", account) as owner,
        device(server.url, "lost", account) as lost,
    ):
        token = lost.token
        sessions = [HttpSession(server.url, token) for _ in range(20)]
        # Each worker knows the token by now.
        for session in sessions:
            assert await HttpRemote(session, lost.namespace_id).find_head() == 0
        await owner.session.delete(f"/v1/devices/{lost.device}")
        refusals = await asyncio.gather(
            *(HttpRemote(session, lost.namespace_id).find_head() for session in sessions),
            return_exceptions=True,
        )
        for session in sessions:
            await session.close()

    assert all(isinstance(r, Refused) and r.code == "device-revoked" for r in refusals)


def test_real_devices_agree_though_workers_are_replaced_while_they_sync(server, account, tmp_path):
    one, two = (RealDevice(tmp_path / n, server.url, account, n) for n in ("one", "two"))
    for who in (one, two):
        who.folder.mkdir(parents=True)
        who.log_in()
    for number in range(200):
        one.write(f"docs/{number % 10}/{number}.txt", f"{number}\n".encode() * number)
    one.write("large", os.urandom(12 << 20))

    def kill_one(phase: str) -> None:
        os.kill(server.find_workers()[0], signal.SIGKILL)

    try:
        one.sync(on_phase=kill_one)
    except DrystoneError:
        one.sync()
    server.signal(signal.SIGHUP)
    two.sync()
    two.write("docs/1/1.txt", b"changed")
    two.sync()
    one.sync()

    assert look_at(one.folder) == look_at(two.folder)
    assert one.read("docs/1/1.txt") == b"changed"


# --- the supervisor -----------------------------------------------------------------------------


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.asyncio
async def test_asked_to_stop_all_workers_end_and_the_next_start_goes_on(embedded, owner):
    async with device(embedded.url, account=owner) as remote:
        await commit(remote, 1)
    pids, eras = embedded.find_workers(), count_eras(embedded)
    stops = embedded.read_log().count("server.stopping")
    words = {"account": owner, "password": PASSWORD, "device_name": "late"}
    body = json.dumps(words).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", embedded.port)
    head = f"POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    embedded.signal()
    await until(lambda: embedded.read_log().count("server.stopping") == stops + 2)
    for pid in pids:  # Service managers and people tell all processes; it is one wish still.
        os.kill(pid, signal.SIGTERM)
    await asyncio.sleep(0.2)
    writer.write(body)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 201")
    assert await asyncio.to_thread(embedded.wait) == 0
    assert not any(map(is_alive, pids))
    embedded.start()
    async with device(embedded.url, account=owner) as remote:
        assert await commit(remote, 2) == 2
    assert count_eras(embedded) == eras + 1


@pytest.mark.asyncio
async def test_workers_whose_supervisor_is_killed_end_by_themselves(embedded, owner):
    pids = embedded.find_workers()
    embedded.kill()
    await until(lambda: not any(map(is_alive, pids)))
    embedded.start()

    assert len(embedded.find_workers()) == 2


@pytest.mark.asyncio
async def test_settings_that_do_not_fit_leave_the_workers_that_run_in_place(embedded, owner):
    before = embedded.find_workers()
    settings = embedded.data_dir / "drystone.toml"
    settings.write_text("no_such_setting = 1\n")
    embedded.signal(signal.SIGHUP)
    await until(lambda: "workers.not-replaced" in embedded.read_log())
    assert embedded.find_workers() == before
    assert "no_such_setting" in embedded.read_log()

    settings.unlink()
    embedded.signal(signal.SIGHUP)
    await until(lambda: "workers.replaced" in embedded.read_log())
    async with device(embedded.url, account=owner) as remote:
        assert await commit(remote, 1) == 1
    assert not set(embedded.find_workers()) & set(before)


def test_a_second_supervisor_on_the_data_directory_is_refused(embedded, owner):
    other = ServerProcess(embedded.data_dir, environment=TWO)
    with pytest.raises(AssertionError, match="another server"):
        other.start()


# --- servers beside each other ------------------------------------------------------------------


@pytest.mark.asyncio
async def test_servers_that_share_only_a_database_are_one_server(tmp_path, postgres_url):
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_DATABASE": postgres_url}
    with (
        ServerProcess(tmp_path / "one", environment=environment) as one,
        ServerProcess(tmp_path / "two", environment=environment) as two,
    ):
        one.add_account("anna", PASSWORD)
        async with device(one.url) as here, joining(two.url, here.token) as session:
            there = HttpRemote(session, here.namespace_id)
            for number in range(1, 13):
                await commit(here if number % 2 else there, number)
            _, cursor = await read_since(here, "")
            await commit(there, 13)
            found, _ = await read_since(there, cursor)
            await here.session.delete(f"/v1/devices/{here.device}")
            with pytest.raises(Refused) as caught:
                await there.find_head()

    assert list(found.values()) == [13]
    assert caught.value.code == "device-revoked"
    assert count_eras(one, postgres_url) == 1
