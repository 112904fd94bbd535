# SPDX-License-Identifier: Apache-2.0
"""Workers: several processes behind one address, and the small one that watches over them.

    the address is bound, the data directory held       once, by the supervisor
    workers are started, and told when they are up      each takes connections from the same queue
    one that ends is started anew                       at once; again and again, ever later
    SIGHUP: each is replaced by a new one, in turn      which is up before the old one is stopped
    SIGTERM, SIGINT: all are asked to stop              a second one: at once

The supervisor has no database open and answers no requests: it relays rings from each worker to the
others, and what it holds for them (the address, the data directory) outlives each of them. Workers
are new programs, not copies of it: a replaced one runs the code and the settings of now.
"""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing, suppress
from typing import Any, Final

import structlog

from drystone.core.errors import Misconfigured
from drystone.core.ids import NamespaceId
from drystone.server.bootstrap.channel import Channel, make_pair
from drystone.server.bootstrap.composing import Membership, open_server
from drystone.server.bootstrap.data_dir import ServerHome, opened_data_dir
from drystone.server.bootstrap.serving import Started, bind, check_tls, describe, private_files
from drystone.server.bootstrap.watching.logs import configure_logs
from drystone.server.settings import ServerSettings

log = structlog.get_logger()

START_S_MAX: Final = 60.0
"""A worker that is not up by then is taken for one that will never be."""

HANG_S_MAX: Final = 600.0
"""One that is started anew gets longer: its version may be a newer one, with a database to bring
up to date, and whoever ends that has it begin again."""

STEADY_S: Final = 60.0
"""A worker that has lived for so long is started anew at once when it ends."""

BACKOFF_S: Final = 0.5
BACKOFF_S_MAX: Final = 30.0
"""Between starts of a worker that ends soon: doubled each time."""

STOP_MARGIN_S: Final = 10.0
"""Beyond the grace for requests in flight; who has not ended by then is killed."""


class WorkersFail(Misconfigured):
    """No worker could be started; what each of them said stands in the log."""

    code = "workers-fail"


def run_workers(
    settings: ServerSettings,
    command: Sequence[str],
    announce: Callable[[Started], None] = lambda _: None,
) -> None:
    """Runs ``settings.workers`` workers until SIGTERM or SIGINT; then stops them and returns.

    Args:
        settings: As for ``run_server``.
        command: Runs a worker (``run_worker``) with the same settings; the number of a file
            descriptor is added to it.
        announce: Called once, when requests are answered.

    Raises:
        Misconfigured: The server cannot start. Nothing was changed.
    """
    configure_logs(settings)
    check_tls(settings)
    with private_files(), closing(bind(settings)) as listening:
        with opened_data_dir(settings.data_dir) as home:
            home.hold(is_shared=not settings.is_embedded)
        with closing(home):
            # Whoever comes while no worker takes anybody waits here.
            listening.listen(socket.SOMAXCONN)
            run = secrets.token_hex(16)
            with asyncio.Runner() as runner:
                started = runner.run(_look(settings, home, listening, run))
                supervisor = _Supervisor(settings, command, home, listening, run)
                runner.run(supervisor.run(started, announce))


async def _look(
    settings: ServerSettings, home: ServerHome, listening: socket.socket, run: str
) -> Started:
    """Opens the server once, as each worker will: what keeps it from starting is told here."""
    with closing(open_server(settings, Membership(run, home.share()))) as server:
        started = await describe(server, settings, listening)
    return started._replace(is_first_start=home.is_new)


def _pause_s(failures: int) -> float:
    """Returns how long to wait before a worker is started that has failed so often in a row."""
    if failures <= 1:
        return 0
    # The exponent has its bound, too: after a night of failures the number would be none.
    return min(BACKOFF_S_MAX, BACKOFF_S * 2.0 ** min(failures - 2, 30))


