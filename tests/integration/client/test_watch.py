# SPDX-License-Identifier: Apache-2.0
"""The native watcher on a real folder: whatever is done is hinted at."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from drystone.client.adapters.watch import inotify, make_watcher, native
from drystone.client.adapters.watch.elsewhere import ElsewhereWatcher
from drystone.client.adapters.watch.inotify import NoMoreWatches
from drystone.client.ports import Hints

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

WAIT_S = 120.0


class Listener:
    """Collects hints while something is done."""

    def __init__(self, hints: AsyncIterator[Hints]) -> None:
        self._hints = hints

    async def begin(self) -> None:
        assert await anext(self._hints) == Hints(frozenset())

    async def until(self, *wanted: str) -> set[str]:
        """Listens until all wanted folders were hinted at; returns all that were."""
        seen: set[str] = set()
        async with asyncio.timeout(WAIT_S):
            while not seen >= set(wanted):
                seen |= (await anext(self._hints)).folders
        return seen


def listening(root: Path, do: Callable[[Listener], Awaitable[None]]) -> list[str]:
    """Watches a folder while ``do`` runs; returns what the watcher told in words."""
    told: list[str] = []

    async def run() -> None:
        hints = make_watcher(root, told.append).hints()
        listener = Listener(hints)
        await listener.begin()
        try:
            await do(listener)
        finally:
            await hints.aclose()

    asyncio.run(run())
    return told


def test_each_kind_of_change_hints_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "a/b/file").write_text("1")

    async def do(listener: Listener) -> None:
        (tmp_path / "a/b/file").write_text("22")
        await listener.until("a/b")
        (tmp_path / "a/b/file").chmod(0o600)
        await listener.until("a/b")
        (tmp_path / "a/b/file").rename(tmp_path / "c/moved")
        await listener.until("a/b", "c")
        (tmp_path / "c/moved").unlink()
        await listener.until("c")
        (tmp_path / "top").symlink_to("nowhere")
        await listener.until("")
        (tmp_path / "a").chmod(0o700)
        await listener.until("")

    assert not listening(tmp_path, do)


def test_new_folders_are_hinted_at_and_watched_with_all_below(tmp_path: Path) -> None:
    async def do(listener: Listener) -> None:
        (tmp_path / "x/y/z").mkdir(parents=True)
        await listener.until("", "x")
        (tmp_path / "x/y/z/file").write_text("1")
        await listener.until("x/y/z")

    assert not listening(tmp_path, do)


def test_moved_folder_is_watched_under_its_new_path(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()

    async def do(listener: Listener) -> None:
        (tmp_path / "a").rename(tmp_path / "c/new")
        await listener.until("", "c", "c/new")
        (tmp_path / "c/new/b/file").write_text("1")
        seen = await listener.until("c/new/b")
        assert "a/b" not in seen

    assert not listening(tmp_path, do)


def test_folder_that_left_is_no_longer_watched_and_is_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)

    async def do(listener: Listener) -> None:
        (root / "a").rename(tmp_path / "outside")
        await listener.until("")
        (tmp_path / "outside/b/file").write_text("1")
        (tmp_path / "outside").rename(root / "back")
        seen = await listener.until("", "back")
        assert "a/b" not in seen
        (root / "back/b/file").write_text("2")
        await listener.until("back/b")

    assert not listening(root, do)


def test_control_folder_is_not_told_of(tmp_path: Path) -> None:
    (tmp_path / ".drystone/stage").mkdir(parents=True)

    async def do(listener: Listener) -> None:
        (tmp_path / ".drystone/stage/x").write_text("1")
        (tmp_path / ".drystone/y").write_text("1")
        (tmp_path / "file").write_text("1")
        assert await listener.until("") == {""}

    assert not listening(tmp_path, do)


def test_many_folders_in_a_burst_are_all_told(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(300)]

    async def do(listener: Listener) -> None:
        for name in names:
            (tmp_path / name).mkdir()
            (tmp_path / name / "below").mkdir()
        await listener.until(*names)
        for name in names:
            (tmp_path / name / "below/file").write_text("1")
        await listener.until(*(f"{name}/below" for name in names))

    assert not listening(tmp_path, do)


def test_file_that_is_written_and_not_closed_is_hinted_at_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_RESTLESS_S", 0.1)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/log").write_text("")

    async def do(listener: Listener) -> None:
        with (tmp_path / "a/log").open("a") as log:
            log.write("line")
            log.flush()
            await listener.until("a")

    assert not listening(tmp_path, do)


def test_limit_of_watches_is_said_once_and_scans_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    add = inotify.Inotify.add

    def add_few(self: inotify.Inotify, path: bytes) -> int | None:
        if path.endswith((b"/3", b"/4")):
            raise NoMoreWatches
        return add(self, path)

    monkeypatch.setattr(inotify.Inotify, "add", add_few)
    monkeypatch.setattr(native, "POLL_S", 0.05)
    told: list[str] = []

    async def run() -> None:
        hints = make_watcher(tmp_path, told.append).hints()
        async with asyncio.timeout(WAIT_S):
            assert await anext(hints) == Hints(frozenset())
            for _ in range(3):
                assert (await anext(hints)).all
        await hints.aclose()

    asyncio.run(run())

    assert len(told) == 1
    assert "fs.inotify.max_user_watches" in told[0]


def test_overflow_says_that_anything_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = inotify.Inotify.read

    def read_overflow(self: inotify.Inotify) -> list[inotify.Event]:
        return [*read(self), inotify.Event(-1, inotify.OVERFLOW, 0, "")]

    async def run() -> None:
        hints = make_watcher(tmp_path, print).hints()
        async with asyncio.timeout(WAIT_S):
            await anext(hints)
            monkeypatch.setattr(inotify.Inotify, "read", read_overflow)
            (tmp_path / "file").write_text("1")
            assert (await anext(hints)).all
        await hints.aclose()

    asyncio.run(run())


def test_where_watching_is_impossible_scans_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: inotify.Inotify) -> None:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(inotify.Inotify, "__init__", refuse)
    told: list[str] = []

    async def run() -> None:
        hints = make_watcher(tmp_path, told.append).hints()
        async with asyncio.timeout(WAIT_S):
            assert (await anext(hints)).all
        await hints.aclose()

    asyncio.run(run())

    assert "fs.inotify.max_user_instances" in told[0]


def test_library_for_other_systems_hints_at_changes_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    told: list[str] = []

    async def run() -> None:
        hints = ElsewhereWatcher(tmp_path, told.append).hints()
        listener = Listener(hints)
        await listener.begin()

        async def keep_writing() -> None:
            for number in range(200):
                (tmp_path / "a/file").write_text(str(number))
                await asyncio.sleep(0.05)

        writing = asyncio.create_task(keep_writing())
        await listener.until("a")
        writing.cancel()
        await hints.aclose()

    asyncio.run(run())

    assert not told


LIMITED = """
import asyncio, json, sys
from pathlib import Path
from drystone.client.adapters.watch import make_watcher, native

