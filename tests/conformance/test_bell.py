# SPDX-License-Identifier: Apache-2.0
"""Every engine of ``Bell`` passes the suite of its port."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from drystone.core.ids import NamespaceId
from drystone.server.bootstrap.channel import Channel, make_pair
from drystone.server.ports.bell import Bell
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.bell_relayed import RelayedBell
from drystone.testing.conformance.bell import BellSuite


class TestLocalBell(BellSuite):
    @pytest.fixture
    def bell(self) -> Bell:
        return LocalBell()

    @pytest.mark.asyncio
    async def test_nothing_stays_behind_when_nobody_listens(self, bell: LocalBell) -> None:
        async with bell.listen([NAMESPACE]):
            assert bell.count_listeners() == 1

        assert bell.count_listeners() == 0


NAMESPACE = b"n" * 16


class TestRelayedBell(BellSuite):
    """One worker's, alone."""

    @pytest.fixture
    def bell(self) -> Bell:
        return RelayedBell(LocalBell())


OTHER_WORKER = """
import asyncio, socket, sys
from drystone.server.bootstrap.channel import Channel
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.bell_relayed import RelayedBell

async def work():
    bell = RelayedBell(LocalBell())
    channel = Channel(socket.socket(fileno=int(sys.argv[1])), on_ring=bell.hear)
    bell.relay = channel.ring
    for line in sys.stdin:
        name, head = line.split()
        bell.ring(bytes.fromhex(name), int(head))
        print("rung", flush=True)

asyncio.run(work())
"""


class RungElsewhere(RelayedBell):
    """Listens here, and rings in another process."""

    def __init__(self, other: "subprocess.Popen[str]") -> None:
        super().__init__(LocalBell())
        self._other = other

    def ring(self, namespace_id: NamespaceId, head: int) -> None:
        assert self._other.stdin is not None
        assert self._other.stdout is not None
        self._other.stdin.write(f"{namespace_id.hex()} {head}\n")
        self._other.stdin.flush()
        assert self._other.stdout.readline() == "rung\n"


@pytest.fixture(scope="module")
def other() -> Iterator[tuple["subprocess.Popen[str]", socket.socket]]:
    ours, theirs = make_pair()
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_WORKER, str(theirs.fileno())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(theirs.fileno(),),
    )
    theirs.close()
    yield process, ours
    process.communicate(timeout=120)
    ours.close()


class TestBellOfAnotherWorker(BellSuite):
    """What one process rings, another one hears."""

    @pytest_asyncio.fixture
    async def bell(
        self, other: tuple["subprocess.Popen[str]", socket.socket]
    ) -> AsyncIterator[Bell]:
        process, end = other
        bell = RungElsewhere(process)
        channel = Channel(end.dup(), on_ring=bell.hear)
        yield bell
        channel.close()