class _Worker:
    """One process, from its start to its end."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.process = process
        self.began_s = asyncio.get_running_loop().time()
        self.is_up = asyncio.Event()
        self.has_ended = asyncio.Event()
        self._is_asked = False

    async def comes_up(self, within_s: float) -> bool:
        """Returns whether it came up, once that is known."""
        waits = [asyncio.ensure_future(e.wait()) for e in (self.is_up, self.has_ended)]
        await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self.is_up.is_set() and not self.has_ended.is_set()

    def ask_to_stop(self, *, at_once: bool = False) -> None:
        """Asks it to stop, if it was not asked before; ``at_once``: whatever it is doing."""
        if at_once:
            self.send(signal.SIGINT)
        elif not self._is_asked:
            self._is_asked = True
            self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        """Sends it a signal, if it still runs."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class _Supervisor:
    """Keeps as many workers as are wanted. Lives on the event loop."""

    def __init__(
        self,
        settings: ServerSettings,
        command: Sequence[str],
        home: ServerHome,
        listening: socket.socket,
        run: str,
    ) -> None:
        self._settings = settings
        self._command = command
        self._home = home
        self._listening = listening
        self._run = run
        self._all: dict[_Worker, Channel] = {}
        self._places: list[_Worker | None] = [None] * settings.workers
        self._failures = [0] * settings.workers
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._starting_count = 0
        self._is_rolling = self._is_to_roll_again = False

    async def run(self, started: Started, announce: Callable[[Started], None]) -> None:
        """Starts them, watches them, and returns when all have ended.

        Raises:
            WorkersFail: Not one of them came up.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._ask_to_roll)
        try:
            workers = [await self._start_in_place(number) for number in range(len(self._places))]
            is_any_up = any(
                await asyncio.gather(*(worker.comes_up(START_S_MAX) for worker in workers))
            )
            if not (is_any_up or self._stop.is_set()):
                raise WorkersFail(
                    "none of the workers could be started",
                    advice="What they logged says why. `--workers 1` does without them.",
                )
            if is_any_up:
                log.info("workers.started", url=started.url, count=len(workers))
                announce(started)
                self._home.note_serving(started.url)
            await self._stop.wait()
        finally:
            await self._end()
        log.info("workers.stopped")

    # --- one worker --------------------------------------------------------------------------

    async def _start(self, number: int) -> _Worker:
        """Starts a worker, beside the one that may have its place."""
        ours, theirs = make_pair()
        lock_fd, listening_fd = self._home.share(), self._listening.fileno()
        fds = (theirs.fileno(), listening_fd, lock_fd)
        self._starting_count += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=fds,
                # Ctrl-C is for the supervisor: to a worker it means "at once".
                process_group=0,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            self._starting_count -= 1
            theirs.close()
            os.close(lock_fd)
        worker = _Worker(number, process)
        channel = Channel(
            ours,
            on_ring=lambda namespace_id, head: self._relay(worker, namespace_id, head),
            on_note=lambda _: worker.is_up.set(),
        )
        order = {"listening": listening_fd, "lock": lock_fd, "run": self._run, "number": number}
        channel.note(order)
        self._all[worker] = channel
        self._begin(self._watch(worker))
        if self._stop.is_set():
            worker.ask_to_stop()
        return worker

    async def _start_in_place(self, number: int) -> _Worker:
        worker = await self._start(number)
        if self._places[number] is None:
            self._places[number] = worker
            self._begin(self._expect(worker))
        else:  # A new one has come there meanwhile, by SIGHUP.
            worker.ask_to_stop()
        return worker

    async def _expect(self, worker: _Worker) -> None:
        """Ends one that hangs as it starts: another one is started in its place."""
        if not (await worker.comes_up(HANG_S_MAX) or worker.has_ended.is_set()):
            log.error("worker.hangs", number=worker.number, pid=worker.process.pid)
            worker.send(signal.SIGKILL)

    async def _watch(self, worker: _Worker) -> None:
        """Waits for its end; starts another one if nobody has asked for it."""
        code = await worker.process.wait()
        self._all.pop(worker).close()
        worker.has_ended.set()
        if self._stop.is_set() or self._places[worker.number] is not worker:
            return
        log.error("worker.ended", number=worker.number, pid=worker.process.pid, code=code)
        self._places[worker.number] = None
        lived_s = asyncio.get_running_loop().time() - worker.began_s
        if lived_s > STEADY_S:
            self._failures[worker.number] = 0
        else:
            self._failures[worker.number] += 1
        await self._start_anew(worker.number)

    async def _start_anew(self, number: int) -> None:
        """Starts a worker in a place that has none, as soon as that can be done."""
        while True:
            await asyncio.sleep(_pause_s(self._failures[number]))
            if self._stop.is_set() or self._places[number] is not None:
                return
            try:
                await self._start_in_place(number)
            except OSError as error:
                self._tell_not_started(number, error)
                self._failures[number] += 1
            else:
                return

    def _tell_not_started(self, number: int, error: OSError) -> None:
        """The program is just being replaced, or there is no room for one more process."""
        log.error("worker.not-started", number=number, reason=error.strerror or str(error))

    def _relay(self, teller: _Worker, namespace_id: NamespaceId, head: int) -> None:
        for worker, channel in self._all.items():
            if worker is not teller:
                channel.ring(namespace_id, head)

    # --- all of them -------------------------------------------------------------------------

    def _ask_to_roll(self) -> None:
        self._is_to_roll_again = True
        if not self._is_rolling:
            self._is_rolling = True
            self._begin(self._roll())

    async def _roll(self) -> None:
        """Replaces each worker by a new one, which is up before the old one is asked to stop."""
        try:
            while self._is_to_roll_again:
                self._is_to_roll_again = False
                log.info("workers.rolling")
                for number in range(len(self._places)):
                    if not (self._stop.is_set() or await self._replace(number)):
                        # The others are not risked for what is wrong with the first.
                        log.error("workers.not-replaced", number=number)
                        break
                else:
                    log.info("workers.replaced")
        finally:
            self._is_rolling = False

    async def _replace(self, number: int) -> bool:
        """Returns False if the new one does not come up: then the old one stays."""
        try:
            new = await self._start(number)
        except OSError as error:
            self._tell_not_started(number, error)
            return False
        if not await new.comes_up(START_S_MAX):
            new.send(signal.SIGKILL)
            return False
        # It may have ended meanwhile, and be started anew already.
        old, self._places[number] = self._places[number], new
        if old is not None:
            await self._stop_one(old)
        return True

    async def _stop_one(self, worker: _Worker) -> None:
        worker.ask_to_stop()
        try:
            async with asyncio.timeout(self._settings.stop_grace_s + STOP_MARGIN_S):
                await worker.has_ended.wait()
        except TimeoutError:
            log.warning("worker.killed", number=worker.number, pid=worker.process.pid)
            worker.send(signal.SIGKILL)
            await worker.has_ended.wait()

    def _ask_to_stop(self) -> None:
        at_once = self._stop.is_set()
        self._stop.set()
        for worker in self._all:
            worker.ask_to_stop(at_once=at_once)

    async def _end(self) -> None:
        """Returns when no worker runs any more."""
        self._stop.set()
        while self._all or self._starting_count:
            await asyncio.gather(*(self._stop_one(worker) for worker in list(self._all)))
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
