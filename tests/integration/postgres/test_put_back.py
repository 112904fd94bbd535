# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL that is put back in one of the usual ways never goes on in the same era."""

import psycopg
import pytest

from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.testing.postgres import PostgresServer

ONE, OTHER = b"eraerae1", b"eraerae2"


def join(url: str, fresh_id: bytes) -> bytes:
    """Does what a worker does that is started and then commits."""
    metadata = PostgresMetadata(url)
    try:
        return metadata.write(lambda unit: unit.shared.join_era(fresh_id))
    finally:
        metadata.close()


def test_workers_that_come_and_go_stay_in_one_era(postgres_url):
    assert [join(postgres_url, era_id) for era_id in (ONE, OTHER)] == [ONE, ONE]


@pytest.mark.parametrize("empty", ["TRUNCATE running_era", "DROP TABLE running_era"])
def test_rows_that_were_saved_and_loaded_again_are_of_another_era(postgres_url, empty):
    """As pg_dump and pg_restore do, beneath a worker that goes on."""
    worker = PostgresMetadata(postgres_url)
    assert worker.write(lambda unit: unit.shared.join_era(ONE)) == ONE
    stamp = worker.read(lambda unit: unit.shared.find_stamp())
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        rows = connection.execute("SELECT name, era_id, run FROM running_era").fetchall()
        connection.execute(empty)
        connection.execute(
            'CREATE TABLE IF NOT EXISTS running_era (name TEXT COLLATE "C" PRIMARY KEY,'
            " era_id BYTEA, run TEXT)"
        )
        connection.execute("INSERT INTO running_era VALUES (%s, %s, %s)", rows[0])

    assert worker.read(lambda unit: unit.shared.find_era_id()) is None
    assert worker.read(lambda unit: unit.shared.find_stamp()) != stamp
    assert worker.write(lambda unit: unit.shared.join_era(OTHER)) == OTHER
    worker.close()


def test_a_server_that_was_started_again_begins_another_era(tmp_path):
    """As after a copy of its files, or of the volume below them, was put in place."""
    with PostgresServer(tmp_path / "postgres") as server:
        url = server.make_schema()
        assert join(url, ONE) == ONE
        server.kill()
        server.start()

        assert join(url, OTHER) == OTHER
