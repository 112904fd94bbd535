# SPDX-License-Identifier: Apache-2.0
"""Two servers on one PostgreSQL and one Valkey, which is killed under load."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in
from drystone.core.ids import ROOT_ID, FileId, Rev, Seq
from drystone.core.journal.change import Create
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess

pytestmark = pytest.mark.asyncio

PASSWORD = "correct horse"
LISTENERS = 6
COMMITS = 30


@pytest.fixture
def valkey_own(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "valkey", password="secret-of-valkey") as server:
        yield server


@pytest.fixture
def servers(tmp_path: Path, postgres_url: str, valkey_own) -> Iterator[list[ServerProcess]]:
    environment = {
        **CHEAP_PASSWORDS,
        "DRYSTONE_SERVER_DATABASE": postgres_url,
        "DRYSTONE_SERVER_BELL": valkey_own.url(),
    }
    pair = [ServerProcess(tmp_path / name, environment=environment) for name in ("one", "two")]
    for server in pair:
        server.start()
    yield pair
    for server in pair:
        server.kill()


async def test_valkey_killed_under_load_costs_no_request_and_no_head(servers, valkey_own) -> None:
    one, two = servers
    one.add_account("anna", PASSWORD)
    remotes = [await join(two.url, f"listener {n}") for n in range(LISTENERS)]
    committer = await join(one.url, "committer")
    heads = [0] * LISTENERS
    listening = [asyncio.create_task(listen(r, heads, n)) for n, r in enumerate(remotes)]
    try:
        for number in range(COMMITS):
            if number == COMMITS // 3:
                valkey_own.kill()
            if number == 2 * COMMITS // 3:
                valkey_own.start()
            # A request that fails would raise.
            await committer.commit([make_folder(number)], Seq(number), f"key {number}")
        async with asyncio.timeout(60):
            while min(heads) < COMMITS:
                assert not any(task.done() for task in listening)
                await asyncio.sleep(0.02)
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        for remote in (*remotes, committer):
            await remote.close()
    for server in servers:
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        told = server.read_log()
        assert "bell.line-lost" in told
        assert "secret-of-valkey" not in told


def make_folder(number: int) -> Create:
    name = f"folder {number}"
    file_id = FileId((number + 1).to_bytes(16, "big"))
    return Create(Entry(file_id, ROOT_ID, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0)))


async def join(url: str, device: str) -> HttpRemote:
    session = HttpSession(url)
    try:
        signed_in = await sign_in(session, "anna", PASSWORD, device)
    finally:
        await session.close()
    return HttpRemote(HttpSession(url, signed_in.token), signed_in.namespace_id)


async def listen(remote: HttpRemote, heads: list[int], number: int) -> None:
    async for head in remote.listen():
        heads[number] = max(heads[number], head)
