# SPDX-License-Identifier: Apache-2.0
"""The command line of the simulator: ``python -m drystone.testing.world --help``."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from drystone.testing.world.exploring import Finding, Order, explore, explore_until
from drystone.testing.world.running import run_script
from drystone.testing.world.script import decode_script

_SEEDS = 1 << 40


def main(words: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; returns 1 if a law broke, 3 if there is no such file."""
    parser = argparse.ArgumentParser(prog="python -m drystone.testing.world", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    replay = commands.add_parser("replay", help="run a script, tell all that happens")
    replay.add_argument("file", type=Path)
    replay.add_argument("--quiet", action="store_true", help="tell only how it ends")
    seed = commands.add_parser("seed", help="run the worlds of some seeds, shrink what breaks")
    seed.add_argument("seeds", type=int, nargs="+")
    simulate = commands.add_parser("simulate", help="look for new seeds that break a law")
    simulate.add_argument("--seconds", type=float, default=600.0)
    simulate.add_argument("--workers", type=int, default=2)
    simulate.add_argument("--first", type=int, default=None, help="seed to begin with")
    simulate.add_argument("--keep", type=Path, default=None, help="folder for short scripts")
    told = parser.parse_args(words)
    if told.command == "replay":
        return _replay(told.file, is_quiet=told.quiet)
    if told.command == "seed":
        found = [finding for finding in explore(told.seeds) if finding is not None]
        return _tell(found, len(told.seeds), None)
    return _simulate(told)


def _replay(path: Path, *, is_quiet: bool) -> int:
    try:
        script = decode_script(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"{path} cannot be replayed: {what}\n")
        sys.stderr.write("  now: Name a file that the simulator has printed.\n")
        return 3
    verdict = run_script(script, keeps_trace=not is_quiet)
    sys.stdout.writelines(verdict.lines)
    _say(f"{verdict.law}: {verdict.what}" if verdict.law else "all laws held")
    return int(bool(verdict.law))


def _simulate(told: argparse.Namespace) -> int:
    start = SystemRandom().randrange(_SEEDS) if told.first is None else told.first
    workers_count, seconds = told.workers, told.seconds
    until_s = time.monotonic() + seconds
    orders = [Order(start + n, workers_count, until_s) for n in range(workers_count)]
    with multiprocessing.get_context("spawn").Pool(workers_count) as pool:
        results = pool.map(explore_until, orders)
    found = [finding for findings, _ in results for finding in findings]
    worlds_count = sum(count for _, count in results)
    _say(f"{worlds_count / seconds:.1f} worlds per second from seed {start} on")
    return _tell(found, worlds_count, told.keep)


def _tell(found: Sequence[Finding], worlds_count: int, keep: Path | None) -> int:
    for finding in sorted(found, key=lambda finding: (finding.verdict.law, finding.verdict.what)):
        _say(finding.show())
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            path = keep / f"{finding.verdict.law.replace(' ', '-')}-{finding.seed}.json"
            path.write_text(finding.script.encode(), encoding="utf-8")
    _say(f"{worlds_count:,} worlds, {len(found)} broke a law")
    return int(bool(found))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
