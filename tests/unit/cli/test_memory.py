# SPDX-License-Identifier: Apache-2.0

import ctypes
import gc

import pytest

from drystone.cli import memory


class Library:
    """A C library that notes what it is told."""

    def __init__(self, answer):
        self.told = {}
        self._answer = answer

    def mallopt(self, option, value):
        self.told[option] = value
        return self._answer


@pytest.mark.parametrize(("answer", "is_kept"), [(1, True), (0, False)])
def test_library_is_told_to_keep_what_is_freed(monkeypatch, answer, is_kept):
    library = Library(answer)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)

    assert memory.keep_freed_memory() is is_kept
    # M_MMAP_THRESHOLD of malloc.h: below it blocks come from the heap, which is kept.
    assert library.told[-3] == 64 * 1024 * 1024


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_systems_without_it_are_left_alone(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", fail)

    assert memory.keep_freed_memory() is False


def test_rings_are_still_found_but_not_looked_for_all_the_time():
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)
        memory.prepare_memory()

        assert gc.isenabled()
        assert gc.get_threshold()[0] > 700
        assert all(threshold > 0 for threshold in gc.get_threshold())
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
