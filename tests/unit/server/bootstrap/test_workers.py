# SPDX-License-Identifier: Apache-2.0
"""The supervisor, over workers that are a few lines each: what it does when they fail."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import pytest
import structlog

from drystone.server.bootstrap import workers as workers_module
from drystone.server.bootstrap.data_dir import opened_data_dir
from drystone.server.bootstrap.serving import Started, bind
from drystone.server.bootstrap.workers import WorkersFail, _pause_s, _Supervisor
from drystone.server.settings import ServerSettings

PATIENCE_S = 120.0

PROGRAM = """#!{python} -SE
import os, socket, sys
folder = os.path.dirname(sys.argv[0])
deed = open(os.path.join(folder, "deed")).read()
end = socket.socket(fileno=int(sys.argv[1]))
end.recv(1000)
if deed == "die":
    sys.exit(1)
if deed == "come up":
    end.send(b'N{{"up": true}}')
while end.recv(1000):
    pass
"""


class Stage:
    """A supervisor with two workers that do as they are told, and what it said."""

    def __init__(self, supervisor: _Supervisor, program: Path, said: list[dict]) -> None:
        self.supervisor = supervisor
        self.program = program
        self._said = said

    @property
    def pids(self) -> set[int]:
        places = self.supervisor._places
        return {place.process.pid for place in places if place and place.is_up.is_set()}

    def from_now_on(self, deed: str) -> None:
        (self.program.parent / "deed").write_text(deed)

    def said(self, event: str) -> int:
        return sum(line["event"] == event for line in self._said)


@asynccontextmanager
async def staged(folder: Path, deed: str = "come up") -> AsyncIterator[Stage]:
    program = folder / "worker"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o700)
    settings = ServerSettings(data_dir=folder / "data", workers=2, port=0)
    with opened_data_dir(settings.data_dir) as home:
        home.hold()
    with (
        closing(home),
        closing(bind(settings)) as listening,
        structlog.testing.capture_logs() as said,
    ):
        supervisor = _Supervisor(settings, [str(program)], home, listening, "a run")
        stage = Stage(supervisor, program, said)
        stage.from_now_on(deed)
        started = Started("http://127.0.0.1:1", settings.data_dir, True, None, 0, ())
        is_up = asyncio.Event()
        running = asyncio.create_task(supervisor.run(started, lambda _: is_up.set()))
        waiting = asyncio.create_task(is_up.wait())
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        try:
            yield stage
        finally:
            supervisor._ask_to_stop()
            await running


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        await asyncio.sleep(0.005)


def has_fresh_ones(stage: Stage, killed: set[int]) -> bool:
    return len(stage.pids - killed) == 2


def kill(stage: Stage) -> set[int]:
    """Kills both workers; returns who they were."""
    pids = stage.pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(workers_module, "BACKOFF_S", 0.01)
    monkeypatch.setattr(workers_module, "BACKOFF_S_MAX", 0.02)


def test_pauses_grow_and_end_growing_however_often_a_worker_failed():
    assert [_pause_s(failures) for failures in range(6)] == [0, 0, 0.5, 1, 2, 4]
    assert {_pause_s(failures) for failures in (9, 100, 1_100, 10**9)} == {30}


@pytest.mark.asyncio
async def test_workers_that_are_killed_are_started_anew(tmp_path, quick):
    async with staged(tmp_path) as stage:
        killed: set[int] = set()
        await until(lambda: len(stage.pids) == 2)
        for count in (2, 4, 6):
            killed |= kill(stage)
            await until(partial(has_fresh_ones, stage, killed))
            assert stage.said("worker.ended") == count


@pytest.mark.asyncio
async def test_a_worker_that_has_failed_for_days_is_started_once_it_can_be(tmp_path, quick):
    async with staged(tmp_path) as stage:
        await until(lambda: len(stage.pids) == 2)
        stage.supervisor._failures = [5_000, 5_000]
        before = kill(stage)
        await until(lambda: len(stage.pids - before) == 2)


@pytest.mark.asyncio
async def test_workers_whose_program_is_away_for_a_while_come_back(tmp_path, quick):
    async with staged(tmp_path) as stage:
        await until(lambda: len(stage.pids) == 2)
        away = stage.program.rename(tmp_path / "away")
        before = kill(stage)
        await until(lambda: stage.said("worker.not-started") >= 4)
        away.rename(stage.program)
        await until(lambda: len(stage.pids - before) == 2)


@pytest.mark.asyncio
async def test_workers_are_left_as_they_are_while_the_program_is_away(tmp_path, quick):
    async with staged(tmp_path) as stage:
        await until(lambda: len(stage.pids) == 2)
        before = stage.pids
        away = stage.program.rename(tmp_path / "away")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: stage.said("workers.not-replaced") == 1)
        assert stage.pids == before

        away.rename(stage.program)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: stage.said("workers.replaced") == 1)
        assert len(stage.pids) == 2
        assert not stage.pids & before


@pytest.mark.asyncio
async def test_a_worker_that_hangs_as_it_is_started_anew_is_killed(tmp_path, quick, monkeypatch):
    async with staged(tmp_path) as stage:
        await until(lambda: len(stage.pids) == 2)
        monkeypatch.setattr(workers_module, "HANG_S_MAX", 0.1)
        stage.from_now_on("hang")
        before = kill(stage)
        await until(lambda: stage.said("worker.hangs") >= 2)
        monkeypatch.undo()
        stage.from_now_on("come up")
        await until(lambda: len(stage.pids - before) == 2)


@pytest.mark.asyncio
async def test_workers_that_never_come_up_are_no_server(tmp_path):
    with pytest.raises(WorkersFail):
        async with staged(tmp_path, "die"):
            pass
