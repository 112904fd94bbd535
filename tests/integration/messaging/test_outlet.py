# SPDX-License-Identifier: Apache-2.0
"""Journals published to a real JetStream, which is killed, and so are those who publish."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest

from drystone.core.ids import NamespaceId
from drystone.server.ports.brokers.publishing import Message, OutletAway
from drystone.server.service.writer import Writer
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.nats import NatsStream, parse_address
from drystone.server.workers.outlet import Outlet, make_message
from drystone.server.workers.projector import ProjectorRunner
from drystone.testing.brokers.nats import NatsServer
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    OTHER,
    Journalist,
    add_accounts,
    file,
)
from drystone.testing.fakes.clock import ManualClock
from drystone.testing.strategies import make_file_id

pytestmark = pytest.mark.asyncio


class Publisher:
    """A server's metadata and whatever its outlet needs; each run is another worker."""

    def __init__(self, url: str) -> None:
        self.metadata = MemoryMetadata()
        self.clock = ManualClock()
        self.bell = LocalBell()
        self.writer = Writer(self.metadata, read_threads=1)
        self.address = parse_address(f"{url}?subject=site.one")
        self.runs = 0
        add_accounts(self.metadata)
        self.journals = {n: Journalist(self.metadata, n) for n in (NAMESPACE, OTHER)}

    def write(self, count: int, namespace_id: NamespaceId = NAMESPACE) -> None:
        journal = self.journals[namespace_id]
        first = len(journal.records) + 1
        journal.create(*(file(make_file_id(n), f"n{n}") for n in range(first, first + count)))
        self.bell.ring(namespace_id, len(journal.records))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ProjectorRunner]:
        self.runs += 1
        stream = NatsStream(self.address)
        runner = ProjectorRunner(
            Outlet("outlet", stream),
            self.writer,
            self.bell,
            self.clock,
            holder=f"run {self.runs}",
            interval_s=0.05,
            backoff_s=0.05,
        )
        task = asyncio.create_task(runner.run())
        try:
            yield runner
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await stream.close()

    def position(self, namespace_id: NamespaceId = NAMESPACE) -> int:
        return self.metadata.read(
            lambda unit: unit.projections.find_position("outlet", namespace_id)
        )

    def forget_position(self) -> None:
        """As if the worker was killed after publishing and before noting how far."""
        self.metadata.write(lambda unit: unit.projections.remove_projector("outlet"))

    def is_done(self) -> bool:
        return all(self.position(n) == len(j.records) for n, j in self.journals.items())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path, token="sesame") as server:
        yield server


@pytest.fixture
def publisher(server: NatsServer) -> Iterator[Publisher]:
    publisher = Publisher(server.url)
    yield publisher
    publisher.writer.close()


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  servers tell nobody
            await asyncio.sleep(0.01)


async def consume(server: NatsServer) -> list[tuple[str, str, dict]]:
    """Reads the whole stream: subject, id, body of each message."""
    client = await nats.connect(f"nats://127.0.0.1:{server.port}", token="sesame")
    try:
        stream = client.jetstream()
        info = await stream.stream_info("site-one")
        found = []
        for seq in range(1, info.state.last_seq + 1):
            message = await stream.get_msg("site-one", seq)
            headers = message.headers or {}
            found.append((message.subject, headers["Nats-Msg-Id"], json.loads(message.data)))
        return found
    finally:
        await client.close()


def seqs_of(messages: list[tuple[str, str, dict]], namespace_id: NamespaceId) -> list[int]:
    return [body["seq"] for _, _, body in messages if body["namespace"] == namespace_id.hex()]


async def test_each_record_is_published_in_the_order_of_its_journal(server, publisher) -> None:
    publisher.write(5)
    publisher.write(2, OTHER)
    async with publisher.running():
        publisher.write(3)
        await until(publisher.is_done)

    messages = await consume(server)
    assert seqs_of(messages, NAMESPACE) == list(range(1, 9))
    assert seqs_of(messages, OTHER) == [1, 2]
    for subject, message_id, body in messages:
        owner = NamespaceId(bytes.fromhex(body["namespace"]))
        expected = make_message(owner, publisher.journals[owner].records[body["seq"] - 1])
        assert subject == f"site.one.journal.{body['namespace']}"
        assert (message_id, body) == (expected.message_id, json.loads(expected.body))
        assert body["id"] == message_id


async def test_killed_nats_gets_everything_when_it_is_back(server, publisher) -> None:
    async with publisher.running() as runner:
        for step in range(3):
            publisher.write(40)
            await until(lambda step=step: publisher.position() > 40 * step or step == 2)
            server.kill()
            publisher.write(20, OTHER)
            await until(lambda: runner.stats().troubles)
            server.start()
        await until(publisher.is_done)

    messages = await consume(server)
    for namespace_id, journal in publisher.journals.items():
        seqs = seqs_of(messages, namespace_id)
        assert set(seqs) == set(range(1, len(journal.records) + 1))
        # What comes again begins at some earlier record and goes on from there.
        assert all(after <= before + 1 for before, after in itertools.pairwise(seqs))


async def test_killed_publisher_repeats_under_the_same_ids(server, publisher) -> None:
    publisher.write(10)
    async with publisher.running():
        await until(publisher.is_done)
    publisher.forget_position()
    publisher.write(5)
    async with publisher.running():
        await until(publisher.is_done)

    messages = await consume(server)
    ids = [message_id for _, message_id, _ in messages]
    assert seqs_of(messages, NAMESPACE) == list(range(1, 16)), "the stream knows the ids"
    assert len(set(ids)) == 15


async def test_another_record_at_the_same_seq_is_another_message(publisher) -> None:
    publisher.write(2)
    one, two = publisher.journals[NAMESPACE].records
    restored = one._replace(at_ns=one.at_ns + 1)

    ids = {make_message(NAMESPACE, record).message_id for record in (one, two, restored)}
    assert len(ids) == 3


async def test_nats_without_streams_is_told(tmp_path: Path) -> None:
    with NatsServer(tmp_path, has_streams=False) as server:
        stream = NatsStream(parse_address(server.url))
        with pytest.raises(OutletAway, match="no JetStream") as caught:
            await stream.publish([Message("topic", "id", b"{}")])
        await stream.close()
    assert "JetStream" in caught.value.advice
