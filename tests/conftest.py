# SPDX-License-Identifier: Apache-2.0
"""What every test folder shares: how hard Hypothesis looks, and a real PostgreSQL.

`dev` is what a plain `pytest` uses; `quick` is for `make test-quick`; `ci` is the same run every
time, so that a red build means a change broke something; `nightly` looks long and at random.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from drystone.testing.brokers.nats import NatsServer
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.postgres import PostgresServer
from drystone.testing.stores.azurite import AZURE_CREDENTIALS, AzureServer, install_azurite
from drystone.testing.stores.s3 import S3_CREDENTIALS, S3Server, StrictS3Server

TESTS = Path(__file__).parent

INSTALL_S_MAX = 600

# No deadline: a slow machine is not a bug, and each test has a time limit of its own.
_shared = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", _shared, max_examples=100)
settings.register_profile("quick", _shared, max_examples=20)
settings.register_profile("ci", _shared, max_examples=200, derandomize=True, database=None)
settings.register_profile("nightly", _shared, max_examples=5_000, print_blob=True)
settings.load_profile("dev")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of a process; it starts in half a second."""
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty schema of this test's own."""
    url = postgres.make_schema()
    yield url
    postgres.drop_schema(url)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One store that speaks S3's protocol, for all tests of a process."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_url(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in an empty bucket of this test's own; the credentials are in the environment."""
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return s3.url(s3.make_bucket(), "some/folder")


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One Valkey for all tests of a process that do not end it."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One NATS with JetStream for all tests of a process that do not end it."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="session")
def strict_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictS3Server]:
    """One store that checks signatures, for all tests of a process."""
    with StrictS3Server(tmp_path_factory.mktemp("strict-s3")) as server:
        yield server


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """Azure's emulator, for all tests of a process; the first use in a checkout installs it."""
    program = install_azurite(TESTS / "tools" / "azurite", TESTS.parent / ".cache" / "azurite")
    with AzureServer(program, tmp_path_factory.mktemp("azure")) as server:
        yield server


@pytest.fixture
def azure_url(azure: AzureServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in an empty container of this test's own; the credentials are in the environment."""
    for name, value in AZURE_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return azure.url(azure.make_container(), "some/folder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets what needs the emulator wait for its installation, in front of its own time limit."""
    for item in items:
        if "azure" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(INSTALL_S_MAX))
