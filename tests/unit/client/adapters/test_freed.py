# SPDX-License-Identifier: Apache-2.0

import ctypes

import pytest

from drystone.client.adapters.freed import give_back_freed


class Library:
    """A C library that notes how much it was told to keep."""

    def __init__(self):
        self.kept_bytes = []

    def malloc_trim(self, kept_bytes):
        self.kept_bytes.append(kept_bytes)
        return 1


def test_all_that_is_free_is_given_back(monkeypatch):
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)

    give_back_freed()

    assert library.kept_bytes == [0]


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_systems_without_it_are_left_alone(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", fail)

    give_back_freed()
