# SPDX-License-Identifier: Apache-2.0
"""What integration tests of the server share: real processes, and somebody signed in."""

import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drystone.testing.real_devices import RealDevice
from drystone.testing.relays import BadRelay
from drystone.testing.servers import ServerProcess

PASSWORD = "correct horse"
numbers = itertools.count(1)


@pytest.fixture(autouse=True, scope="session")
def hear_interrupts() -> Iterator[None]:
    """Processes started here can be interrupted, though the tests run as a background job, whose
    shell has them ignore SIGINT: a child inherits what is ignored, not what is handled."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that just started for the first time, with the account anna."""
    with ServerProcess(tmp_path / "data") as server:
        server.add_account("anna", PASSWORD)
        yield server


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests of a module, with the accounts anna and bert."""
    with ServerProcess(tmp_path_factory.mktemp("server") / "data") as server:
        server.add_account("anna", PASSWORD)
        server.add_account("bert", PASSWORD)
        yield server


@pytest.fixture
def join(shared_server: ServerProcess, tmp_path: Path) -> Callable[..., RealDevice]:
    """Signs in real devices of one account, which is this test's own: ``join("one")``."""
    account = f"user{next(numbers)}"
    shared_server.add_account(account, PASSWORD)

    def join_device(name: str, url: str = "") -> RealDevice:
        device = RealDevice(tmp_path / name, url or shared_server.url, account, name)
        device.folder.mkdir(parents=True)
        device.log_in()
        return device

    return join_device


@pytest.fixture
def relay(shared_server: ServerProcess) -> Iterator[BadRelay]:
    """A bad network before the shared server; good as long as a test leaves it alone."""
    with BadRelay(shared_server.port) as relay:
        yield relay
