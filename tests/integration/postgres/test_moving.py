# SPDX-License-Identifier: Apache-2.0
"""An embedded server moves to PostgreSQL: all of it, compared, or nothing."""

import json
import os
import sqlite3
import subprocess
import sys

import psycopg
import pytest

from drystone.core.errors import Misconfigured
from drystone.server.bootstrap.composing import move_metadata
from drystone.server.settings import ServerSettings
from drystone.server.storage.metadata_sql.postgres import (
    MovingTo,
    PostgresMetadata,
    move_to,
    moving,
)
from drystone.server.storage.metadata_sql.sqlite import SqliteMetadata
from drystone.testing.conformance.metadata.samples import (
    NAMESPACE,
    Journalist,
    add_accounts,
    block_id,
    file,
    folder,
    make_file_id,
    make_places,
    pack_id,
)
from drystone.testing.real_devices import PASSWORD, RealDevice, look_at
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess


def run_move(data_dir, url):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "drystone",
            "admin",
            "move-to",
            "-",
            "--data-dir",
            str(data_dir),
            "--json",
        ],
        input=url + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_devices_notice_nothing(tmp_path, postgres_url) -> None:
    with ServerProcess(tmp_path / "data") as server:
        server.add_account("anna", PASSWORD)
        one = RealDevice(tmp_path / "one", server.url, "anna", "one")
        two = RealDevice(tmp_path / "two", server.url, "anna", "two")
        for device in (one, two):
            device.folder.mkdir(parents=True)
            device.log_in()
        for number in range(300):
            one.write(f"d{number % 9}/{number} ä.txt", os.urandom(number * 7))
        one.write("large", os.urandom(3 << 20))
        one.sync()
        (one.folder / "d1").rename(one.folder / "renamed")
        one.sync()
        two.sync()
        port = server.port
        running = run_move(tmp_path / "data", postgres_url)
        assert running.returncode == 6
        assert "another server" in running.stderr
        server.stop()

    done = run_move(tmp_path / "data", postgres_url)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    with sqlite3.connect(tmp_path / "data" / "metadata.db") as old:
        for table, count in rows.items():
            assert old.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)
    assert rows["record"] > 300

    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_DATABASE": postgres_url}
    moved = ServerProcess(tmp_path / "data", environment=environment)
    moved.start(port)
    with moved:
        assert one.sync().uploaded_count == 0
        two.write("new.txt", b"written after the move")
        two.sync()
        one.sync()
        assert look_at(one.folder) == look_at(two.folder)


@pytest.fixture
def path(tmp_path):
    """A small database of every kind of row."""
    metadata = SqliteMetadata(tmp_path / "metadata.db")
    add_accounts(metadata)
    Journalist(metadata).create(folder(make_file_id(1), "a"), file(make_file_id(2), "ä\U0001f600"))
    places = make_places(pack_id(1), range(5))
    metadata.write(lambda unit: unit.blocks.add_pack(pack_id(1), 900, places))
    metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, [block_id(1)], 77))
    metadata.close()
    return str(tmp_path / "metadata.db")


def count_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        return sum(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("account", "record", "block")
        )


def test_numbers_go_on_behind_those_that_were_given(path, postgres_url) -> None:
    told: list[str] = []
    move_to(path, postgres_url, lambda table, _: told.append(table))
    engine = PostgresMetadata(postgres_url)
    engine.write(lambda u: u.blocks.add_pack(pack_id(2), 9, make_places(pack_id(2), range(5, 9))))

    found = engine.read(lambda unit: unit.blocks.locate([block_id(n) for n in range(9)]))
    assert len(found) == 9
    assert {"account", "record", "era", "namespace_block"} <= set(told)
    engine.close()


def test_what_is_there_already_is_not_mixed_up(path, postgres_url) -> None:
    move_to(path, postgres_url)
    before = count_rows(postgres_url)

    with pytest.raises(MovingTo):
        move_to(path, postgres_url)
    assert count_rows(postgres_url) == before


def test_a_row_that_arrives_otherwise_undoes_all(path, postgres_url, monkeypatch) -> None:
    compare = moving._compare

    def spoil(old, new, table):
        if table.name == "record":
            new.execute("UPDATE record SET name = 'other' WHERE seq = 2")
        compare(old, new, table)

    monkeypatch.setattr(moving, "_compare", spoil)
    with pytest.raises(MovingTo) as caught:
        move_to(path, postgres_url)
    assert "row 2 of record" in str(caught.value)
    assert count_rows(postgres_url) == 0


def test_a_row_that_does_not_arrive_undoes_all(path, postgres_url, monkeypatch) -> None:
    compare = moving._compare

    def spoil(old, new, table):
        if table.name == "block":
            new.execute("DELETE FROM block WHERE block_id = %s", (block_id(4),))
        compare(old, new, table)

    monkeypatch.setattr(moving, "_compare", spoil)
    with pytest.raises(MovingTo):
        move_to(path, postgres_url)
    assert count_rows(postgres_url) == 0


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite", "", "postgresql://127.0.0.1:1/x"])
def test_an_address_that_is_none_is_refused(tmp_path, path, url) -> None:
    done = run_move(tmp_path, url)

    assert done.returncode in (2, 3, 6), done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_is_none_is_told_and_not_made(tmp_path, postgres_url) -> None:
    with pytest.raises(Misconfigured) as caught:
        move_metadata(ServerSettings(data_dir=tmp_path / "typo"), postgres_url, lambda *_: None)

    assert caught.value.code == "no-data-dir"
    assert not (tmp_path / "typo").exists()
