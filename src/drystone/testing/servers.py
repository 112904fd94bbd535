# SPDX-License-Identifier: Apache-2.0
"""A real server in a process of its own, for tests, demonstrations and benchmarks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from drystone.server.bootstrap import open_admin
from drystone.server.bootstrap.data_dir import find_serving_url
from drystone.server.settings import ServerSettings

CHEAP_PASSWORDS: Final = {
    "DRYSTONE_SERVER_PASSWORD_MEMORY_KIB": "1024",
    "DRYSTONE_SERVER_PASSWORD_ROUNDS": "1",
}
"""Settings that make a sign-in take a millisecond, and passwords easy to guess from their hash."""

PLAIN_OBJECTS: Final = {**CHEAP_PASSWORDS, "DRYSTONE_SERVER_MASTER_KEY": "none"}
"""The same, and packs are not encrypted: for tests that read or damage them as they lie."""

_START_S_MAX: Final = 120.0
_STOP_S_MAX: Final = 120.0


class ServerFailed(AssertionError):
    """The server ended before it listened; the message is what it said."""


class ServerProcess:
    """``python -m drystone serve`` on a free port of the loopback, with a log in a file.

    Args:
        data_dir: Of the server; made if it is missing.
        environment: Settings beyond the inherited environment.
        command: What begins the server, without the options that are added here.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        environment: Mapping[str, str] = CHEAP_PASSWORDS,
        command: Sequence[str] = (sys.executable, "-m", "drystone", "serve"),
    ) -> None:
        self.data_dir = data_dir
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self.url = ""
        self._command = [*command, "--data-dir", str(data_dir)]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def find_workers(self) -> list[int]:
        """Returns the processes of its workers, if it has any; the oldest first."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(word) for word in path.read_text(encoding="ascii").split()]

    def start(self, port: int = 0) -> Self:
        """Starts it and returns once it listens.

        Args:
            port: 0 takes any free one; give the last one to let clients find it again.

        Raises:
            ServerFailed: It ended instead, or said nothing for long.
        """
        (self.data_dir / "serving.json").unlink(missing_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own program
                [*self._command, "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},  # noqa: TID251  handed on, not read
            )
        deadline = time.monotonic() + _START_S_MAX
        while (url := find_serving_url(self.data_dir)) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(self.read_log())
            time.sleep(0.01)
        self.url = url
        return self

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def add_account(self, name: str, password: str) -> None:
        """Adds an account, as the operator's command does beside the server."""
        database = self._environment.get("DRYSTONE_SERVER_DATABASE", "sqlite")
        settings = ServerSettings(
            data_dir=self.data_dir,
            database=database,
            password_memory_kib=1024,
            password_rounds=1,
        )
        with open_admin(settings) as admin:
            admin.add_account(name, password)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends it a signal; SIGTERM asks it to stop."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Waits until it has ended; returns its exit code."""
        assert self._process is not None
        return self._process.wait(_STOP_S_MAX)

    def stop(self) -> int:
        """Asks it to stop and waits; returns its exit code."""
        self.signal()
        return self.wait()

    def kill(self) -> None:
        """Ends it at once, as a power cut would. Nothing happens if it has ended already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def read_log(self) -> str:
        """Returns what all runs on this data directory have said."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        if not self.url:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
