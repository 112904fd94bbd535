# SPDX-License-Identifier: Apache-2.0
"""Caches pass the suite of their port; and what is said of one engine only."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.watching.measuring import Measures
from drystone.server.storage.cache_memory import MemoryCache
from drystone.server.storage.measured import MeasuredCache
from drystone.server.storage.valkey import ValkeyCache, parse_address
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.conformance.cache import CacheSuite

PATIENT_S = 60.0
"""How long to wait where an answer will come, however busy the machine is."""


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class TestMemoryCache(CacheSuite):
    @pytest.fixture
    def cache(self) -> Cache:
        return MemoryCache()

    def test_what_was_asked_for_longest_ago_is_dropped_first(self) -> None:
        cache = MemoryCache(size_bytes_max=30)
        for name in (b"a", b"b", b"c"):
            cache.put(name, bytes(10), 60)
        cache.get([b"a"])
        cache.put(b"d", bytes(10), 60)

        assert [value is not None for value in cache.get([b"a", b"b", b"c", b"d"])] == [
            True, False, True, True,
        ]  # fmt: skip

    def test_nothing_outlasts_its_time(self) -> None:
        clock = Clock()
        cache = MemoryCache(now_s=clock)
        cache.put(b"a", b"value", 60)
        clock.now_s += 59
        assert cache.get([b"a"]) == [b"value"]
        clock.now_s += 1
        assert cache.get([b"a"]) == [None]


class TestMeasuredCache(CacheSuite):
    @pytest.fixture
    def cache(self) -> Cache:
        return MeasuredCache(MemoryCache(), Measures())


@pytest.fixture
def valkey_own(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "valkey", password="open sesame") as server:
        yield server


def make_cache(server: ValkeyServer, clock: Clock | None = None, **options: float) -> ValkeyCache:
    address = parse_address(server.url(3).replace("open sesame", "open%20sesame"))
    more = {} if clock is None else {"now_s": clock}
    return ValkeyCache(address, **{"wait_s": PATIENT_S, **options}, **more)  # type: ignore[arg-type]


class TestValkeyCache(CacheSuite):
    @pytest.fixture
    def cache(self, valkey_own: ValkeyServer) -> Iterator[Cache]:
        cache = make_cache(valkey_own)
        yield cache
        cache.close()

    def test_everything_has_an_end(self, valkey_own: ValkeyServer) -> None:
        cache = make_cache(valkey_own)
        cache.put(b"\x01\xff", b"value", 600)
        lasts_s = cache._ask(b"TTL", b"drystone:3:cache:01ff")
        cache.close()

        assert 0 < lasts_s <= 600


@pytest.mark.parametrize("fate", ["kill", "pause"])
def test_one_that_does_not_answer_is_waited_for_once_and_then_left_alone(valkey_own, fate) -> None:
    clock, numbers = Clock(), count()
    cache = make_cache(valkey_own, clock, rest_s=5.0)
    cache.put(b"name", b"value", 600)
    assert cache.get([b"name"]) == [b"value"]
    getattr(valkey_own, fate)()
    cache._wait_s = 0.02
    for connection in cache._idle:
        connection._sock.settimeout(0.02)  # type: ignore[attr-defined]
    for _ in range(100):
        assert cache.get([b"name"]) == [None]
        cache.put(b"%d" % next(numbers), b"value", 600)
    assert cache.failures == 1
    clock.now_s += 5.0
    for _ in range(100):
        assert cache.get([b"name"]) == [None]
    assert cache.failures == 2

    cache._wait_s = PATIENT_S
    valkey_own.start() if fate == "kill" else valkey_own.resume()
    assert cache.get([b"name"]) == [None], "nobody asks while it rests"
    clock.now_s += 5.0
    cache.put(b"name", b"again", 600)
    assert cache.get([b"name"]) == [b"again"]
    assert cache.failures == 2
    cache.close()


def test_wrong_password_costs_nothing_but_the_cache_and_is_not_told(valkey_own) -> None:
    url = valkey_own.url().replace("open sesame", "wrong-secret")
    cache = ValkeyCache(parse_address(url), wait_s=PATIENT_S)
    with capture_logs() as told:
        cache.put(b"name", b"value", 600)

        assert cache.get([b"name"]) == [None]
    assert cache.failures == 1
    assert [line["event"] for line in told] == ["cache.lost"]
    assert "wrong-secret" not in repr(told)


def test_the_rights_that_the_documents_name_are_enough(valkey_own) -> None:
    cache = make_cache(valkey_own)
    rights = "~drystone:3:cache:* +mget +set +select +client|setname"
    assert cache._ask(*f"ACL SETUSER drystone on >secret {rights}".encode().split()) == b"OK"
    cache.close()
    address = parse_address(f"valkey://drystone:secret@127.0.0.1:{valkey_own.port}/3")
    cache = ValkeyCache(address, wait_s=PATIENT_S)
    cache.put(b"name", b"value", 600)

    assert cache.get([b"name"]) == [b"value"]
    cache.close()
