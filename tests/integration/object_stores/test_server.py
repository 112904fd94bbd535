# SPDX-License-Identifier: Apache-2.0
"""A whole server whose packs lie in an object store: relayed, restarted, without its store."""

import os
import subprocess
import sys

import pytest

from drystone.core.errors import Misconfigured, Unavailable
from drystone.server.bootstrap.composing import open_server
from drystone.server.bootstrap.keeping.collecting import open_collecting
from drystone.server.settings import ServerSettings
from drystone.server.storage.objects_cloud import CloudObjects, parse_location
from drystone.testing.real_devices import PASSWORD, RealDevice, look_at
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from drystone.testing.stores.s3 import S3_CREDENTIALS, S3Server


def make_device(server: ServerProcess, home, name: str) -> RealDevice:
    device = RealDevice(home / name, server.url, "anna", name)
    device.folder.mkdir(parents=True)
    device.log_in()
    return device


@pytest.mark.parametrize("has_postgres", [False, True])
def test_packs_lie_in_the_store_and_nowhere_else(s3_url, postgres_url, tmp_path, has_postgres):
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_OBJECTS": s3_url}
    if has_postgres:
        environment["DRYSTONE_SERVER_DATABASE"] = postgres_url
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
        for number in range(200):
            (one.folder / f"{number}.txt").write_text(f"{number}\n" * number)
        large = os.urandom(9 << 20)
        (one.folder / "large").write_bytes(large)
        one.sync()
        port = server.port
        server.kill()
        server.start(port)
        two.sync()
        # A byte within: what two holds serves as the base of what comes.
        (one.folder / "large").write_bytes(large[: 4 << 20] + b"x" + large[4 << 20 :])
        one.sync()
        two.sync()

        assert look_at(one.folder) == look_at(two.folder)
    # Packs, and what is to be verified before it is one.
    stored = list(CloudObjects(parse_location(s3_url)).iter_names())
    assert sum(stat.length_bytes for stat in stored) > 9 << 20
    assert not (tmp_path / "data" / "objects").exists()


def test_a_store_that_is_away_is_told_and_costs_nothing_but_time(tmp_path, monkeypatch) -> None:
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with S3Server(tmp_path / "s3") as s3:
        objects = CloudObjects(parse_location(f"{s3.url(s3.make_bucket())}&retry_s=1"))
        objects.put("packs/ab/1", [b"one"])
        s3.stop()
        for work in (
            lambda: objects.put("packs/ab/2", [b"two"]),
            lambda: objects.read("packs/ab/1", [(0, 3)]),
            lambda: objects.find_length("packs/ab/1"),
            lambda: list(objects.iter_names()),
            lambda: objects.delete("packs/ab/1"),
        ):
            with pytest.raises(Unavailable) as caught:
                work()
            assert caught.value.retryable
            assert caught.value.advice


def test_a_place_that_is_not_there_is_told_at_the_start(s3, s3_url) -> None:
    with pytest.raises(Misconfigured) as caught:
        CloudObjects(parse_location(s3.url("no-such-bucket")))

    assert "s3://no-such-bucket" in caught.value.message


def test_a_server_whose_store_is_not_there_says_so_and_exits(tmp_path) -> None:
    url = "s3://bucket/folder?endpoint=http://127.0.0.1:1&allow_http=true&retry_s=1"
    done = subprocess.run(
        [sys.executable, "-m", "drystone", "serve", "--data-dir", str(tmp_path / "data")],
        env={**os.environ, **S3_CREDENTIALS, "DRYSTONE_SERVER_OBJECTS": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 6
    assert "s3://bucket/folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_databases_do_not_share_a_place(s3_url, tmp_path) -> None:
    """Each would collect what only the other one knows."""
    settings = [ServerSettings(data_dir=tmp_path / name, objects=s3_url) for name in ("a", "b")]
    open_server(settings[0]).close()

    with pytest.raises(Misconfigured) as caught:
        open_server(settings[1])
    assert caught.value.code == "objects-of-another"
    with pytest.raises(Misconfigured) as caught, open_collecting(settings[1]):
        raise AssertionError("it collects")
    assert caught.value.code == "objects-of-another"
    with open_collecting(settings[0]):
        open_server(settings[0]).close()
