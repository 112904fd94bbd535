# SPDX-License-Identifier: Apache-2.0
"""What every cache must do."""

import threading

from drystone.server.ports.brokers.cache import VALUE_BYTES_MAX, Cache

_LASTS_S = 600


class CacheSuite:
    """Subclasses give the fixture ``cache``, an empty one."""

    def test_what_was_put_is_found_in_the_order_of_the_names(self, cache: Cache) -> None:
        cache.put(b"one", b"1", _LASTS_S)
        cache.put(b"two", b"2", _LASTS_S)

        assert cache.get([b"two", b"three", b"one", b"two"]) == [b"2", None, b"1", b"2"]
        assert cache.get([]) == []

    def test_names_and_values_are_any_bytes(self, cache: Cache) -> None:
        everything = bytes(range(256))
        cache.put(everything, everything * 8, _LASTS_S)
        cache.put(b"empty", b"", _LASTS_S)

        assert cache.get([everything, b"empty"]) == [everything * 8, b""]

    def test_the_last_value_counts(self, cache: Cache) -> None:
        cache.put(b"name", b"old", _LASTS_S)
        cache.put(b"name", b"new", _LASTS_S)

        assert cache.get([b"name"]) == [b"new"]

    def test_values_have_a_limit(self, cache: Cache) -> None:
        largest = bytes(VALUE_BYTES_MAX)
        cache.put(b"largest", largest, _LASTS_S)
        cache.put(b"larger", largest + b"0", _LASTS_S)

        assert cache.get([b"larger"]) == [None]
        assert cache.get([b"largest"]) == [largest]

    def test_it_is_used_from_several_threads(self, cache: Cache) -> None:
        wrong: list[object] = []

        def use(number: int) -> None:
            for turn in range(30):
                name = b"%d %d" % (number, turn)
                cache.put(name, name * 9, _LASTS_S)
                if cache.get([name]) != [name * 9]:
                    wrong.append(name)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert wrong == []

    def test_a_closed_one_finds_nothing_and_raises_nothing(self, cache: Cache) -> None:
        cache.put(b"name", b"value", _LASTS_S)
        cache.close()
        cache.close()

        assert cache.get([b"name", b"other"]) == [None, None]
