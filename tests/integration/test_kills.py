# SPDX-License-Identifier: Apache-2.0
"""Kill -9 at random moments: of the client and of the server, up and down, again and again.

Whenever it happens, the next start goes on: nothing is lost, nothing doubled, trees converge,
and what the server acknowledged is not sent again.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drystone.testing.real_devices import look_at
from drystone.testing.servers import ServerProcess

PASSWORD = "correct horse"
LARGE_BYTES = 40 * 1024 * 1024
SLACK_BYTES = 1024 * 1024
"""Headers, entries, ids: what travels besides blocks."""


class Device:
    """A device whose every sync is a process of its own."""

    def __init__(self, home: Path, server: ServerProcess, name: str) -> None:
        self.folder = home / name
        self.environment = {
            **os.environ,
            "DRYSTONE_CONFIG_DIR": str(home / f"config-{name}"),
            "DRYSTONE_DEVICE_NAME": name,
        }
        self.folder.mkdir()
        self._run("login", server.url, "--user", "anna", "--password-stdin", given=PASSWORD)

    def sync(self) -> dict[str, int]:
        """Syncs to the end; returns what went over the wire."""
        answer = self._run("sync", str(self.folder), "--once", "--json")
        traffic: dict[str, int] = json.loads(answer.splitlines()[-1])["traffic"]
        return traffic

    def begin_sync(self) -> subprocess.Popen[bytes]:
        """Begins a sync that may be killed."""
        command = [sys.executable, "-m", "drystone", "sync", str(self.folder), "--once", "--json"]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def sync_killed_after(self, seconds: float) -> bool:
        """Syncs and is killed; returns False if it ended by itself before."""
        process = self.begin_sync()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        return False

    def _run(self, *words: str, given: str = "") -> str:
        command = [sys.executable, "-m", "drystone", *words]
        done = subprocess.run(
            command,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


def make_tree(folder: Path, chance: random.Random) -> None:
    """Fills a folder: one large file, many small ones in folders, one symlink."""
    (folder / "large.bin").write_bytes(chance.randbytes(LARGE_BYTES))
    for number in range(300):
        place = folder / f"d{number % 20}" / f"f{number}"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(chance.randbytes(chance.randrange(20_000)))
    (folder / "link").symlink_to("d1/f1")


def count_held_bytes(server: ServerProcess) -> int:
    """Returns the plain bytes of all blocks that the server has made durable."""
    path = server.data_dir / "metadata.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        found = db.execute("SELECT coalesce(sum(plain_bytes), 0) FROM block").fetchone()
    db.close()
    return int(found[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_client_killed_at_random_moments_goes_on(
    server: ServerProcess, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    one, other = Device(tmp_path, server, "one"), Device(tmp_path, server, "other")
    make_tree(one.folder, chance)
    before = look_at(one.folder)

    # A quick machine may be done before the later ones: the first ones come early enough.
    moments = [(0.2, 0.4), (0.3, 0.6), (0.4, 1.3), (0.4, 1.6)]
    kills_count = sum(one.sync_killed_after(chance.uniform(*moment)) for moment in moments)
    one.sync()
    kills_count += sum(other.sync_killed_after(chance.uniform(*moment)) for moment in moments)
    other.sync()
    one.sync()

    assert kills_count >= 2, "too quick to be killed: the test shows nothing"
    assert look_at(one.folder) == before
    assert look_at(other.folder) == before
    assert list((other.folder / ".drystone" / "stage").iterdir()) == []


def test_server_killed_at_random_moments_loses_nothing(
    server: ServerProcess, tmp_path: Path
) -> None:
    chance = random.Random(3)
    one, other = Device(tmp_path, server, "one"), Device(tmp_path, server, "other")
    make_tree(one.folder, chance)
    before = look_at(one.folder)
    port = server.port

    for device in (one, one, other, other):
        process = device.begin_sync()
        time.sleep(chance.uniform(0.5, 1.5))
        server.kill()
        server.start(port)
        process.kill()
        process.wait()
    one.sync()
    other.sync()

    assert look_at(one.folder) == before
    assert look_at(other.folder) == before


def test_acknowledged_blocks_are_not_sent_again(server: ServerProcess, tmp_path: Path) -> None:
    device = Device(tmp_path, server, "one")
    (device.folder / "large.bin").write_bytes(random.Random(4).randbytes(2 * LARGE_BYTES))

    process = device.begin_sync()
    until = time.monotonic() + 120
    while process.poll() is None and not count_held_bytes(server) and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.wait()
    # What the server still had in hand when its client vanished becomes durable, too.
    held = -1
    while held != (held := count_held_bytes(server)):
        time.sleep(0.3)
    traffic = device.sync()

    assert held > 0
    assert traffic["sent_bytes"] <= 2 * LARGE_BYTES - held + SLACK_BYTES
