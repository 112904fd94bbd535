# SPDX-License-Identifier: Apache-2.0
"""What integration tests of the server share: real processes, and somebody signed in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.testing.servers import ServerProcess

PASSWORD = "correct horse"


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
