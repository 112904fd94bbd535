# SPDX-License-Identifier: Apache-2.0

import asyncio
import threading

import pytest

from drystone.core.errors import Unavailable
from drystone.server.ports.watching.measuring import Measures
from drystone.server.service import readiness as readiness_module
from drystone.server.service.readiness import NO_ANSWER, Check, NotReady, Readiness
from drystone.testing.service import until

pytestmark = pytest.mark.asyncio


class Away(Unavailable):
    code = "away"


class Part:
    """Something that can be taken away."""

    def __init__(self):
        self.error = None
        self.checks_count = 0
        self.hangs_until = None

    def check(self):
        self.checks_count += 1
        if self.hangs_until is not None:
            self.hangs_until.wait(30)
        if self.error is not None:
            raise self.error


@pytest.fixture
def database():
    return Part()


@pytest.fixture
def store():
    return Part()


@pytest.fixture
def measures():
    return Measures()


@pytest.fixture
def readiness(database, store, measures):
    readiness = Readiness(
        {"database": Check(database.check), "store": Check(store.check)}, measures
    )
    yield readiness
    readiness.close()


async def test_ready_names_its_parts(readiness):
    assert await readiness.require() == ["database", "store"]


async def test_a_part_that_is_missing_is_named_with_its_code_and_nothing_else(
    readiness, store, measures
):
    store.error = Away("at https://user:secret@inside.example")
    with pytest.raises(NotReady, match=r"store \(away\)") as told:
        await readiness.require()
    [family] = measures.read()

    assert "inside" not in told.value.message
    assert "database" not in told.value.message
    assert {s.labels["part"]: s.value for s in family.samples} == {"database": 1, "store": 0}


async def test_it_is_ready_again_once_the_part_is_back(readiness, store):
    store.error = Away("away")
    with pytest.raises(NotReady):
        await readiness.require()
    store.error = None

    assert await readiness.require()


async def test_an_error_nobody_foresaw_is_trouble_too(readiness, database):
    database.error = ValueError("hunter2")
    with pytest.raises(NotReady, match="internal-error"):
        await readiness.require()


async def test_a_part_that_hangs_is_asked_once_and_told(readiness, database, monkeypatch):
    monkeypatch.setattr(readiness_module, "CHECK_S_MAX", 0.01)
    database.hangs_until = threading.Event()
    for _ in range(3):
        with pytest.raises(NotReady, match=NO_ANSWER):
            await readiness.require()
    checks_count = database.checks_count
    database.hangs_until.set()
    monkeypatch.setattr(readiness_module, "CHECK_S_MAX", 10)

    assert checks_count == 1
    assert await readiness.require()


async def test_who_asks_causes_no_check_while_it_is_watched(readiness, database):
    watching = asyncio.create_task(readiness.watch())
    await until(lambda: readiness._is_watched)
    for _ in range(5):
        await readiness.require()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    assert database.checks_count == 1
