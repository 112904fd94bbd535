# SPDX-License-Identifier: Apache-2.0
"""What every engine of the port ``Objects`` must do.

Subclass ``ObjectsSuite`` in a test module and give it a fixture ``objects`` that yields an
empty store.
"""

import threading
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from drystone.core.limits import KIB, MIB
from drystone.server.ports.objects import Objects

NAME = "packs/ab/abcd"


class ObjectsSuite:
    """The suite; each test gets a fresh, empty store."""

    def test_what_was_put_is_read_back(self, objects: Objects) -> None:
        objects.put(NAME, [b"hello, ", bytearray(b"wor"), memoryview(b"xld")[1:]])

        assert objects.read(NAME, [(0, 12)]) == [b"hello, world"]
        assert objects.find_length(NAME) == 12

    def test_an_object_may_have_many_parts(self, objects: Objects) -> None:
        objects.put(NAME, [bytes([i % 251]) for i in range(5_000)])

        assert objects.read(NAME, [(0, 5_000)]) == [bytes(i % 251 for i in range(5_000))]

    @pytest.mark.parametrize("parts", [[], [b""], [b"", b""]], ids=str)
    def test_an_object_may_be_empty(self, objects: Objects, parts: list[bytes]) -> None:
        objects.put(NAME, parts)

        assert objects.find_length(NAME) == 0
        assert objects.read(NAME, [(0, 0), (0, 5)]) == [b"", b""]

    def test_ranges_come_in_the_order_asked(self, objects: Objects) -> None:
        objects.put(NAME, [b"0123456789"])

        ranges = [(7, 2), (0, 3), (2, 3), (0, 3), (4, 0)]

        assert objects.read(NAME, ranges) == [b"78", b"012", b"234", b"012", b""]

    def test_far_and_near_ranges_mix(self, objects: Objects) -> None:
        content = bytes(i % 251 for i in range(100_000)) * 2
        objects.put(NAME, [content])

        ranges = [(i * 7_919 % 199_000, i * 37 % 9_000) for i in range(200)]

        assert objects.read(NAME, ranges) == [content[o : o + n] for o, n in ranges]

    @pytest.mark.parametrize("length", [512 * KIB, MIB + 1, 9 * MIB - 4095, 8 * MIB])
    def test_large_objects_and_ranges_are_whole(self, objects: Objects, length: int) -> None:
        content = Random(length).randbytes(length)
        cuts = [0, 1, 4096, 5_000, length // 3, length // 3 * 2 + 1, length]
        view = memoryview(content)
        objects.put(NAME, [view[a:b] for a, b in pairwise(cuts)])

        ranges = [(0, length), (1, length), (length - 400 * KIB, 700 * KIB), (length // 2, length)]
        ranges += [(4095, 600 * KIB), (8192, 512 * KIB), (length, MIB), (length + 9_999, MIB)]

        assert objects.read(NAME, ranges) == [content[o : o + n] for o, n in ranges]
        for offset, count in ranges:
            assert objects.read(NAME, [(offset, count)]) == [content[offset : offset + count]]
        assert objects.find_length(NAME) == length

    def test_no_ranges_yield_nothing(self, objects: Objects) -> None:
        objects.put(NAME, [b"0123456789"])

        assert objects.read(NAME, []) == []

    def test_a_range_beyond_the_end_yields_what_there_is(self, objects: Objects) -> None:
        objects.put(NAME, [b"0123456789"])

        assert objects.read(NAME, [(8, 5), (10, 1), (99, 1), (0, 2)]) == [b"89", b"", b"", b"01"]

    def test_a_missing_object_is_not_found(self, objects: Objects) -> None:
        with pytest.raises(FileNotFoundError):
            objects.read(NAME, [(0, 1)])
        assert objects.find_length(NAME) is None

    def test_putting_a_name_again_changes_nothing(self, objects: Objects) -> None:
        objects.put(NAME, [b"the ", b"same"])
        before = next(objects.iter_names())
        objects.put(NAME, [b"the", b" same"])

        assert list(objects.iter_names()) == [before]
        assert objects.read(NAME, [(0, 9)]) == [b"the same"]

    @pytest.mark.parametrize("damaged", [b"", b"the sane", b"the s", b"the same, longer"])
    def test_an_object_with_other_bytes_is_damaged_and_replaced(
        self, objects: Objects, damaged: bytes
    ) -> None:
        objects.put(NAME, [damaged])
        objects.put(NAME, [b"the ", b"same"])

        assert objects.read(NAME, [(0, 99)]) == [b"the same"]
        assert len(list(objects.iter_names())) == 1

    def test_a_large_object_with_one_other_byte_is_replaced(self, objects: Objects) -> None:
        content = Random(1).randbytes(3 * MIB + 5)
        for at in (0, 2 * MIB, len(content) - 1):
            damaged = bytearray(content)
            damaged[at] ^= 1
            objects.delete(NAME)
            objects.put(NAME, [damaged])
            objects.put(NAME, [content[:1_000], content[1_000:]])

            assert objects.read(NAME, [(0, len(content))]) == [content]

    def test_many_are_put_together(self, objects: Objects) -> None:
        objects.put("packs/01/01ff", [b"damaged"])
        objects.put("packs/02/02ff", [b"new\x02"])
        objects.put_many([(f"packs/{i:02x}/{i:02x}ff", [b"new", bytes([i])]) for i in range(20)])

        assert objects.read("packs/13/13ff", [(0, 9)]) == [b"new\x13"]
        assert objects.read("packs/01/01ff", [(0, 9)]) == [b"new\x01"]
        assert objects.read("packs/02/02ff", [(0, 9)]) == [b"new\x02"]

    def test_nothing_may_be_put_together(self, objects: Objects) -> None:
        objects.put_many([])

        assert list(objects.iter_names()) == []

    def test_names_are_listed_with_their_lengths(self, objects: Objects) -> None:
        for name, length in [("packs/ab/1", 3), ("packs/ab/2", 4), ("packs/ac/1", 5), ("x", 6)]:
            objects.put(name, [bytes(length)])

        def lengths(prefix: str) -> dict[str, int]:
            return {stat.name: stat.length_bytes for stat in objects.iter_names(prefix)}

        packs = {"packs/ab/1": 3, "packs/ab/2": 4, "packs/ac/1": 5}
        assert lengths("") == {**packs, "x": 6}
        assert lengths("packs/") == packs
        assert lengths("packs/a") == packs
        assert lengths("packs/ab/2") == {"packs/ab/2": 4}
        assert lengths("none/") == {}

    def test_a_deleted_object_is_gone_and_may_come_again(self, objects: Objects) -> None:
        objects.put(NAME, [b"first"])
        objects.delete(NAME)
        objects.delete(NAME)

        assert objects.find_length(NAME) is None
        assert list(objects.iter_names()) == []
        objects.put(NAME, [b"second"])
        assert objects.read(NAME, [(0, 9)]) == [b"second"]

    @pytest.mark.parametrize("name", ["", "/x", "a//b", "../x", "a/../b", "a/.b", "ä", "a/", "a\0"])
    def test_a_name_that_is_none_is_a_broken_invariant(self, objects: Objects, name: str) -> None:
        with pytest.raises(AssertionError):
            objects.put(name, [b"x"])
        assert list(objects.iter_names()) == []

    def test_threads_may_put_and_read_at_once(self, objects: Objects) -> None:
        def put_and_read(number: int) -> None:
            for i in range(20):
                objects.put(f"packs/aa/{i}", [b"same", bytes([i])])
                assert objects.read(f"packs/aa/{i}", [(0, 9)]) == [b"same" + bytes([i])]
                objects.put(f"packs/{number}/{i}", [bytes([number, i])])

        run_in_threads(put_and_read)

        names = {stat.name for stat in objects.iter_names()}
        assert len(names) == 20 + 4 * 20


def run_in_threads(work: Callable[[int], None]) -> None:
    """Runs ``work`` in four threads at once and raises what the first of them raised."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 (raised again below, in the caller's thread)
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
