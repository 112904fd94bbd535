# SPDX-License-Identifier: Apache-2.0
"""A whole server whose store fails while devices sync: it comes back, and nothing is lost."""

import os
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress

import pytest

from drystone.core.errors import Unavailable
from drystone.testing.real_devices import PASSWORD, RealDevice, converge
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from drystone.testing.stores.faults import NO_BUCKET, STORE_FULL, Resets, Says, StoreFaults
from drystone.testing.stores.s3 import S3_CREDENTIALS, S3Server


def make_device(server: ServerProcess, home, name: str) -> RealDevice:
    device = RealDevice(home / name, server.url, "anna", name)
    device.folder.mkdir(parents=True)
    device.log_in()
    return device


@pytest.fixture
def bad_store(s3: S3Server, monkeypatch):
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with StoreFaults(s3.endpoint, retry_s=0.5) as faults:
        yield faults


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.make_bucket()


@pytest.fixture
def server(bad_store: StoreFaults, bucket: str, tmp_path):
    environment = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_OBJECTS": bad_store.url(bucket, "d")}
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        server.add_account("anna", PASSWORD)
        yield server


@pytest.mark.parametrize(
    "fault",
    [Says(503, "SlowDown"), Resets(), STORE_FULL, NO_BUCKET],
    ids=["503", "reset", "full", "404"],
)
def test_devices_converge_after_the_store_was_down(server, bad_store, tmp_path, fault) -> None:
    one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
    one.write("before", b"before")
    one.sync()
    for number in range(30):
        one.write(f"d/{number}", os.urandom(1_000 * number + 1))
    one.write("large", os.urandom(9 << 20))
    before = one.look()

    with ThreadPoolExecutor(1) as threads:
        bad_store.breaks(fault, methods="PUT")
        sync_until_mended(threads, bad_store, one)
        bad_store.breaks(fault)
        sync_until_mended(threads, bad_store, two)
    assert one.look() == before

    converge(one, two)
    assert two.look() == before
    assert "Traceback" not in server.read_log()


def test_an_object_deleted_behind_our_back_is_sent_again(
    server, bad_store, s3, bucket, tmp_path
) -> None:
    one, two = (make_device(server, tmp_path, name) for name in ("one", "two"))
    one.write("kept", b"kept")
    one.sync()
    kept = set(s3.list_names(bucket))
    content = os.urandom(100_000)
    one.write("lost", content)
    one.sync()
    for name in set(s3.list_names(bucket)) - kept:
        s3.delete(bucket, name)

    two.sync()
    assert [row.code for row in two.told.problems] == ["corrupt-block"]
    assert two.read("kept") == b"kept"
    # Whoever saves the same content sends it again: the server does not hold it any more.
    one.write("again", content)
    one.sync()
    two.sync()

    converge(one, two)
    assert two.read("lost") == content


def sync_until_mended(threads: Executor, bad_store: StoreFaults, device: RealDevice) -> None:
    """Syncs against a store that is down until it has been asked often, and then is there."""
    before_count = bad_store.broken_count
    syncing = threads.submit(device.sync)
    deadline = time.monotonic() + 120
    while bad_store.broken_count < before_count + 2 and not syncing.done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    bad_store.mend()
    assert bad_store.broken_count > before_count
    with suppress(Unavailable):
        syncing.result()