async def listen():
    told, found = [], []
    hints = make_watcher(Path(sys.argv[1]), told.append).hints()
    async with asyncio.timeout(120):
        await anext(hints)
        (Path(sys.argv[1]) / "file").write_text("1")
        while "" not in {folder for hint in found for folder in hint.folders} or sum(
            hint.all for hint in found
        ) < 3:
            found.append(await anext(hints))
    await hints.aclose()
    print(json.dumps(told))

native.POLL_S = 0.2
asyncio.run(listen())
"""


def test_real_limit_of_watches_is_said_once_and_scans_stand_in(tmp_path: Path) -> None:
    """In a namespace of its own a user may have few watches, whatever the system allows."""
    if shutil.which("unshare") is None:
        pytest.skip("this system has no unshare")
    for number in range(20):
        (tmp_path / "root" / str(number)).mkdir(parents=True)
    limit = "echo 8 > /proc/sys/user/max_inotify_watches"
    probe = subprocess.run(["unshare", "-U", "-r", "sh", "-c", limit], check=False)
    if probe.returncode:
        pytest.skip("this system does not let us limit watches")
    command = f'{limit} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-U", "-r", "sh", "-c", command, "sh", sys.executable, "-c", LIMITED,
         str(tmp_path / "root")],
        check=True,
        capture_output=True,
    )  # fmt: skip

    (told,) = json.loads(done.stdout)
    assert "8 of those" in told
    assert "every 0 s" in told
    assert "sudo sysctl fs.inotify.max_user_watches=" in told
