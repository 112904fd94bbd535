# SPDX-License-Identifier: Apache-2.0
"""Direct transfer with real servers, stores and devices."""

import os
import time

import pytest

from drystone.core.errors import Misconfigured
from drystone.server.bootstrap.composing import open_server
from drystone.server.ports.arrivals import ArrivalState
from drystone.server.settings import ServerSettings
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_cloud import CloudObjects, parse_location
from drystone.testing.real_devices import PASSWORD, RealDevice, look_at
from drystone.testing.relays import BadRelay
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from drystone.testing.stores.s3 import S3_CREDENTIALS
from tests.integration.cli_user import User


def make_device(server: ServerProcess, home, name: str, account: str = "anna") -> RealDevice:
    device = RealDevice(home / name, server.url, account, name)
    device.folder.mkdir(parents=True)
    device.log_in()
    return device


@pytest.fixture
def store_url(request, monkeypatch) -> str:
    """A place in a store that checks signatures; or in one that knows conditions, if a test says
    so by its parameter.
    """
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    store = request.getfixturevalue(getattr(request, "param", "strict_s3"))
    return store.url(store.make_bucket(), "some/folder")


@pytest.fixture
def server(store_url, tmp_path):
    environment = {
        **CHEAP_PASSWORDS,
        "DRYSTONE_SERVER_OBJECTS": store_url,
        "DRYSTONE_SERVER_TRANSFER": "direct",
        "DRYSTONE_SERVER_LOG_LEVEL": "debug",
    }
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        server.add_account("bob", PASSWORD)
        yield server
        log = server.read_log()
    assert "Signature" not in log
    assert S3_CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in log


def list_arriving(store_url: str) -> list[str]:
    store = CloudObjects(parse_location(store_url))
    return [stat.name for stat in store.iter_names("arriving/")]


def wait_until(condition, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def count_in(server: ServerProcess, state: ArrivalState) -> int:
    metadata = SqliteMetadata(server.data_dir / "metadata.db")
    try:
        return len(metadata.read(lambda unit: unit.arrivals.list_due(state, 1 << 62, 999)))
    finally:
        metadata.close()


def is_relayed(server: ServerProcess, path: str) -> bool:
    return f'"route": "{path}"' in server.read_log()


@pytest.mark.parametrize("store_url", ["s3", "strict_s3"], indirect=True)
def test_devices_exchange_files_through_the_store(server, store_url, tmp_path):
    one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
    for number in range(200):
        one.write(f"small/{number}.txt", f"{number}\n".encode() * number)
    large = os.urandom(18 << 20)
    one.write("large", large)
    one.sync()
    assert not is_relayed(server, "/v1/blocks")
    assert is_relayed(server, "/v1/blocks/arrived")

    # Perhaps before anything is verified, and certainly after.
    two.sync()
    assert look_at(one.folder) == look_at(two.folder)
    wait_until(lambda: count_in(server, ArrivalState.UNVERIFIED) == 0)
    assert count_in(server, ArrivalState.QUARANTINED) == 0
    three = make_device(server, tmp_path, "three")
    three.sync()
    assert look_at(one.folder) == look_at(three.folder)

    # A byte in the midst travels as a patch, through the server.
    one.write("large", large[: 9 << 20] + b"x" + large[9 << 20 :])
    sent = one.sync().traffic.sent_bytes
    assert sent < 100_000
    assert is_relayed(server, "/v1/blocks")
    two.sync()
    assert two.read("large") == one.read("large")
    assert not one.told.messages + two.told.messages + three.told.messages


def test_single_files_are_put_and_fetched_through_the_store(server, tmp_path, monkeypatch):
    large = os.urandom(12 << 20)
    (tmp_path / "large").write_bytes(large)
    (tmp_path / "small").write_bytes(b"small")
    counted = Counted()
    with BadRelay(server.port) as between:
        between.up, between.down = counted.up, counted.down
        user = User(tmp_path / "laptop", monkeypatch)
        user.log_in(between.url)
        for name in ("large", "small"):
            user.ask("put", tmp_path / name)
            user.ask("get", f"/{name}", tmp_path / f"{name}.back")
            back = (tmp_path / f"{name}.back").read_bytes()
            assert back == (tmp_path / name).read_bytes()
        assert counted.up_bytes + counted.down_bytes < 100_000

        monkeypatch.setenv("DRYSTONE_TRANSFER", "relay")
        user.ask("get", "/large", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == large
    assert counted.down_bytes > len(large)


class Counted:
    """How many bytes pass between device and server."""

    def __init__(self) -> None:
        self.up_bytes = self.down_bytes = 0

    def up(self, piece: bytes) -> bytes:
        self.up_bytes += len(piece)
        return piece

    def down(self, piece: bytes) -> bytes:
        self.down_bytes += len(piece)
        return piece


def test_the_server_sees_a_thousandth_of_what_is_uploaded(server, tmp_path):
    """Control bytes only, headers of HTTP included."""
    large = os.urandom(48 << 20)
    counted = Counted()
    with BadRelay(server.port) as between:
        between.up, between.down = counted.up, counted.down
        one = RealDevice(tmp_path / "one", between.url, "anna", "one")
        one.folder.mkdir(parents=True)
        one.log_in()
        one.write("large", large)
        one.sync()
        assert counted.up_bytes + counted.down_bytes < len(large) // 1_000
        counted.up_bytes = counted.down_bytes = 0
        two = RealDevice(tmp_path / "two", between.url, "anna", "two")
        two.folder.mkdir(parents=True)
        two.log_in()
        two.sync()
        assert counted.up_bytes + counted.down_bytes < len(large) // 1_000
    assert two.read("large") == large


def test_what_a_device_of_another_account_has_is_sent_again_and_kept_once(
    server, store_url, tmp_path
):
    anna, bob = make_device(server, tmp_path, "one"), make_device(server, tmp_path, "b", "bob")
    large = os.urandom(12 << 20)
    for device in (anna, bob):
        device.write("large", large)
        assert device.sync().traffic.sent_bytes > len(large)
    wait_until(lambda: count_in(server, ArrivalState.UNVERIFIED) == 0)

    store = CloudObjects(parse_location(store_url))
    stored = sum(stat.length_bytes for stat in store.iter_names("packs/"))
    assert len(large) <= stored < 1.1 * len(large)


def test_a_server_killed_before_it_verified_goes_on(server, store_url, tmp_path):
    one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
    one.write("large", os.urandom(12 << 20))
    one.sync()
    port = server.port
    server.kill()
    server.start(port)
    two.sync()
    assert look_at(one.folder) == look_at(two.folder)
    wait_until(lambda: count_in(server, ArrivalState.UNVERIFIED) == 0)
    assert count_in(server, ArrivalState.JOINED) == len(list_arriving(store_url)) == 1


def test_a_server_that_is_to_relay_gives_no_tickets(store_url, tmp_path):
    with ServerProcess(
        tmp_path / "data",
        environment={**CHEAP_PASSWORDS, "DRYSTONE_SERVER_OBJECTS": store_url,
                     "DRYSTONE_SERVER_TRANSFER": "relay"},
    ) as server:  # fmt: skip
        server.add_account("anna", PASSWORD)
        one = make_device(server, tmp_path, "one")
        one.write("large", os.urandom(5 << 20))
        one.sync()
    assert list_arriving(store_url) == []


def test_a_store_without_credentials_to_sign_with_is_told(tmp_path):
    settings = ServerSettings(data_dir=tmp_path, transfer="direct")

    with pytest.raises(Misconfigured) as caught:
        open_server(settings)

    assert caught.value.code == "direct-impossible"
