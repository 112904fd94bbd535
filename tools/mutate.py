# SPDX-License-Identifier: Apache-2.0
"""Mutation check: breaks the planner, the guards and the commit decision in each of the ways of
``tools/mutants.py``, and tells which tests notice.

    python tools/mutate.py                  all of them, some minutes
    python tools/mutate.py deleted folder   those whose names hold these words
    python tools/mutate.py --list

Each is tried on a copy of ``src`` in a temporary folder. Tests run from quick to slow until one
fails; whatever survives all of them needs a test. Exit code 1 if one does.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from mutants import MUTANTS, Mutant

_TOP: Final = Path(__file__).resolve().parents[1]
_PYTEST: Final = ("pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
_STAGES: Final = (
    ("unit tests", (*_PYTEST, "tests/unit/core/planning", "tests/unit/core/journal")),
    ("unit tests of steps", (*_PYTEST, "tests/unit/client/steps/test_noting_progress.py")),
    (
        "properties",
        (
            *_PYTEST,
            "--hypothesis-profile=quick",
            "tests/property/test_planner_laws.py",
            "tests/property/test_planner_fuzz.py",
            "tests/property/test_journal_laws.py",
        ),
    ),
    ("corpus", (*_PYTEST, "-m", "not slow", "tests/simulation/test_worlds.py")),
    ("conflict table", (*_PYTEST, "-m", "not slow", "tests/simulation/test_conflict_table.py")),
    (
        "fresh worlds",
        ("drystone.testing.world", "simulate", "--seconds", "60", "--workers", "1", "--first", "1"),
    ),
)
_SECONDS_MAX: Final = 900


def main() -> int:
    """Tries what is asked for; prints a table line by line; returns 1 if something survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("words", nargs="*", help="only mutants whose names hold one of these")
    parser.add_argument("--list", action="store_true", help="only name them")
    told = parser.parse_args()
    chosen = [m for m in MUTANTS if not told.words or any(w in m.name for w in told.words)]
    survived_count = 0
    for mutant in chosen:
        if told.list:
            _say(f"{mutant.path:40} {mutant.name}")
            continue
        start_s = time.monotonic()
        killer = find_killer(mutant)
        survived_count += not killer
        _say(f"{killer or 'SURVIVED':20} {time.monotonic() - start_s:4.0f} s  {mutant.name}")
    if not told.list:
        _say(f"{len(chosen)} mutants, {survived_count} survived")
    return int(survived_count > 0)


def find_killer(mutant: Mutant) -> str:
    """Returns the name of the first tests that notice; empty: none does."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(_TOP / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        broken = source / "drystone" / mutant.path
        text = broken.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            raise SystemExit(f"{mutant.name!r} no longer fits {mutant.path}")
        broken.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        environment = {
            **os.environ,  # noqa: TID251  handed on, not read
            "PYTHONPATH": str(source),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for name, words in _STAGES:
            try:
                subprocess.run(
                    [sys.executable, "-m", *words],
                    cwd=_TOP,
                    env=environment,
                    capture_output=True,
                    timeout=_SECONDS_MAX,
                    check=True,
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                return name
    return ""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
