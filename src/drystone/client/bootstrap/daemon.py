# SPDX-License-Identifier: Apache-2.0
"""The daemon: one process that keeps all synced folders of a configuration in step."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from drystone.client.adapters.clock import SystemClock
from drystone.client.adapters.roots import RootLine, load_roots
from drystone.client.bootstrap.ignoring import check_open
from drystone.client.bootstrap.inspecting import find_conflicts
from drystone.client.bootstrap.repairing import Repaired, repair, to_answer
from drystone.client.bootstrap.reviewing import answer_open, tell_review
from drystone.client.bootstrap.selecting import (
    Chosen,
    choose_open,
    examine_open,
    from_lines,
    tell_unselected,
)
from drystone.client.bootstrap.syncing import opened_loop, watch
from drystone.client.bootstrap.telling.standing import join_told, tell_safety, weigh_trouble
from drystone.client.bootstrap.telling.why import Running, explain_open
from drystone.client.control.client import DaemonAway, ask_daemon
from drystone.client.control.server import Answer, Command, listening
from drystone.client.loop.parts import World
from drystone.client.loop.running import Loop
from drystone.client.ports import Notices, ProblemRow
from drystone.client.settings import ClientSettings
from drystone.core.errors import DrystoneError, Misconfigured, Refused, Unavailable
from drystone.core.ids import FileId
from drystone.core.planning.review import Review
from drystone.core.safety import Evidence, judge

R = TypeVar("R")

NoticesFor = Callable[[str], Notices]
"""Makes the notices of the synced folder at a path."""

_REOPEN_S: Final = 30.0
_START_S_MAX: Final = 15.0
_STOP_S_MAX: Final = 60.0
_POLL_S: Final = 0.05
_LOG_BYTES_SHOWN: Final = 2_000


class DaemonNotStarted(Misconfigured):
    """A daemon was started in the background and ended again at once."""

    code = "daemon-not-started"


class KeeperFailed(Unavailable):
    """Keeping a folder in step ended by a defect; other folders go on, and it is begun anew."""

    code = "keeper-failed"


class NoSuchRoot(Refused):
    """The daemon keeps no such folder."""

    code = "no-such-root"


def run_daemon(
    settings: ClientSettings, notices_for: NoticesFor, announce: Callable[[], None] | None = None
) -> None:
    """Keeps all synced folders in step until it is told to stop, or SIGTERM or SIGINT come.

    Args:
        settings: Of this device.
        notices_for: Makes what each folder tells.
        announce: Called once when commands are answered.

    Raises:
        DaemonRunning: There is one already for this configuration.
    """
    asyncio.run(Daemon(settings, notices_for).run(announce))


def start_daemon(settings: ClientSettings) -> int:
    """Starts a daemon in the background and returns its process id once it answers.

    Raises:
        DaemonNotStarted: It ended again; the end of its log is told.
    """
    with contextlib.suppress(DaemonAway):
        return int(ask_daemon(settings.socket_path, "status", brief=True)["pid"])
    settings.config_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {**os.environ, "DRYSTONE_CONFIG_DIR": str(settings.config_dir)}  # noqa: TID251
    with settings.log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "drystone", "daemon"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until_s = time.monotonic() + _START_S_MAX
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(DaemonAway):
            ask_daemon(settings.socket_path, "status", brief=True)
            return process.pid
        time.sleep(_POLL_S)
    tail = settings.log_path.read_bytes()[-_LOG_BYTES_SHOWN:].decode(errors="replace")
    raise DaemonNotStarted(
        f"the daemon did not start (its log is {settings.log_path})", advice=tail.strip()
    )


def stop_daemon(settings: ClientSettings) -> None:
    """Stops the daemon and waits until it has ended.

    Raises:
        DaemonAway: None is running.
    """
    pid = int(ask_daemon(settings.socket_path, "stop")["pid"])
    until_s = time.monotonic() + _STOP_S_MAX
    while time.monotonic() < until_s:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(_POLL_S)


class Daemon:
    """All loops of one configuration, and the ear for commands."""

    def __init__(self, settings: ClientSettings, notices_for: NoticesFor) -> None:
        self._settings = settings
        self._notices_for = notices_for
        self._keepers: dict[str, Keeper] = {}
        self._stopping = asyncio.Event()

    async def run(self, announce: Callable[[], None] | None = None) -> None:
        """See ``run_daemon``."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        commands: dict[str, Command] = {
            "status": self._status,
            "pause": self._pause,
            "resume": self._resume,
            "sync-now": self._sync_now,
            "reload": self._reload,
            "why": self._why,
            "conflicts": self._conflicts,
            "problems": self._problems,
            "check-rules": self._check_rules,
            "selection": self._selection,
            "examine-folders": self._examine_folders,
            "choose-folders": self._choose_folders,
            "repair": self._repair,
            "review": self._review,
            "stop": self._stop,
        }
        async with listening(self._settings.socket_path, commands):
            await self._reload({})
            if announce is not None:
                announce()
            await self._stopping.wait()
            await asyncio.gather(*(keeper.end() for keeper in self._keepers.values()))

    # --- commands ----------------------------------------------------------------------------

    async def _status(self, asked: Mapping[str, Any]) -> Answer:
        """See ``standing.describe_device``; with ``brief`` only what costs next to nothing."""
        keepers = list(self._keepers.values())
        roots = [await keeper.describe() for keeper in keepers]
        if asked.get("brief") is True:
            return {"pid": os.getpid(), "roots": roots}
        safeties = [judge(await keeper.survey()) for keeper in keepers]
        for root, keeper, safety in zip(roots, keepers, safeties, strict=True):
            root["safe"] = tell_safety(safety)
            root["problems"] = [row._asdict() for row in await keeper.list_problems()]
        return {"pid": os.getpid(), "safe": join_told(safeties), "roots": roots}

    async def _pause(self, asked: Mapping[str, Any]) -> Answer:
        for keeper in self._chosen(asked):
            await keeper.pause()
        return {}

    async def _resume(self, asked: Mapping[str, Any]) -> Answer:
        for keeper in self._chosen(asked):
            keeper.resume(allow_deletions=asked.get("allow_deletions") is True)
        return {}

    async def _sync_now(self, asked: Mapping[str, Any]) -> Answer:
        for keeper in self._chosen(asked):
            keeper.sync_now()
        return {}

    async def _why(self, asked: Mapping[str, Any]) -> Answer:
        # A path may have bytes that no JSON can hold.
        path = Path(os.fsdecode(bytes.fromhex(str(asked.get("target_bytes", "")))))
        for keeper in self._keepers.values():
            if Path(keeper.root.path) in (path, *path.parents):
                return await keeper.explain(path)
        raise NoSuchRoot(f"{path} is in no folder that this daemon keeps in step")

    async def _conflicts(self, asked: Mapping[str, Any]) -> Answer:
        found = await self._one(asked).look(lambda world: find_conflicts(world.state))
        return {"lines": [line._asdict() for line in found]}

    async def _problems(self, asked: Mapping[str, Any]) -> Answer:
        found = await self._one(asked).look(lambda world: world.state.problems())
        return {"lines": [line._asdict() for line in found]}

    async def _check_rules(self, asked: Mapping[str, Any]) -> Answer:
        folder, text = str(asked.get("inside", "")), asked.get("text")
        text = None if text is None else str(text)
        return await self._one(asked).look(lambda world: check_open(world, folder, text))

    async def _selection(self, asked: Mapping[str, Any]) -> Answer:
        return {"lines": await self._one(asked).look(lambda w: tell_unselected(w.state))}

    async def _examine_folders(self, asked: Mapping[str, Any]) -> Answer:
        folders = from_lines(asked["without"])
        return {"lines": await self._one(asked).look(lambda w: examine_open(w, folders))}

    async def _choose_folders(self, asked: Mapping[str, Any]) -> Answer:
        wanted = [FileId(bytes.fromhex(file_id)) for file_id in asked["wanted"]]
        await self._one(asked).choose(from_lines(asked["without"]), wanted)
        return {}

    async def _repair(self, asked: Mapping[str, Any]) -> Answer:
        return to_answer(await self._one(asked).repair())

    async def _review(self, asked: Mapping[str, Any]) -> Answer:
        review = await self._one(asked).review(str(asked.get("answer", "")))
        return {"review": tell_review(review)}

    async def _reload(self, _: Mapping[str, Any]) -> Answer:
        """Begins with folders that are new in the list, and ends those that left it."""
        wanted = {root.path: root for root in load_roots(self._settings.roots_path)}
        for path in [path for path in self._keepers if path not in wanted]:
            await self._keepers.pop(path).end()
        for path, root in wanted.items():
            if path not in self._keepers:
                keeper = Keeper(self._settings, root, self._notices_for(path))
                self._keepers[path] = keeper
                keeper.begin()
        return {"roots": len(self._keepers)}

    async def _stop(self, _: Mapping[str, Any]) -> Answer:
        self._stopping.set()
        return {"pid": os.getpid()}

    def _one(self, asked: Mapping[str, Any]) -> "Keeper":
        chosen = self._chosen(asked)
        if len(chosen) != 1:
            raise NoSuchRoot("name one folder that this daemon keeps in step")
        return chosen[0]

    def _chosen(self, asked: Mapping[str, Any]) -> list["Keeper"]:
        path = asked.get("folder")
        if not path:
            return list(self._keepers.values())
        if str(path) not in self._keepers:
            raise NoSuchRoot(f"{path} is no folder that this daemon keeps in step")
        return [self._keepers[str(path)]]


