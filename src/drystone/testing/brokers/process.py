# SPDX-License-Identifier: Apache-2.0
"""A broker's own program on loopback, as a process of an ordinary user."""

import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final, Self

_START_S_MAX: Final = 120.0


class BrokerProcess(ABC):
    """A server that can be killed, and stopped for a while; as a context manager, ended at its end.

    Args:
        folder: For its log, and what it keeps; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @abstractmethod
    def _make_command(self) -> list[str]:
        """Returns the program and its words, for the port that is set by then."""

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Starts it, on the port it had before if it had one, and returns once it listens."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or find_free_port()
        log_path = self._folder / "server.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the package's own program
                self._make_command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for_port(self._process, self.port, log_path)
        return self

    def kill(self) -> None:
        """Ends it at once, as a power cut would. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Lets it stand still: connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def find_free_port() -> int:
    """Returns a port of the loopback on which nobody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def wait_for_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Returns once somebody listens on a port of the loopback."""
    deadline = time.monotonic() + _START_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            said = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"the server ended: {said}"
            assert time.monotonic() < deadline, f"the server does not listen: {said}"
            time.sleep(0.01)
        else:
            return
