# SPDX-License-Identifier: Apache-2.0
"""Two workers on PostgreSQL, an object store with direct transfer, and a Valkey for bell and cache,
while one after the other of them is killed.
"""

import os
import signal
import time

import pytest

from drystone.core.errors import Unavailable
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.real_devices import PASSWORD, RealDevice, look_at
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from drystone.testing.stores.s3 import S3_CREDENTIALS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TRIES_MAX = 60


@pytest.fixture
def valkey_own(tmp_path):
    with ValkeyServer(tmp_path / "valkey", password="secret-of-valkey") as server:
        yield server


@pytest.fixture
def server(tmp_path, postgres_url, strict_s3, valkey_own):
    environment = {
        **CHEAP_PASSWORDS,
        **S3_CREDENTIALS,
        "DRYSTONE_SERVER_DATABASE": postgres_url,
        "DRYSTONE_SERVER_OBJECTS": strict_s3.url(strict_s3.make_bucket(), "place"),
        "DRYSTONE_SERVER_TRANSFER": "direct",
        "DRYSTONE_SERVER_BELL": valkey_own.url(),
        "DRYSTONE_SERVER_CACHE": valkey_own.url(1),
        "DRYSTONE_SERVER_WORKERS": "2",
        "DRYSTONE_SERVER_LOG_LEVEL": "debug",
    }
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        yield server
        server.stop()


def make_device(server: ServerProcess, home, name: str) -> RealDevice:
    device = RealDevice(home / name, server.url, "anna", name)
    device.folder.mkdir(parents=True)
    device.log_in()
    return device


def sync(device: RealDevice) -> None:
    """Syncs; a worker that is killed takes its requests along, and they are asked again."""
    for _ in range(TRIES_MAX):
        try:
            device.sync()
        except Unavailable:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it never gets through")


def test_devices_agree_whatever_is_killed(server, valkey_own, tmp_path) -> None:
    one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
    accidents = [
        (lambda: os.kill(server.find_workers()[0], signal.SIGKILL), valkey_own.kill),
        (lambda: server.signal(signal.SIGHUP), valkey_own.start),
        (lambda: [os.kill(pid, signal.SIGKILL) for pid in server.find_workers()],),
    ]
    for number, all_at_once in enumerate(accidents):
        one.write(f"large {number}", os.urandom(5 << 20))
        two.write(f"folder/small {number}", b"%d" % number)
        for befalls in all_at_once:
            befalls()
        for device in (one, two, one):
            sync(device)
        assert look_at(one.folder) == look_at(two.folder)

    log = server.read_log()
    assert '"route": "/v1/blocks/arrived"' in log
    assert "bell.line-lost" in log
    assert "secret-of-valkey" not in log
    assert len(list(two.folder.glob("large *"))) == len(accidents)
    three = make_device(server, tmp_path, "three")
    sync(three)
    assert look_at(three.folder) == look_at(one.folder)
