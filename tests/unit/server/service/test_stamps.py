# SPDX-License-Identifier: Apache-2.0
"""The stamp in the metadata: however many ask at once, few readings, and never one too old."""

import asyncio
import threading

import pytest

from drystone.core.errors import Unavailable
from drystone.server.service.identity.stamps import SharedStamp
from drystone.server.service.writer import Writer
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.testing.service import until

pytestmark = pytest.mark.asyncio


class HeldMetadata(MemoryMetadata):
    """Readings end when they are let go, and are counted; or they fail."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Semaphore(0)
        self.reads_count = 0
        self.is_away = False

    def read(self, work):
        self.reads_count += 1
        if self.is_away:
            raise Unavailable("away")
        result = super().read(work)
        self.may_end.acquire()
        return result


@pytest.fixture
def metadata():
    return HeldMetadata()


@pytest.fixture
def writer(metadata):
    writer = Writer(metadata, read_threads=4)
    yield writer
    metadata.may_end.release(99)
    writer.close()


async def until_reads(metadata, count):
    await until(lambda: metadata.reads_count >= count)


async def test_who_asks_while_a_reading_is_under_way_gets_what_a_later_one_found(metadata, writer):
    stamp = SharedStamp(writer)
    first = asyncio.ensure_future(stamp.find())
    await until_reads(metadata, 1)
    metadata.write(lambda unit: unit.shared.move_stamp())
    later = [asyncio.ensure_future(stamp.find()) for _ in range(50)]
    metadata.may_end.release(2)
    old = await first
    found = set(await asyncio.gather(*later))

    assert metadata.reads_count == 2
    assert len(found) == 1
    assert old not in found


async def test_one_that_is_given_up_takes_nothing_from_the_others(metadata, writer):
    stamp = SharedStamp(writer)
    given_up, waiting = (asyncio.ensure_future(stamp.find()) for _ in range(2))
    await until_reads(metadata, 1)
    given_up.cancel()
    metadata.may_end.release(1)

    assert await waiting


async def test_after_a_failure_it_is_read_anew(metadata, writer):
    stamp = SharedStamp(writer)
    metadata.is_away = True
    with pytest.raises(Unavailable):
        await stamp.find()
    metadata.is_away = False
    metadata.may_end.release(1)

    assert await stamp.find()
