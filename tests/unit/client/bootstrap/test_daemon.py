# SPDX-License-Identifier: Apache-2.0
"""Daemon: what it answers about the folders that it keeps, and when it cannot begin."""

import asyncio
import sys
from contextlib import asynccontextmanager, suppress

import pytest

from drystone.client.adapters.notices import SilentNotices
from drystone.client.adapters.roots import RootLine, drop_root, save_root
from drystone.client.bootstrap import daemon, start_daemon, stop_daemon
from drystone.client.bootstrap.repairing import Repaired, UnsentView
from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.settings import ClientSettings
from drystone.testing.service import until


class FakeLoop:
    """Does nothing until it is cancelled; remembers what it was told."""

    def __init__(self):
        self.told = []
        self.is_running = asyncio.Event()

    async def run_forever(self, _):
        self.is_running.set()
        await asyncio.Event().wait()

    async def pause(self):
        self.told.append("pause")

    def resume(self):
        self.told.append("resume")

    def allow_deletions(self):
        self.told.append("allow-deletions")

    def hint_all(self):
        self.told.append("sync-now")


@pytest.fixture
def settings(tmp_path):
    config_dir = tmp_path / "config"
    config_dir.mkdir(mode=0o700)
    return ClientSettings(config_dir=config_dir, device_name="laptop", boot_id="")


def root_at(path, *, paused=False):
    return RootLine(str(path), "11" * 16, "http://127.0.0.1:1", bytes(16), bytes(16), paused=paused)


@pytest.fixture
def loops(monkeypatch):
    """The loops that are open, by the path of their folder."""
    loops = {}

    @asynccontextmanager
    async def opened(_, root, __):
        loops[root.path] = FakeLoop()
        try:
            yield loops[root.path]
        finally:
            del loops[root.path]

    monkeypatch.setattr(daemon, "opened_loop", opened)
    monkeypatch.setattr(daemon, "watch", lambda *_: None)
    return loops


@asynccontextmanager
async def running(settings):
    """A daemon; yields what asks it, as another process does."""
    listens = asyncio.Event()
    task = asyncio.create_task(daemon.Daemon(settings, lambda _: SilentNotices()).run(listens.set))
    await listens.wait()

    async def ask(command, **arguments):
        return await asyncio.to_thread(ask_daemon, settings.socket_path, command, **arguments)

    try:
        yield ask
    finally:
        with suppress(DaemonAway):
            await ask("stop")
        await task


async def opened(loops, path):
    await until(lambda: str(path) in loops)
    await loops[str(path)].is_running.wait()
    return loops[str(path)]


@pytest.mark.asyncio
async def test_folders_come_and_go_with_the_list(settings, loops, tmp_path):
    one, two = root_at(tmp_path / "one"), root_at(tmp_path / "two")
    save_root(settings.roots_path, one)
    async with running(settings) as ask:
        await opened(loops, one.path)
        save_root(settings.roots_path, two)
        assert await ask("reload") == {"roots": 2}
        await opened(loops, two.path)
        drop_root(settings.roots_path, one.path)
        assert await ask("reload") == {"roots": 1}
        assert loops.keys() == {two.path}
    assert loops == {}
    assert not settings.socket_path.exists()


@pytest.mark.asyncio
async def test_commands_are_for_one_folder_or_all(settings, loops, tmp_path):
    roots = [root_at(tmp_path / name) for name in ("one", "two")]
    for root in roots:
        save_root(settings.roots_path, root)
    async with running(settings) as ask:
        one, two = [await opened(loops, root.path) for root in roots]
        await ask("sync-now")
        await ask("pause", folder=roots[0].path)
        await ask("resume", folder=roots[0].path)
        await ask("resume", folder=roots[1].path, allow_deletions=True)
        await ask("resume", folder=roots[1].path, allow_deletions="yes")
        for command in ("pause", "repair", "conflicts", "problems"):
            with pytest.raises(DaemonRefused) as caught:
                await ask(command, folder=str(tmp_path / "three"))
            assert caught.value.code == "no-such-root"
        with pytest.raises(DaemonRefused) as caught:
            await ask("repair")
        assert "name one folder" in caught.value.message
        with pytest.raises(DaemonRefused) as caught:
            await ask("why", target=str(tmp_path / "three" / "file"))
        assert caught.value.code == "no-such-root"
        with pytest.raises(DaemonRefused) as caught:
            await ask("dance")
        assert caught.value.code == "unknown-command"

        assert one.told == ["sync-now", "pause", "resume"]
        assert two.told == ["sync-now", "allow-deletions", "resume", "resume"]


@pytest.mark.asyncio
async def test_folder_that_was_paused_stays_so_when_the_daemon_begins(settings, loops, tmp_path):
    root = root_at(tmp_path / "one", paused=True)
    save_root(settings.roots_path, root)
    async with running(settings):
        loop = await opened(loops, root.path)

        assert loop.told == ["pause"]


@pytest.mark.asyncio
async def test_repair_is_answered_with_what_came_of_it(settings, loops, tmp_path, monkeypatch):
    root = root_at(tmp_path / "one")
    save_root(settings.roots_path, root)
    repaired = Repaired(3, 4, 2, 1, [UnsentView("a/b", "not-there", "it is gone", "look")])
    asked = []

    async def repair(loop, _progress):
        asked.append(loop)
        return repaired

    monkeypatch.setattr(daemon, "repair", repair)
    async with running(settings) as ask:
        loop = await opened(loops, root.path)
        answer = await ask("repair", folder=root.path)

        assert asked == [loop]
        assert answer == {**repaired._asdict(), "unsent": [repaired.unsent[0]._asdict()]}


@pytest.mark.asyncio
async def test_second_daemon_of_a_configuration_is_refused(settings, loops):
    async with running(settings) as ask:
        with pytest.raises(daemon.DrystoneError) as caught:
            await daemon.Daemon(settings, lambda _: SilentNotices()).run()

        assert caught.value.code == "daemon-running"
        assert "drystone stop" in caught.value.advice
        assert (await ask("status"))["roots"] == []


def test_daemon_that_ends_at_once_tells_the_end_of_its_log(settings, monkeypatch, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho it cannot begin >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(daemon.DaemonNotStarted) as caught:
        start_daemon(settings)

    assert str(settings.log_path) in caught.value.message
    assert caught.value.advice == "it cannot begin"


def test_no_daemon_cannot_be_stopped(settings):
    with pytest.raises(DaemonAway) as caught:
        stop_daemon(settings)

    assert "drystone start" in caught.value.advice
