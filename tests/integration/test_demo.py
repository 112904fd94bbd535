# SPDX-License-Identifier: Apache-2.0
"""The demo: it shows every step, proves its end, and leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drystone.cli.exit_codes import ExitCode

pytestmark = pytest.mark.slow


def make_input(folder: Path) -> Path:
    for name, count in (("big", 60), ("small", 12)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            path = folder / name / f"{number}.txt"
            path.write_text(f"{name} {number}\n" * 50)
    (folder / "small" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "small" / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("big/0.txt")
    os.mkfifo(folder / "pipe")
    return folder


def spawn_demo(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "drystone", "demo", "--large-mib", "2", *arguments],
        env={**os.environ, "TMPDIR": str(temporary), "DRYSTONE_CONFIG_DIR": "/nowhere"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def find_left_behind(tmp_path: Path) -> list[str]:
    """Returns files in the temporary folder, and processes that speak of it."""
    left = [str(path) for path in (tmp_path / "temporary").iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_text() + (process / "environ").read_text()
        except OSError:
            continue
        if str(tmp_path / "temporary") in text and process.name != str(os.getpid()):
            left.append(text.replace("\0", " ")[:200])
    return left


def test_demo_shows_all_steps_and_proves_that_both_trees_are_identical(tmp_path):
    process = spawn_demo(tmp_path, str(make_input(tmp_path / "input")))
    out, err = process.communicate(timeout=200)

    assert process.returncode == ExitCode.OK, out + err
    for shown in (
        "first sync: 73 files",
        "1 unreadable or special ones left out",
        "one byte changed in the middle of the first",
        "one byte inserted at the front of the second",
        "the folder big renamed: 60 files",
        "notes (conflicted copy, ",
        "the folder small deleted: 13 files",
        "small restored from the server",
        "stored: and compressed",
        "files per second",
        "A and B are identical: ",
    ):
        assert shown in out
    assert find_left_behind(tmp_path) == []
    assert sorted(os.listdir(tmp_path / "input")) == ["big", "link", "pipe", "small"]


def test_demo_that_is_interrupted_leaves_nothing_behind(tmp_path):
    process = spawn_demo(tmp_path, str(make_input(tmp_path / "input")))
    while "first sync" not in (
        process.stdout.readline() if process.poll() is None else "first sync"
    ):
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)

    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in err
    until_s = time.monotonic() + 120
    while find_left_behind(tmp_path) and time.monotonic() < until_s:
        time.sleep(0.2)
    assert find_left_behind(tmp_path) == []


@pytest.mark.parametrize("name", ["missing", "file"])
def test_demo_of_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("x")
    process = spawn_demo(tmp_path, str(tmp_path / name), "--json")
    _, err = process.communicate(timeout=120)

    assert process.returncode == ExitCode.REFUSED
    assert json.loads(err)["code"] == "bad-input-tree"


def test_scaled_demo(tmp_path) -> None:
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "drystone.testing.scaled", make_input(tmp_path / "input"), "4"],
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "A and B are identical" in done.stdout
    (line,) = re.findall(r"^two new files of .*random bytes(.*)$", done.stdout, re.MULTILINE)[-1:]
    # 8.4 MB go to one device and to the other; past the relays only what controls that.
    assert "MB" not in line, line
    assert find_left_behind(tmp_path) == []
