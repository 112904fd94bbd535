# SPDX-License-Identifier: Apache-2.0
"""Listings that are kept in a real Valkey, over a real PostgreSQL: never wrong, nor in the way."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, revoke_device, sign_in
from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, Rev, Seq
from drystone.core.journal.change import Commit, Create
from drystone.core.tree.entry import Entry, Kind
from drystone.server.bootstrap import open_admin
from drystone.server.service.actor import Actor
from drystone.server.service.identity.admin import Admin
from drystone.server.service.identity.passwords import Passwords
from drystone.server.service.service import Engines, Service, make_service
from drystone.server.settings import ServerSettings
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.clock_system import SystemClock
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.server.storage.metadata_sql.postgres.session import PostgresSession
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.storage.valkey import ValkeyCache, parse_address
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from drystone.testing.service import file_id

pytestmark = pytest.mark.asyncio

PASSWORD = "correct horse"
PASSWORDS = Passwords(memory_kib=1024, rounds=1)
PATIENT_S = 60.0
ERA_NUMBERS = count(1)


@pytest.fixture
def valkey_own(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "valkey", password="secret-of-valkey") as server:
        yield server


class Worker:
    """A service on a PostgreSQL, with a cache in a Valkey."""

    def __init__(self, url: str, cache: ValkeyCache | None) -> None:
        self.cache = cache
        self.metadata = PostgresMetadata(url)
        packs = ObjectPacks(MemoryObjects())
        clock = SystemClock()
        engines = Engines(self.metadata, packs, LocalBell(), clock, PASSWORDS, cache=cache)
        self.service: Service = make_service(
            engines, b"k" * 32, make_era_id=lambda: next(ERA_NUMBERS).to_bytes(8)
        )
        self.admin = Admin(self.metadata, clock, PASSWORDS)

    async def sign_in(self) -> Actor:
        signed_in = await self.service.accounts.sign_in("anna", PASSWORD, "laptop", "127.0.0.1")
        return signed_in.actor

    async def add(self, actor: Actor, number: int, name: str) -> None:
        entry = Entry(file_id(number), ROOT_ID, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0))
        head = await self.service.writer.read(lambda unit: unit.tree.head(actor.root_namespace_id))
        commit = Commit((Create(entry),), Seq(head))
        await self.service.commits.commit(actor, actor.root_namespace_id, commit, "", "")

    async def list_root(self, actor: Actor) -> list[str]:
        page = await self.service.namespaces.list_folder(
            actor, actor.root_namespace_id, ROOT_ID, ""
        )
        return [stored.entry.name for stored in page.entries]

    def close(self) -> None:
        self.service.close()
        self.metadata.close()
        if self.cache is not None:
            self.cache.close()


@contextmanager
def counted_statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yields the statements that PostgreSQL is asked inside the context."""
    asked: list[str] = []
    execute = PostgresSession.execute

    def noted(session, statement, values=(), /):
        asked.append(statement)
        return execute(session, statement, values)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresSession, "execute", noted)
        yield asked


def make_cache(valkey: ValkeyServer, wait_s: float = PATIENT_S) -> ValkeyCache:
    return ValkeyCache(parse_address(valkey.url()), wait_s=wait_s)


async def test_what_is_kept_is_read_with_two_lookups_by_every_worker(
    postgres_url, valkey_own, monkeypatch
) -> None:
    one, two = (Worker(postgres_url, make_cache(valkey_own)) for _ in range(2))
    one.admin.add_account("anna", PASSWORD)
    anna = await one.sign_in()
    await one.add(anna, 1, "a")
    assert await one.list_root(anna) == ["a"]

    with counted_statements(monkeypatch) as asked:
        assert await two.list_root(anna) == ["a"]
    lookups = [statement for statement in asked if "SELECT" in statement]
    assert len(lookups) == 2, lookups
    await one.add(anna, 2, "b")
    assert await two.list_root(anna) == ["a", "b"]
    for worker in (one, two):
        await asyncio.to_thread(worker.close)


