# SPDX-License-Identifier: Apache-2.0
"""Paths that the user may not even look at: told as such, by every command that is given one."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.cli.exit_codes import ExitCode

IS_ROOT = os.geteuid() == 0
NOBODY = 65_534
COMMANDS = [
    "serve --data-dir {closed}/x",
    "serve --config {closed}/x.toml",
    "DRYSTONE_SERVER_OBJECTS=file://{closed}/x serve --data-dir {home}/data --port 0",
    "DRYSTONE_SERVER_MASTER_KEY=file:{closed}/x serve --data-dir {home}/data --port 0",
    "admin list-accounts --data-dir {closed}/x",
    "admin collect --data-dir {closed}/x",
    "admin restore {closed}/x --data-dir {home}/data",
    "demo {closed}/x",
    "sync {closed}/x --once",
]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of nobody's, if that is who the commands run as; in it one that is closed."""
    path = Path(tempfile.mkdtemp(prefix="drystone-"))
    (path / "closed").mkdir(mode=0o000)
    if IS_ROOT:
        os.chown(path, NOBODY, NOBODY)
    yield path
    (path / "closed").chmod(0o700)
    shutil.rmtree(path)


def run(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs Python as somebody to whom permissions apply."""
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_ROOT else {}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DRYSTONE_")}
    return subprocess.run(
        [sys.executable, *words],
        env={**kept, **variables, "HOME": str(home)},
        cwd=home,
        check=False,
        capture_output=True,
        text=True,
        **who,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_path_that_may_not_be_looked_at_is_no_defect(home: Path, command: str) -> None:
    try:
        is_able = run(home, "-c", "import drystone").returncode == 0
    except PermissionError:
        is_able = False
    if not is_able:
        pytest.skip("others than this superuser may not run this interpreter")
    words = command.format(home=home, closed=home / "closed").split()
    variables = dict([words.pop(0).split("=", 1)]) if "=" in words[0] else {}

    done = run(home, "-m", "drystone", *words, **variables)

    assert done.returncode in (ExitCode.REFUSED, ExitCode.MISCONFIGURED), done.stderr
    assert "Permission denied" in done.stderr
