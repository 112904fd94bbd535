# SPDX-License-Identifier: Apache-2.0
"""Commits of different namespaces go side by side, also within one process; of one, in turn."""

import asyncio
import threading

import psycopg

from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.record import Action, Record
from drystone.server.ports.metadata import Unit
from drystone.server.service.writer import Writer
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    LAPTOP,
    NAMESPACE,
    OTHER,
    add_accounts,
    file,
)
from drystone.testing.strategies import make_file_id

COMMITS = 60


def append(unit: Unit, namespace_id: NamespaceId, number: int) -> Seq:
    seq = Seq(unit.tree.head(namespace_id) + 1)
    entry = file(make_file_id(number + 1), str(number))
    record = Record(seq, Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, 1)
    unit.tree.append(namespace_id, [record])
    return seq


def test_a_namespace_does_not_wait_for_another(postgres_url) -> None:
    metadata = PostgresMetadata(postgres_url, writes_at_once=2)
    add_accounts(metadata)
    holds, may_end = threading.Event(), threading.Event()

    def hold(unit: Unit) -> None:
        unit.tree.head(NAMESPACE)
        holds.set()
        assert may_end.wait(30)

    async def run() -> None:
        writer = Writer(metadata)
        try:
            held = asyncio.ensure_future(writer.write(hold, lane=NAMESPACE))
            assert await asyncio.to_thread(holds.wait, 30)
            behind = asyncio.ensure_future(
                writer.write(lambda unit: append(unit, NAMESPACE, 1), lane=NAMESPACE)
            )
            assert await writer.write(lambda unit: append(unit, OTHER, 1), lane=OTHER) == 1
            assert not behind.done()
            may_end.set()
            await held
            assert await behind == 1
        finally:
            may_end.set()
            await asyncio.to_thread(writer.close)

    asyncio.run(run())
    metadata.close()


def test_workers_never_wait_in_a_circle(postgres) -> None:
    url = postgres.make_database()
    workers = [PostgresMetadata(url, writes_at_once=3) for _ in range(2)]
    add_accounts(workers[0])

    async def run() -> list[list[Seq]]:
        writers = [Writer(metadata) for metadata in workers]
        try:
            seqs = [
                [
                    writers[n % 2].write(
                        lambda unit, at=namespace_id, n=n: append(unit, at, n), lane=namespace_id
                    )
                    for n in range(COMMITS)
                ]
                for namespace_id in (NAMESPACE, OTHER)
            ]
            # Taken in turns, so that both namespaces are always waiting in both workers.
            mixed = [work for pair in zip(*seqs, strict=True) for work in pair]
            done = await asyncio.gather(*mixed)
            return [done[0::2], done[1::2]]
        finally:
            for writer in writers:
                await asyncio.to_thread(writer.close)

    found = asyncio.run(run())
    for metadata in workers:
        metadata.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    postgres.drop_database(url)

    assert [sorted(seqs) for seqs in found] == [list(range(1, COMMITS + 1))] * 2
    assert row == (0,)
