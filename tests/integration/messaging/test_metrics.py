# SPDX-License-Identifier: Apache-2.0
"""Metrics of a server that has every part there is: what is told moves, and adds up.

Two workers on PostgreSQL and a store that devices go to themselves, with Valkey as bell and cache
and NATS as outlet.
"""

import asyncio
import os
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in
from drystone.core.ids import ROOT_ID, Rev, Seq
from drystone.core.journal.change import Create
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.brokers.nats import NatsServer
from drystone.testing.brokers.process import find_free_port
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.real_devices import PASSWORD, RealDevice, converge
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from drystone.testing.service import file_id
from drystone.testing.stores.s3 import S3_CREDENTIALS, StrictS3Server

pytestmark = pytest.mark.asyncio

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
PATIENCE_S = 120.0
LARGE_BYTES = 3 << 20
NEVER_THERE = {
    "drystone_backup_last_timestamp_seconds",
    "drystone_collect_missing_blocks",
    "drystone_scrub_oldest_timestamp_seconds",
    "drystone_upkeep_last_duration_seconds",
    "drystone_upkeep_last_success_timestamp_seconds",
}
"""What is told only of what has happened."""

Series = tuple[str, frozenset[tuple[str, str]]]
numbers = count(1)


class Scraped:
    """A server, and what it tells."""

    def __init__(self, server: ServerProcess, where: str) -> None:
        self.server = server
        self._url = f"http://{where}/metrics"

    def scrape(self) -> dict[Series, float]:
        with urllib.request.urlopen(self._url) as answer:
            text = answer.read().decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """Returns the sum over all workers."""
        wanted = labels.items()
        return sum(v for (n, told), v in self.scrape().items() if n == name and wanted <= told)

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "it does not come to pass"
            await asyncio.sleep(0.1)


@pytest.fixture
def scaled(
    tmp_path: Path,
    postgres_url: str,
    strict_s3: StrictS3Server,
    valkey: ValkeyServer,
    nats: NatsServer,
) -> Iterator[Scraped]:
    where = f"127.0.0.1:{find_free_port()}"
    environment = {
        **CHEAP_PASSWORDS,
        **S3_CREDENTIALS,
        "DRYSTONE_SERVER_WORKERS": "2",
        "DRYSTONE_SERVER_METRICS": where,
        "DRYSTONE_SERVER_DATABASE": postgres_url,
        "DRYSTONE_SERVER_OBJECTS": strict_s3.url(strict_s3.make_bucket(), "folder"),
        "DRYSTONE_SERVER_TRANSFER": "direct",
        "DRYSTONE_SERVER_BELL": valkey.url(1),
        "DRYSTONE_SERVER_CACHE": valkey.url(2),
        "DRYSTONE_SERVER_OUTLET": nats.url,
        "DRYSTONE_SERVER_JOURNAL_LAG_S": "1",
        "DRYSTONE_SERVER_COLLECT_EVERY_H": "0.0005",
    }
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        yield Scraped(server, where)


@asynccontextmanager
async def remotes(url: str, count: int) -> AsyncIterator[list[HttpRemote]]:
    """One device, with so many connections of its own."""
    session = HttpSession(url)
    signed_in = await sign_in(session, "anna", PASSWORD, "listener")
    await session.close()
    sessions = [HttpSession(url, signed_in.token) for _ in range(count)]
    try:
        yield [HttpRemote(mine, signed_in.namespace_id) for mine in sessions]
    finally:
        for mine in sessions:
            await mine.close()


async def commit(to: HttpRemote) -> None:
    number = next(numbers)
    name = f"folder {number}"
    entry = Entry(file_id(number), ROOT_ID, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0))
    await to.commit([Create(entry)], Seq(10**9), name)


async def hear(remote: HttpRemote) -> None:
    async for _ in remote.listen():
        pass


@pytest.fixture
def device(scaled: Scraped, tmp_path: Path) -> RealDevice:
    """A device that has sent twenty small files and a large one twice, all of which another has."""
    one, two = (RealDevice(tmp_path / name, scaled.server.url, "anna", name) for name in "ab")
    large = os.urandom(LARGE_BYTES)
    for device in (one, two):
        device.folder.mkdir(parents=True)
        device.log_in()
    for number in range(20):
        one.write(f"{number}", os.urandom(5_000))
    one.write("large", large)
    one.write("again", large)
    converge(one, two)
    return one


@pytest.mark.usefixtures("device")
async def test_everything_moves_and_adds_up_over_workers(scaled: Scraped) -> None:
    commits_count = 0
    async with remotes(scaled.server.url, 9) as (other, *others), asyncio.TaskGroup() as group:
        listening = [group.create_task(hear(mine)) for mine in others]
        await scaled.until(lambda: scaled.total("drystone_listeners") == 8)
        seqs_before = scaled.total("drystone_changes_total", outcome="accepted")
        while not (
            scaled.total("drystone_bell_lag_seconds_count")
            and scaled.total("drystone_bell_heard_lag_seconds_count")
            and commits_count >= 5
        ):
            await commit(other)
            commits_count += 1
            await other.list_folder(ROOT_ID)
            await other.list_folder(ROOT_ID)
        for task in listening:
            task.cancel()
    accepted = scaled.total("drystone_changes_total", outcome="accepted")
    await scaled.until(lambda: scaled.total("drystone_projector_records_total") == accepted)
    await scaled.until(lambda: scaled.total("drystone_verifier_packs_total") > 0)
    await scaled.until(lambda: scaled.total("drystone_journals_stretches_total") > 0)
    await scaled.until(lambda: scaled.total("drystone_upkeep_runs_total", kind="collect") > 0)
    total = scaled.total

    # Requests and bytes.
    assert total("drystone_requests_total", route="/v1/blocks/arrived", status="200") > 0
    assert total("drystone_body_bytes_total", kind="messages", direction="received") > 0
    assert total("drystone_store_bytes_total", direction="read") > 0
    # Asks, and what was spared.
    assert total("drystone_blocks_asked_total", answer="missing") > 20
    assert total("drystone_tickets_total", kind="put") > 0
    assert LARGE_BYTES < total("drystone_ticket_bytes_total", kind="put") < 2 * LARGE_BYTES
    assert total("drystone_arrivals_total", outcome="taken") > 0
    # Commits: each change once, whichever worker took it.
    assert accepted == seqs_before + commits_count == 22 + commits_count
    assert total("drystone_commit_seconds_count") >= commits_count
    assert total("drystone_bell_rings_total") >= commits_count
    # Listings.
    assert total("drystone_cache_gets_total", outcome="found") > 0
    assert total("drystone_cache_puts_total") > 0
    assert total("drystone_shared_bell_rings_total", direction="heard") > 0
    # PostgreSQL's connections, of both workers.
    told = {dict(labels)["worker"] for name, labels in scaled.scrape() if "connections" in name}
    assert told == {"0", "1"}
    assert total("drystone_database_connections", state="open") > 0

    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    there = {re.sub("_(bucket|sum|count|created)$", "", name) for name, _ in scaled.scrape()}
    assert there - NEVER_THERE == rows.keys() - NEVER_THERE
