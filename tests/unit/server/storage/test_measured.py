# SPDX-License-Identifier: Apache-2.0
"""Measured engines do what those inside do (tests/conformance), and count it."""

import pytest

from drystone.core.ids import NamespaceId
from drystone.server.ports.objects import ObjectStoreFull
from drystone.server.ports.watching.measuring import Measures
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.cache_memory import MemoryCache
from drystone.server.storage.measured import (
    MeasuredBell,
    MeasuredCache,
    MeasuredMetadata,
    MeasuredObjects,
)
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.testing.fakes.clock import ManualClock
from tests.unit.server.measured import value_of

NAMESPACE = NamespaceId(b"n" * 16)
OTHER = NamespaceId(b"o" * 16)


@pytest.fixture
def measures():
    return Measures()


def test_requests_to_the_store_are_counted_with_their_outcome(measures):
    objects = MeasuredObjects(MemoryObjects(), measures)
    objects.put("a", [b"12", memoryview(b"345")])
    objects.put_many([("b", [b"6"]), ("c", [b"78"])])
    objects.read("a", [(0, 2)])
    with pytest.raises(FileNotFoundError):
        objects.read("missing", [(0, 1)])
    names = {stat.name for stat in objects.iter_names()}
    objects.delete("a")

    def requests(operation, outcome):
        name = "drystone_store_requests_total"
        return value_of(measures, name, operation=operation, outcome=outcome)

    assert names == {"a", "b", "c"}
    assert objects.find_length("a") is None
    assert requests("put", "ok") == requests("put_many", "ok") == requests("list", "ok") == 1
    assert requests("read", "ok") == requests("read", "missing") == requests("delete", "ok") == 1
    assert value_of(measures, "drystone_store_bytes_total", direction="written") == 8
    assert value_of(measures, "drystone_store_bytes_total", direction="read") == 2
    name = "drystone_store_request_seconds_count"
    assert value_of(measures, name, operation="read") == 2


def test_an_error_of_the_store_passes_through_and_is_counted_by_its_code(measures):
    class Full(MemoryObjects):
        def put(self, name, parts):
            raise ObjectStoreFull("no room")

    objects = MeasuredObjects(Full(), measures)
    with pytest.raises(ObjectStoreFull):
        objects.put("a", [b"1"])

    labels = {"operation": "put", "outcome": "server-storage-full"}
    assert value_of(measures, "drystone_store_requests_total", **labels) == 1
    assert value_of(measures, "drystone_store_bytes_total", direction="written") == 0


def test_units_of_work_are_timed_and_groups_counted(measures):
    metadata = MeasuredMetadata(MemoryMetadata(), measures)
    metadata.write(lambda unit: None)
    metadata.write_group([lambda unit: 1, lambda unit: 2, lambda unit: 3])
    metadata.read(lambda unit: None)

    assert value_of(measures, "drystone_database_seconds_count", kind="write") == 2
    assert value_of(measures, "drystone_database_seconds_count", kind="read") == 1
    assert value_of(measures, "drystone_commit_group_works_sum") == 3
    assert value_of(measures, "drystone_commit_group_works_bucket", le="2.0") == 0


def test_what_the_cache_had_and_had_not_is_counted(measures):
    cache = MeasuredCache(MemoryCache(), measures)
    cache.put(b"a", b"1", 60)
    assert cache.get([b"a", b"b", b"c"]) == [b"1", None, None]
    cache.close()

    assert value_of(measures, "drystone_cache_gets_total", outcome="found") == 1
    assert value_of(measures, "drystone_cache_gets_total", outcome="missing") == 2
    assert value_of(measures, "drystone_cache_puts_total") == 1


@pytest.mark.asyncio
async def test_a_ring_is_counted_and_timed_until_a_listener_is_told(measures):
    bell = MeasuredBell(LocalBell(), measures, ManualClock())
    async with bell.listen([NAMESPACE]) as heads:
        bell.ring(NAMESPACE, 1)
        bell.ring(OTHER, 5)
        bell.ring(NAMESPACE, 2)
        told = await anext(heads)

    assert told == (NAMESPACE, 2)
    assert value_of(measures, "drystone_bell_rings_total") == 3
    assert value_of(measures, "drystone_bell_told_total") == 1
    assert value_of(measures, "drystone_bell_lag_seconds_count") == 1
    assert bell.take_heard() == []


@pytest.mark.asyncio
async def test_rings_of_others_are_kept_with_the_time_until_somebody_looks(measures):
    clock, local = ManualClock(), LocalBell()
    bell = MeasuredBell(local, measures, clock)
    async with bell.listen([NAMESPACE]) as one, bell.listen([NAMESPACE]) as other:
        local.ring(NAMESPACE, 7)  # As one that was heard of comes in.
        await anext(one)
        clock.advance(2)
        await anext(other)
        heard = bell.take_heard()
        bell.ring(NAMESPACE, 8)
        await anext(one)

    now_ns = clock.now_ns()
    assert heard == [(NAMESPACE, 7, [now_ns - 2 * 10**9, now_ns])]
    assert bell.take_heard() == [], "our own are known at once"
    assert value_of(measures, "drystone_bell_lag_seconds_count") == 1


@pytest.mark.asyncio
async def test_of_very_many_rings_of_others_some_are_kept(measures):
    local = LocalBell()
    bell = MeasuredBell(local, measures, ManualClock())
    async with bell.listen([NAMESPACE]) as heads:
        for head in range(1, 301):
            local.ring(NAMESPACE, head)
            await anext(heads)

    assert [one.head for one in bell.take_heard()] == list(range(1, 101))
