# SPDX-License-Identifier: Apache-2.0
"""rsync beside it: the same edits carried by rsync over the same loopback, in the same run.

``direct`` goes from A's folder to a copy; ``hub`` goes to a hub folder first and from there to
another copy, as Drystone goes through a server. Both use rsync's own daemon, so that its delta
algorithm is on and every byte crosses loopback, where it is counted as Drystone's are. rsync
neither keeps history nor flushes what it writes.
"""

import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.network import WireCount, find_free_port, read_wire
from benchmarks.processes import Watched, run_once
from drystone.cli.demo.trees import CONTROL_FOLDER, find_differences


class PeerResult(NamedTuple):
    """What one step cost rsync, both hops of ``hub`` together."""

    name: str
    seconds: float
    cpu_s: float
    peak_mb: float
    wire: WireCount
    is_identical: bool


def find_rsync() -> str | None:
    """Returns the path of rsync, or None where it is not installed."""
    return shutil.which("rsync")


class Rsync:
    """An rsync daemon on loopback with three empty folders, fed from A's folder.

    Args:
        source: A's folder.
        home: An empty folder on the same filesystem.
    """

    def __init__(self, source: Path, home: Path) -> None:
        rsync = find_rsync()
        assert rsync is not None, "ask find_rsync first"
        self._rsync = rsync
        self._source = source
        self._log = home / "rsync.log"
        self._folders = {name: home / name for name in ("direct", "hub", "copy")}
        config = home / "rsyncd.conf"
        lines = [
            "use chroot = no",
            "munge symlinks = no",
            "reverse lookup = no",
            "address = 127.0.0.1",
        ]
        # As root rsync would become nobody; in a user namespace it may not change at all.
        lines += ["uid = root", "gid = root"] if os.getuid() == 0 else []
        for name, folder in self._folders.items():
            folder.mkdir()
            lines += [f"[{name}]", f"  path = {folder}", "  read only = no"]
        config.write_text("\n".join(lines) + "\n")
        self._port = find_free_port()
        arguments = [rsync, "--daemon", "--no-detach", f"--config={config}", f"--port={self._port}"]
        self._daemon = Watched("rsyncd", arguments, {}, self._log)
        time.sleep(0.3)

    def carry(self) -> list[PeerResult]:
        """Brings all copies up to date and returns what each way cost."""
        return [
            self._measure("rsync direct", [(self._source, "direct")]),
            self._measure("rsync hub", [(self._source, "hub"), (self._folders["hub"], "copy")]),
        ]

    def close(self) -> None:
        """Ends the daemon; the folders stay."""
        self._daemon.stop()

    def _measure(self, name: str, hops: list[tuple[Path, str]]) -> PeerResult:
        before_wire, before_s = read_wire(), time.perf_counter()
        self._daemon.reset()
        costs = []
        for source, target in hops:
            url = f"rsync://127.0.0.1:{self._port}/{target}/"
            arguments = [self._rsync, "-a", "--delete", f"--exclude=/{CONTROL_FOLDER}"]
            costs.append(run_once([*arguments, f"{source}/", url], {}, self._log))
        seconds = time.perf_counter() - before_s
        wire = read_wire().since(before_wire)
        daemon = self._daemon.cost()
        return PeerResult(
            name,
            seconds,
            sum(cost.cpu_s for cost in costs) + daemon.cpu_s,
            max(cost.peak_mb for cost in costs),
            wire,
            not find_differences(self._source, self._folders[hops[-1][1]], limit=1),
        )
