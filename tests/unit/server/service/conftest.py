# SPDX-License-Identifier: Apache-2.0
"""What tests of the service share: one over engines in memory."""

from collections.abc import Iterator

import pytest

from drystone.testing.service import MemoryServer


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.close()