async def test_a_database_that_was_put_back_finds_nothing_of_what_it_lost(
    postgres, valkey_own
) -> None:
    url = postgres.make_database()
    worker = Worker(url, make_cache(valkey_own))
    worker.admin.add_account("anna", PASSWORD)
    anna = await worker.sign_in()
    await worker.add(anna, 1, "both")
    await asyncio.to_thread(worker.close)
    copied = postgres.make_database()
    name, source = (one.rpartition("/")[2].partition("?")[0] for one in (copied, url))
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}"')  # type: ignore[arg-type]
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')  # type: ignore[arg-type]

    told = []
    for place, mine in ((url, "lost"), (copied, "other")):
        worker = Worker(place, make_cache(valkey_own))
        await worker.add(anna, 2, mine)
        told += [await worker.list_root(anna) for _ in range(2)]
        await asyncio.to_thread(worker.close)

    assert told == [["both", "lost"]] * 2 + [["both", "other"]] * 2
    postgres.drop_database(url)
    postgres.drop_database(copied)


@pytest.mark.parametrize("fate", ["kill", "pause"])
async def test_a_valkey_that_dies_or_stands_still_under_load_costs_a_few_short_waits(
    postgres_url, valkey_own, fate
) -> None:
    worker = Worker(postgres_url, make_cache(valkey_own, wait_s=0.5))
    assert worker.cache is not None
    worker.admin.add_account("anna", PASSWORD)
    anna = await worker.sign_in()
    names: list[str] = []
    listings = 0

    async def list_on() -> None:
        nonlocal listings
        while len(names) < 20:
            before = list(names)
            found = await worker.list_root(anna)
            listings += 1
            # All that was acknowledged before it was asked; and nothing else but what came since.
            assert found[: len(before)] == before

    async def commit_on() -> None:
        for number in range(20):
            if number == 7:
                worker.cache.failures = 0
                getattr(valkey_own, fate)()
            name = f"{number:02}"
            await worker.add(anna, number + 1, name)
            names.append(name)
            failures = worker.cache.failures
            assert name in await worker.list_root(anna)
            assert worker.cache.failures <= failures + 8

    await asyncio.gather(commit_on(), *(list_on() for _ in range(4)))
    # As many as there are threads that had begun to wait, and one for each rest since then.
    assert 1 <= worker.cache.failures <= 12
    assert listings > 4
    if fate == "pause":
        valkey_own.resume()
    await asyncio.to_thread(worker.close)


async def test_who_was_signed_out_or_disabled_is_refused_though_all_is_kept(
    tmp_path, postgres_url, valkey_own
) -> None:
    environment = {
        **CHEAP_PASSWORDS,
        "DRYSTONE_SERVER_DATABASE": postgres_url,
        "DRYSTONE_SERVER_CACHE": valkey_own.url(),
    }
    settings = ServerSettings(data_dir=tmp_path / "server", database=postgres_url)
    with ServerProcess(tmp_path / "server", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        session = HttpSession(server.url)
        signed_in = [await sign_in(session, "anna", PASSWORD, name) for name in ("one", "two")]
        await session.close()
        sessions = [HttpSession(server.url, one.token) for one in signed_in]
        remotes = [
            HttpRemote(mine, one.namespace_id)
            for mine, one in zip(sessions, signed_in, strict=True)
        ]
        entry = Entry(file_id(1), ROOT_ID, "a", Kind.FOLDER, None, 0o755, 0, "", Rev(0))
        await remotes[0].commit([Create(entry)], Seq(0), "key")
        for remote in remotes * 2:
            assert [stored.entry.name for stored in await remote.list_folder(ROOT_ID)] == ["a"]

        await revoke_device(sessions[0], signed_in[1].device_id)
        with pytest.raises(Refused) as caught:
            await remotes[1].list_folder(ROOT_ID)
        assert caught.value.code == "device-revoked"
        assert len(await remotes[0].list_folder(ROOT_ID)) == 1
        with open_admin(settings) as admin:
            admin.disable("anna")
        with pytest.raises(Refused):
            await remotes[0].list_folder(ROOT_ID)
        for remote in remotes:
            await remote.close()
        assert server.stop() == 0
        assert "secret-of-valkey" not in server.read_log()
