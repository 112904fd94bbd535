# SPDX-License-Identifier: Apache-2.0
"""A script that the simulator printed is run again by ``drystone doctor replay``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drystone.cli.exit_codes import ExitCode

SCRIPTS = Path(__file__).parents[1] / "simulation"


def replay(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "drystone", "doctor", "replay", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_script_is_run_and_its_end_told() -> None:
    told = replay(SCRIPTS / "corpus" / "emptied-file.json")

    assert told.returncode == ExitCode.OK, told.stderr
    assert told.stdout.splitlines()[-1] == "all laws held"
    assert len(told.stdout.splitlines()) > 10


@pytest.mark.parametrize("text", [None, "", "{}", '{"format": 99}', "[1]", '{"format": 1}'])
def test_what_is_no_script_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "script.json"
    if text is not None:
        path.write_text(text)
    told = replay(path)

    assert told.returncode == ExitCode.REFUSED
    assert "script.json" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_script_that_breaks_a_law_ends_with_its_code() -> None:
    scripts = sorted((SCRIPTS / "open").glob("*.json"))
    for path in scripts:
        assert json.loads(path.read_text())["format"] == 1
        assert replay(path).returncode == ExitCode.PROBLEMS
