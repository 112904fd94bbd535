# SPDX-License-Identifier: Apache-2.0
"""A small world: a real server and real devices as processes on loopback, in one folder.

Everything is done through the command line, as a user would. Each process is started here, known
by its id, and ended by ``close``, whatever happened; what it wrote to stderr is kept in a file.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from drystone.cli.demo.relay import Relay
from drystone.client.control.client import DaemonAway, ask_daemon
from drystone.client.settings import load_settings
from drystone.core.errors import Unavailable

ACCOUNT: Final = "demo"
_PASSWORD: Final = "dry stone wall"  # noqa: S105  of an account that lives for a minute on loopback
_STOP_S_MAX: Final = 20.0
_COMMAND_S_MAX: Final = 600.0
_LOG_LINES_SHOWN: Final = 15

# Asking a device how it stands costs it a little, so it is asked more seldom the longer a step
# takes. A step has ended when nothing has moved for a moment after it.
_ASK_S_MIN: Final = 0.005
_ASK_S_MAX: Final = 0.2
_ASK_SHARE: Final = 0.03
_STILL_S: Final = 0.25
_AWAY_S_MAX: Final = 60.0
"""Longest that a started device may fail to say how it stands: it opens its folder, or is busy."""


class WorldBroken(Unavailable):
    """A process of the demo ended, failed, or did not answer in time."""

    code = "demo-broken"


class Standing(NamedTuple):
    """How a device stands, as far as a story needs to know."""

    is_settled: bool
    seen_seq: int
    requests_count: int
    conflicts_count: int
    problems_count: int
    halted_code: str
    """Why it stopped and asks; empty if it did not."""


class Program:
    """One long-running ``drystone`` process.

    Args:
        name: How messages call it.
        arguments: What follows ``drystone`` on its command line.
        environment: All of its environment.
        log: Gets its stderr.
    """

    def __init__(
        self, name: str, arguments: list[str], environment: dict[str, str], log: Path
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter
                [sys.executable, "-m", "drystone", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def read_answer(self) -> Any:
        """Waits for the first line that it prints and returns it as JSON.

        Raises:
            WorldBroken: It ended without a word.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S_MAX)
            self.require_running()
            raise WorldBroken(f"the {self.name} said nothing")
        return json.loads(line)

    def require_running(self) -> None:
        """Raises ``WorldBroken`` with the end of its log if it has ended."""
        if self._process.poll() is not None:
            raise WorldBroken(
                f"the {self.name} ended with exit code {self._process.returncode}",
                advice=f"The end of its log:\n{read_tail(self._log)}",
            )

    def stop(self) -> None:
        """Asks it to end, and kills it if it does not. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Device:
    """One device: a configuration of its own, a folder, and a daemon that keeps it in step.

    Attributes:
        name: As the server knows it.
        folder: Its synced folder.
        relay: What stands between it and the server; None: nothing.
        log: What its daemon writes.
    """

    def __init__(self, name: str, folder: Path, home: Path, url: str, relay: Relay | None) -> None:
        self.name = name
        self.folder = folder
        self.relay = relay
        self.log = home / f"{name}.log"
        self._url = url
        config = {"DRYSTONE_CONFIG_DIR": str(home / f"config-{name}")}
        self._environment = make_environment(**config)
        self._socket_path = load_settings(config).socket_path
        self._daemon: Program | None = None

    @property
    def is_started(self) -> bool:
        """Whether its daemon has been started."""
        return self._daemon is not None

    @property
    def daemon_pid(self) -> int:
        """The daemon's process id."""
        assert self._daemon is not None, "start it first"
        return self._daemon.pid

    def ask(self, *arguments: str, typed: str = "") -> Any:
        """Runs one command of this device and returns its JSON answer.

        Raises:
            WorldBroken: It failed; tells what it said.
        """
        return run_command(list(arguments), self._environment, typed)

    def log_in(self) -> None:
        """Signs the device in."""
        flags = ["--user", ACCOUNT, "--device-name", self.name, "--password-stdin"]
        self.ask("login", self._url, *flags, typed=f"{_PASSWORD}\n")

    def add_root(self) -> None:
        """Makes its folder a synced one; nothing else is done if both sides are empty."""
        self.ask("sync", str(self.folder), "--once")

    def start(self) -> None:
        """Starts the daemon."""
        assert self._daemon is None, "it is started already"
        self._daemon = Program(f"device {self.name}", ["daemon"], self._environment, self.log)

    def look_now(self) -> None:
        """Tells the daemon not to wait for its next try."""
        ask_daemon(self._socket_path, "sync-now")

    def find_standing(self) -> Standing | None:
        """Asks the daemon how it stands; None while it does not answer yet."""
        try:
            answer = ask_daemon(self._socket_path, "status", brief=True)
        except DaemonAway:
            return None
        root = answer["roots"][0] if answer["roots"] else {}
        if "summary" not in root:
            return None
        summary = root["summary"]
        return Standing(
            root["is_settled"] and root["phase"] == "idle",
            root["seen_seq"],
            summary["traffic"]["requests_count"],
            summary["conflicts_count"],
            summary["problems_count"],
            root["why_code"] if root["phase"] == "halted" else "",
        )

    def stop(self) -> None:
        """Ends the daemon. Idempotent."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def require_running(self) -> None:
        """Raises ``WorldBroken`` if the daemon has ended."""
        if self._daemon is not None:
            self._daemon.require_running()


class World:
    """A server with one account, and its devices, below one folder.

    Args:
        home: An empty folder for everything.
        has_relays: Put a relay between each device and the server.
        settings: Of the server, as variables of its environment.
    """

    def __init__(
        self, home: Path, *, has_relays: bool, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.data_dir = home / "server"
        self.environment = make_environment(**settings)
        self._home = home
        self._has_relays = has_relays
        self.devices: list[Device] = []
        self._server: Program | None = None
        self._port = 0

    @property
    def server_pid(self) -> int:
        """The server's process id."""
        assert self._server is not None, "start it first"
        return self._server.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_server(self) -> str:
        """Starts the server, makes the account, and returns the URL.

        Raises:
            WorldBroken: It does not start.
        """
        flags = ["serve", "--data-dir", str(self.data_dir), "--port", "0", "--json"]
        self._server = Program("server", flags, self.environment, self._home / "server.log")
        url = str(self._server.read_answer()["url"])
        self._port = int(url.rpartition(":")[2].strip("/"))
        flags = ["admin", "add-account", ACCOUNT, "--data-dir", str(self.data_dir)]
        run_command([*flags, "--password-stdin"], self.environment, f"{_PASSWORD}\n")
        return url

    def add_device(self, name: str) -> Device:
        """Adds a device with an empty folder, signed in, its daemon not started."""
        relay = Relay(self._port) if self._has_relays else None
        url = f"http://127.0.0.1:{relay.port if relay else self._port}"
        folder = self._home / name
        folder.mkdir(exist_ok=True)
        device = Device(name, folder, self._home, url, relay)
        self.devices.append(device)
        device.log_in()
        return device

    def find_seq(self) -> int:
        """Returns how far the devices have read the journal; 0 if none is started."""
        found = [device.find_standing() for device in self.devices if device.is_started]
        return max((standing.seen_seq for standing in found if standing), default=0)

    def wait_quiet(self, timeout_s: float, *, beyond_seq: int = -1) -> float:
        """Waits until all started devices hold the same and have nothing left to do.

        Returns the seconds until that was so; that it stayed so for a moment is waited for, but
        not counted.

        Args:
            timeout_s: How long to wait at most.
            beyond_seq: The journal must have grown past this: before that, what was done to a
                disk has not been noticed.

        Raises:
            WorldBroken: A process ended, a device has halted, or it took too long.
        """
        started_s = time.monotonic()
        heard_s = 0.0
        still: tuple[float, list[Standing]] | None = None
        while True:
            now_s = time.monotonic()
            elapsed_s = now_s - started_s
            found = [device.find_standing() for device in self.devices if device.is_started]
            standings = [standing for standing in found if standing is not None]
            if len(standings) == len(found):
                heard_s = elapsed_s
            elif elapsed_s - heard_s > _AWAY_S_MAX:
                raise self._silent()
            if len(standings) == len(found) and _is_quiet(standings, beyond_seq):
                if still is None or still[1] != standings:
                    still = (elapsed_s, standings)
                if elapsed_s - still[0] >= _STILL_S:
                    return still[0]
            else:
                still = None
                self._require_well(standings)
            if elapsed_s > timeout_s:
                raise WorldBroken(
                    f"the devices did not come to rest within {timeout_s:.0f} s",
                    advice=f"They stand so: {found}",
                )
            time.sleep(max(_ASK_S_MIN, min(_ASK_S_MAX, elapsed_s * _ASK_SHARE)))

    def _silent(self) -> WorldBroken:
        """Returns the error for devices that run but keep no folder, with the ends of logs."""
        devices = [d for d in self.devices if d.is_started and d.find_standing() is None]
        names = " and ".join(device.name for device in devices)
        logs = "\n".join(read_tail(device.log) for device in devices)
        return WorldBroken(f"device {names} cannot say how its folder stands", advice=logs)

    def _require_well(self, standings: list[Standing]) -> None:
        if self._server is not None:
            self._server.require_running()
        for device in self.devices:
            device.require_running()
        for standing in standings:
            if standing.halted_code:
                raise WorldBroken(f"a device has halted: {standing.halted_code}")

    def close(self) -> None:
        """Ends all processes and relays. Idempotent."""
        for device in self.devices:
            device.stop()
            if device.relay is not None:
                device.relay.close()
        if self._server is not None:
            self._server.stop()


