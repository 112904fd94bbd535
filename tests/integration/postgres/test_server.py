# SPDX-License-Identifier: Apache-2.0
"""A whole server on PostgreSQL: devices, restarts, kills, a wrong address."""

import os
import re
import subprocess
import sys
import threading

import psycopg
import pytest

from drystone.core.errors import Misconfigured, Unavailable
from drystone.server.bootstrap import open_admin
from drystone.server.settings import ServerSettings
from drystone.testing.postgres import PostgresServer
from drystone.testing.real_devices import PASSWORD, RealDevice, look_at
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess


@pytest.fixture
def server(tmp_path, postgres_url):
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_DATABASE": postgres_url}
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        yield server


def make_device(server: ServerProcess, home, name: str) -> RealDevice:
    device = RealDevice(home / name, server.url, "anna", name)
    device.folder.mkdir(parents=True)
    device.log_in()
    return device


def test_two_devices_agree_also_after_the_server_was_killed(server, tmp_path) -> None:
    one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
    (one.folder / "docs").mkdir()
    for number in range(300):
        (one.folder / "docs" / f"{number}.txt").write_text(f"{number}\n" * number)
    (one.folder / "large").write_bytes(os.urandom(3 << 20))
    one.sync()
    port = server.port
    server.kill()
    server.start(port)
    two.sync()
    (two.folder / "docs").rename(two.folder / "papers")
    (two.folder / "papers" / "7.txt").write_text("changed")
    two.sync()
    one.sync()

    assert look_at(one.folder) == look_at(two.folder)
    assert (one.folder / "papers" / "7.txt").read_text() == "changed"
    assert not (tmp_path / "data" / "metadata.db").exists()


def test_a_database_that_goes_away_costs_time_and_nothing_else(tmp_path) -> None:
    # With PostgreSQL's defaults: what it told is durable.
    with PostgresServer(tmp_path / "postgres", settings=()) as database:
        environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_DATABASE": database.make_database()}
        with ServerProcess(tmp_path / "data", environment=environment) as server:
            server.add_account("anna", PASSWORD)
            one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
            (one.folder / "a").write_text("before")
            one.sync()
            database.kill()
            database.start()
            (one.folder / "b").write_text("after")
            one.sync()
            two.sync()

            assert look_at(one.folder) == look_at(two.folder)


@pytest.mark.slow
def test_a_database_that_is_killed_amid_commits_again_and_again_loses_nothing(tmp_path) -> None:
    """What was acknowledged is there, once, in a journal without gaps, whatever was cut short."""
    with PostgresServer(tmp_path / "postgres", settings=()) as database:
        url = database.make_database()
        environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_DATABASE": url}
        with ServerProcess(tmp_path / "data", environment=environment) as server:
            server.add_account("anna", PASSWORD)
            one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))

            def kill_on() -> None:
                for pause_s in (0.3, 0.5, 0.7):
                    threading.Event().wait(pause_s)
                    database.kill()
                    database.start()

            killer = threading.Thread(target=kill_on)
            killer.start()
            names: list[str] = []
            while killer.is_alive():
                names.append(f"{len(names)}")
                (one.folder / names[-1]).write_text(names[-1])
                try_to_sync(one)
            killer.join()
            for device in (one, two):
                while not try_to_sync(device):
                    pass

            assert sorted(path.name for path in two.folder.glob("[0-9]*")) == sorted(names)
            assert look_at(one.folder) == look_at(two.folder)
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT seq, name FROM record ORDER BY seq").fetchall()
        assert [seq for seq, _ in rows] == list(range(1, len(names) + 1))
        assert sorted(name for _, name in rows) == sorted(names)


def try_to_sync(device: RealDevice) -> bool:
    """Syncs once; False if the database was away meanwhile."""
    try:
        device.sync()
    except Unavailable:
        return False
    return True


def test_a_server_whose_database_is_not_there_says_so_without_the_password(tmp_path) -> None:
    url = "postgresql://anna:secret@127.0.0.1:1/drystone"
    done = subprocess.run(
        [sys.executable, "-m", "drystone", "serve", "--data-dir", str(tmp_path / "data")],
        env={**os.environ, "DRYSTONE_SERVER_DATABASE": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 6
    assert "127.0.0.1:1/drystone" in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "password", ["sec@ret", "sec/ret", "sec?ret", "sec#ret", "sec:ret", "s@e/c:r?e#t", "sec%ret"]
)
def test_a_password_that_is_written_as_it_is_is_never_told_in_pieces(password, tmp_path) -> None:
    """Such an address is cut in its midst, and what would be shown as a host is of the password."""
    settings = ServerSettings(
        data_dir=tmp_path / "data", database=f"postgresql://anna:{password}@127.0.0.1:1/drystone"
    )
    with pytest.raises(Misconfigured) as caught, open_admin(settings):
        pass

    said = caught.value.message + caught.value.advice
    assert not re.search("sec|ret", said), said