class Keeper:
    """Keeps one folder open and its loop running, through whatever happens to it."""

    def __init__(self, settings: ClientSettings, root: RootLine, notices: Notices) -> None:
        self.root = root
        self._settings = settings
        self._notices = notices
        self._loop: Loop | None = None
        self._task: asyncio.Task[None] | None = None
        self._trouble: DrystoneError | None = None
        self._trouble_ns = 0
        self._verified: tuple[int, int] | None = None
        self._now_ns = SystemClock().now_ns
        self._retry = asyncio.Event()
        self._is_paused = root.paused

    def begin(self) -> None:
        """Begins to keep it."""
        self._task = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """Stops and closes everything. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def pause(self) -> None:
        """Leaves it alone until ``resume``."""
        self._is_paused = True
        if self._loop is not None:
            await self._loop.pause()

    def resume(self, *, allow_deletions: bool = False) -> None:
        """Goes on, after a pause or, if that is allowed, after a halt."""
        self._is_paused = False
        self._retry.set()
        if self._loop is not None:
            if allow_deletions:
                self._loop.allow_deletions()
            self._loop.resume()

    def sync_now(self) -> None:
        """Looks at everything now."""
        self._retry.set()
        if self._loop is not None:
            self._loop.hint_all()

    async def describe(self) -> dict[str, Any]:
        """Returns how it stands, for ``status``."""
        told: dict[str, Any] = {
            "path": self.root.path,
            "url": self.root.url,
            "remote_path": self.root.remote_path,
        }
        loop = self._loop
        if loop is not None:
            standing = await loop.describe()
            summary = standing.summary._asdict()
            summary["traffic"] = standing.summary.traffic._asdict()
            done = {"summary": summary, "verified": self._verified}
            return {**told, **standing._asdict(), **done}
        error = self._trouble
        phase = "away" if isinstance(error, Unavailable) else "halted"
        return {
            **told,
            "phase": "connect" if error is None else phase,
            "is_settled": False,
            "why": "" if error is None else error.message,
            "why_code": "" if error is None else error.code,
            "why_advice": "" if error is None else error.advice,
        }

    async def survey(self) -> Evidence:
        """Returns all that is known of it, for "is everything safe?"."""
        if self._loop is not None:
            return await self._loop.survey()
        known = Evidence(self._now_ns())
        if self._trouble is not None:
            known = weigh_trouble(self._trouble, self._now_ns(), self._trouble_ns)
        return known._replace(is_kept=True, is_paused=self._is_paused)

    async def list_problems(self) -> list[ProblemRow]:
        """Returns the paths in trouble; none while it is not open."""
        if self._loop is None:
            return []
        return await self._loop.inspect(lambda world: world.state.problems())

    async def explain(self, path: Path) -> dict[str, Any]:
        """Returns the evidence about one path, for ``why``."""
        loop = self._open_loop()
        known, standing = await loop.survey(), await loop.describe()
        running = Running(
            is_kept=True,
            is_paused=known.is_paused,
            stop=known.stop,
            retry_s=standing.retry_s,
            now_ns=known.now_ns,
        )
        return await loop.inspect(lambda world: explain_open(world, self.root, path, running))

    async def look(self, look: Callable[[World], R]) -> R:
        """Runs something that reads State and disk.

        Raises:
            NoSuchRoot: The folder is not open now, and so nothing is known of it.
        """
        return await self._open_loop().inspect(look)

    async def choose(self, without: Chosen, wanted: Sequence[FileId]) -> None:
        """Takes folders off this device or has them come again. Raises as ``look``."""
        loop, settings, root = self._open_loop(), self._settings, self.root
        self.root = await loop.inspect(
            lambda world: choose_open(settings, root, world.state, without, wanted)
        )
        loop.hint_all()

    async def repair(self) -> Repaired:
        """Sends again what the server lost of the folder. Raises as ``look``."""
        try:
            return await repair(self._open_loop(), self._note_verified)
        finally:
            self._verified = None

    async def review(self, choice: str) -> Review | None:
        """Returns what is kept back, and acts on a human's answer. Raises as ``look``."""
        loop = self._open_loop()
        review = await answer_open(loop, choice)
        if choice and review is not None:
            loop.hint_all()
        return review

    def _open_loop(self) -> Loop:
        if self._loop is None:
            told = self._trouble.message if self._trouble is not None else "it is being opened"
            raise NoSuchRoot(f"{self.root.path} is not open now: {told}")
        return self._loop

    async def _keep(self) -> None:
        while True:
            try:
                async with opened_loop(self._settings, self.root, self._notices) as loop:
                    self._trouble = None
                    self._loop = loop
                    if self._is_paused:
                        await loop.pause()
                    await loop.run_forever(watch(self.root, self._notices))
            except Exception as error:  # noqa: BLE001  one folder's defect must not stop the others
                self._note(_translate(error, self.root.path))
            finally:
                self._loop = None
            self._retry.clear()
            with contextlib.suppress(TimeoutError):
                wait_s = _REOPEN_S * (0.5 + random.random())
                await asyncio.wait_for(self._retry.wait(), wait_s)

    def _note_verified(self, files_count: int, bytes_count: int) -> None:
        self._verified = files_count, bytes_count

    def _note(self, error: DrystoneError) -> None:
        if self._trouble is None or self._trouble.code != error.code:
            self._notices.message(f"{error.message}. {error.advice}".rstrip())
            self._trouble_ns = self._now_ns()
        self._trouble = error


def _translate(error: Exception, path: str) -> DrystoneError:
    """Returns what stopped a folder; of a defect, the details go to the daemon's log."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, DrystoneError):
        return error
    traceback.print_exception(error)
    return KeeperFailed(
        f"a defect in Drystone stopped {path}: {type(error).__name__}: {error}",
        advice="It is begun anew by itself. Please report what the daemon's log says of it.",
    )