def _is_quiet(standings: list[Standing], beyond_seq: int) -> bool:
    seqs = {standing.seen_seq for standing in standings}
    return (
        all(standing.is_settled for standing in standings)
        and len(seqs) <= 1
        and min(seqs, default=0) > beyond_seq
    )


def run_command(arguments: list[str], environment: dict[str, str], typed: str = "") -> Any:
    """Runs ``drystone ARGUMENTS --json`` to its end and returns its answer.

    Raises:
        WorldBroken: It failed; tells what it said.
    """
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-m", "drystone", *arguments, "--json"],
        check=False,
        capture_output=True,
        env=environment,
        input=typed,
        text=True,
        timeout=_COMMAND_S_MAX,
    )
    if done.returncode != 0:
        raise WorldBroken(
            f"`drystone {' '.join(arguments)}` ended with exit code {done.returncode}",
            advice=(done.stderr or done.stdout).strip(),
        )
    return json.loads(done.stdout or "null")


def make_environment(**added: str) -> dict[str, str]:
    """Returns an environment for a child: this one's, without settings of Drystone, and more.

    A user's own configuration must neither steer the demo nor be touched by it.
    """
    kept = os.environ.items()  # noqa: TID251  passed on, not read
    return {k: v for k, v in kept if not k.startswith("DRYSTONE_")} | added


def read_tail(log: Path) -> str:
    """Returns the last lines of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES_SHOWN:])
