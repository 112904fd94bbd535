# SPDX-License-Identifier: Apache-2.0
"""Every implementation of ``Remote`` passes the suite of its port: the fake, and HTTP."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in
from drystone.client.ports import Remote
from drystone.core.ids import NamespaceId
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.conformance.remote import Aim, Join, RemoteBlocksSuite, RemoteTreeSuite
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.fakes.remote import FakeRemote
from drystone.testing.loopback import listening
from drystone.testing.service import PASSWORD, MemoryServer

pytestmark = pytest.mark.asyncio


class WithServer:
    @pytest.fixture
    def objects(self) -> FaultyObjects:
        return FaultyObjects(MemoryObjects())

    @pytest.fixture
    def server(self, objects: FaultyObjects) -> Iterator[MemoryServer]:
        server = MemoryServer(objects)
        yield server
        server.close()


class Fake(WithServer):
    @pytest.fixture
    def join(self, server: MemoryServer) -> Join:
        async def join(account: str) -> Remote:
            return FakeRemote(server.service, await server.sign_in(account))

        return join

    @pytest.fixture
    def aim(self) -> Aim:
        def aim(remote: Remote, namespace_id: NamespaceId) -> Remote:
            remote.namespace_id = namespace_id
            return remote

        return aim


class Http(WithServer):
    @pytest_asyncio.fixture
    async def join(self, server: MemoryServer) -> AsyncIterator[Join]:
        opened: list[Remote] = []
        for account in ("anna", "bert"):
            server.admin.add_account(account, PASSWORD)
        async with listening(server.service) as url:

            async def join(account: str) -> Remote:
                plain = HttpSession(url)
                device = await sign_in(plain, account, PASSWORD, "laptop")
                await plain.close()
                opened.append(HttpRemote(HttpSession(url, device.token), device.namespace_id))
                return opened[-1]

            yield join
            for remote in opened:
                await remote.close()

    @pytest.fixture
    def aim(self) -> Aim:
        return lambda remote, namespace_id: HttpRemote(remote.session, namespace_id)


class TestBlocksOfFake(Fake, RemoteBlocksSuite): ...


class TestBlocksOfHttp(Http, RemoteBlocksSuite): ...


class TestTreeOfFake(Fake, RemoteTreeSuite): ...


class TestTreeOfHttp(Http, RemoteTreeSuite): ...
