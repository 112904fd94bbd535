# SPDX-License-Identifier: Apache-2.0
"""Whole systems under a seed: the corpus of what once failed, fresh worlds, and determinism."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drystone.testing.world.__main__ import main
from drystone.testing.world.drawing import draw_script
from drystone.testing.world.exploring import explore
from drystone.testing.world.running import run_script
from drystone.testing.world.script import decode_script

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))

OPEN = {
    "deleted-before-it-is-found-where-it-was-moved": (
        "a move that is seen in two looks is a deletion first; before the file is sent from its new"
        " place the power goes and takes it"
    ),
}
"""Scripts in ``open`` that break a law and are to: why. Who mends it moves it to the corpus."""

FRESH_WORLDS = 2_000
BATCH = 50
SEED_0 = 1_000_000
"""`make test` runs the same worlds each time; `make simulate` looks for others."""


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_failed_holds(path: Path) -> None:
    script = decode_script(path.read_text(encoding="utf-8"))

    verdict = run_script(script)

    assert not verdict.law, verdict.what


@pytest.mark.parametrize("name", OPEN)
def test_what_is_open_is_still_open(name: str) -> None:
    path = Path(__file__).parent / "open" / f"{name}.json"

    verdict = run_script(decode_script(path.read_text(encoding="utf-8")))

    assert verdict.law, "it holds: move it to the corpus"


def test_every_open_script_has_its_reason() -> None:
    assert {path.stem for path in (Path(__file__).parent / "open").glob("*")} == {*OPEN}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEED_0, SEED_0 + FRESH_WORLDS, BATCH))
def test_fresh_worlds_hold_all_laws(first: int) -> None:
    findings = [finding for finding in explore(range(first, first + BATCH)) if finding]

    assert not findings, "\n".join(finding.show() for finding in findings)


def test_same_script_gives_same_run() -> None:
    scripts = [draw_script(seed) for seed in range(20)]
    digests = [run_script(script).digest for script in scripts]

    assert [run_script(script).digest for script in scripts] == digests
    assert len(set(digests)) == len(digests), "the digest tells worlds apart"


@pytest.mark.slow
def test_same_script_gives_same_run_in_another_process() -> None:
    told = {_digests_in_a_process(hash_seed) for hash_seed in ("0", "1", "4711")}

    assert told == {"".join(f"{run_script(draw_script(seed)).digest}\n" for seed in range(20))}


def test_script_survives_being_written_down() -> None:
    script = draw_script(5)

    assert decode_script(script.encode()) == script
    with pytest.raises(ValueError, match="not a script"):
        decode_script("{}")
    with pytest.raises(ValueError, match="damaged"):
        decode_script('{"format": 1}')


def test_command_line_replays_and_runs_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    name = "deleted-before-it-is-found-where-it-was-moved"
    path = Path(__file__).parent / "open" / f"{name}.json"

    assert main(["replay", str(path)]) == 1
    assert main(["replay", "--quiet", str(CORPUS[0])]) == 0
    assert main(["seed", str(SEED_0)]) == 0

    told = capsys.readouterr().out
    assert "no loss" in told
    assert "all laws held" in told
    assert "1 worlds, 0 broke a law" in told


@pytest.mark.slow
def test_command_line_simulates(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    main(["simulate", "--seconds", "2", "--workers", "1", "--first", str(SEED_0)])

    assert "worlds per second" in capsys.readouterr().out


def _digests_in_a_process(hash_seed: str) -> str:
    program = (
        "from drystone.testing.world.drawing import draw_script\n"
        "from drystone.testing.world.running import run_script\n"
        "for seed in range(20): print(run_script(draw_script(seed)).digest)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout
