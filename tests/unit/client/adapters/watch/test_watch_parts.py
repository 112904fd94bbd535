# SPDX-License-Identifier: Apache-2.0
"""Parts of watching that need no folder: events as bytes, changes as folders, polling."""

import asyncio
import struct
from pathlib import Path

from watchfiles import Change

from drystone.client.adapters.watch import PollingWatcher
from drystone.client.adapters.watch.elsewhere import find_folders
from drystone.client.adapters.watch.inotify import CREATE, OVERFLOW, Event, parse_events
from drystone.client.ports import Hints
from drystone.testing.fakes.watcher import FakeWatcher

ROOT = Path("/home/ann/stones")


def packed(watch: int, mask: int, cookie: int, name: bytes) -> bytes:
    length = len(name) + -len(name) % 16
    return struct.pack("iIII", watch, mask, cookie, length) + name.ljust(length, b"\0")


def test_events_are_read_one_after_the_other() -> None:
    data = packed(1, CREATE, 0, b"name") + packed(-1, OVERFLOW, 0, b"") + packed(2, 4, 7, b"\xff")

    assert list(parse_events(data)) == [
        Event(1, CREATE, 0, "name"),
        Event(-1, OVERFLOW, 0, ""),
        Event(2, 4, 7, "\udcff"),
    ]
    assert not list(parse_events(b""))


def test_changes_hint_at_the_folders_they_are_in() -> None:
    changes = [
        (Change.modified, "/home/ann/stones/a/b/file"),
        (Change.deleted, "/home/ann/stones/top"),
        (Change.added, "/home/ann/stones/c/new"),
        (Change.modified, "/home/ann/stones/.drystone/state.db"),
    ]

    assert find_folders(ROOT, changes) == {"a/b", "", "c", "c/new"}
    assert find_folders(ROOT, [(Change.deleted, "/home/ann/stones")]) == {""}
    assert find_folders(ROOT, [(Change.added, "/home/ann/stones/.drystone/x")]) == frozenset()


def test_polling_asks_for_everything_at_intervals() -> None:
    async def collect() -> list[Hints]:
        hints = PollingWatcher(interval_s=0.0).hints()
        found = [await anext(hints) for _ in range(3)]
        await hints.aclose()
        return found

    assert [hint.all for hint in asyncio.run(collect())] == [False, True, True]


def test_fake_watcher_says_what_it_was_told() -> None:
    async def collect() -> list[Hints]:
        watcher = FakeWatcher()
        watcher.tell("a", "b")
        watcher.tell_all()
        hints = watcher.hints()
        found = [await anext(hints) for _ in range(3)]
        await hints.aclose()
        return found

    first, second, third = asyncio.run(collect())

    assert first == Hints(frozenset())
    assert second.folders == {"a", "b"}
    assert third.all
