# SPDX-License-Identifier: Apache-2.0
"""Folders on a real disk, kept in step by real programs through a real server."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from drystone.client.adapters.disk.system import exchange, rename_new
from drystone.testing.real_devices import RealDevice, converge
from drystone.testing.servers import ServerProcess

_PAUSE_S: Final = (0.0, 0.02, 0.1, 0.6)
"""How long ``go_on`` lets running programs work: chance in between, no promise."""


_HERE: Final = -100
"""AT_FDCWD: paths are given whole."""


class RealFolders:
    """Implements ``Folders``: a client that runs when it is told to.

    Args:
        home: A new folder for all devices.
        server: Where they meet.
        account: Whose they are; it is there already.
        devices_count: How many.
    """

    def __init__(self, home: Path, server: ServerProcess, account: str, devices_count: int) -> None:
        self.devices_count = devices_count
        self.devices = [
            RealDevice(home / str(number), server.url, account, f"device {number}")
            for number in range(devices_count)
        ]
        for device in self.devices:
            device.folder.mkdir(parents=True)
            device.log_in()
        self._away: set[int] = set()

    def read(self, device: int, path: str) -> bytes | None:
        try:
            return self.devices[device].read(path)
        except FileNotFoundError:
            return None

    def write(self, device: int, path: str, content: bytes) -> bytes | None:
        before = self.read(device, path)
        self.devices[device].write(path, content)
        return before

    def delete(self, device: int, path: str) -> bytes | None:
        before = self.read(device, path)
        (self.devices[device].folder / path).unlink(missing_ok=True)
        return before

    def go_on(self, device: int, much: int) -> None:
        if much and device not in self._away:
            self.devices[device].sync()

    def leave(self, device: int) -> None:
        self._away.add(device)

    def come_back(self, device: int) -> None:
        self._away.discard(device)

    def rest(self) -> Sequence[dict[str, bytes]]:
        self._away.clear()
        converge(*self.devices)
        return [
            {path: look.content for path, look in device.look().items() if look.kind == "file"}
            for device in self.devices
        ]

    def close(self) -> None:
        """Nothing runs."""


class LiveFolders(RealFolders):
    """Implements ``Folders``: a process per device watches and works all the time.

    People read and write while it does, so whatever they do here is one call of the system.

    Args:
        home: A new folder for all devices.
        server: Where they meet.
        account: Whose they are; it is there already.
        devices_count: How many.
    """

    def __init__(self, home: Path, server: ServerProcess, account: str, devices_count: int) -> None:
        super().__init__(home, server, account, devices_count)
        self._scratch = home / "scratch"
        self._scratch.mkdir()
        self._numbers = 0
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * devices_count
        for number in range(devices_count):
            self.come_back(number)

    def write(self, device: int, path: str, content: bytes) -> bytes | None:
        place = self.devices[device].folder / path
        place.parent.mkdir(exist_ok=True)
        mine = self._new_place()
        mine.write_bytes(content)
        while True:
            with suppress(FileExistsError):
                rename_new(str(mine), str(place), _HERE, _HERE)
                return None
            with suppress(FileNotFoundError):
                assert exchange(str(mine), str(place), _HERE, _HERE), "not on this filesystem"
                return mine.read_bytes()

    def delete(self, device: int, path: str) -> bytes | None:
        mine = self._new_place()
        try:
            (self.devices[device].folder / path).rename(mine)
        except FileNotFoundError:
            return None
        return mine.read_bytes()

    def go_on(self, device: int, much: int) -> None:
        time.sleep(_PAUSE_S[much])

    def leave(self, device: int) -> None:
        process = self._processes[device]
        if process is not None:
            self._processes[device] = None
            process.kill()
            process.wait()

    def come_back(self, device: int) -> None:
        if self._processes[device] is not None:
            return
        home = self.devices[device].home
        environment = {**os.environ, "DRYSTONE_CONFIG_DIR": str(home / "config")}  # noqa: TID251  handed on, not read
        with (home / "log").open("ab") as log:
            self._processes[device] = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-m", "drystone", "sync", str(self.devices[device].folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def rest(self) -> Sequence[dict[str, bytes]]:
        self.close()
        found = super().rest()
        for number in range(self.devices_count):
            self.come_back(number)
        return found

    def close(self) -> None:
        for number in range(self.devices_count):
            self.leave(number)

    def _new_place(self) -> Path:
        self._numbers += 1
        return self._scratch / str(self._numbers)
