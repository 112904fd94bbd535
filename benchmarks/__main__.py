# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks DIR``: see README.md."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.network import enter_own_network
from benchmarks.peers import find_rsync
from benchmarks.report import Report, StepResult, report_json, report_lines
from benchmarks.volume import fresh_volume
from benchmarks.workload import STEPS, Sizes, Workload, open_devices
from drystone.cli.demo.trees import measure_tree
from drystone.cli.demo.world import World
from drystone.cli.output import show_error
from drystone.core.errors import DrystoneError

_GIB = 1 << 30
_MIB = 1 << 20


def main() -> int:
    """Runs the chosen steps; returns 0 if all trees were identical, 1 if not."""
    options = _parse_options()
    # Before anything else: a namespace can only be entered while there is a single thread.
    is_wire_own = False if options.shared_network else enter_own_network()
    source: Path = options.tree
    tree = measure_tree(source)
    try:
        with fresh_volume(
            options.workdir, options.image * _GIB, wants_image=bool(options.image)
        ) as home:
            steps = _run(options, source, home)
    except DrystoneError as error:
        show_error(error, as_json=False)
        return 1
    report = Report(tree, is_wire_own, steps)
    print("\n".join(report_lines(report)))
    if options.json is not None:
        options.json.write_text(json.dumps(report_json(report), indent=1) + "\n")
    return 0 if report.is_sound else 1


def _run(options: argparse.Namespace, source: Path, home: Path) -> list[StepResult]:
    folders = {name: home / name for name in ("world", "outside", "rsync")}
    for folder in folders.values():
        folder.mkdir()
    sizes = Sizes(options.edits, options.upgrade_files, options.big_mib * _MIB)
    has_rsync = options.rsync and find_rsync() is not None
    with World(folders["world"], has_relays=False) as world:
        world.start_server()
        open_devices(world)
        rsync_home = folders["rsync"] if has_rsync else None
        workload = Workload(world, source, folders["outside"], sizes, rsync_home)
        try:
            workload.run(options.steps or STEPS, _show)
        finally:
            workload.close()
        return workload.results


def _show(result: StepResult) -> None:
    state = "identical" if result.is_identical else "TREES DIFFER"
    beside = "".join(f"; {peer.name} {peer.seconds:.2f} s" for peer in result.peers)
    # The report comes at the end: a run that breaks off is not to be lost altogether.
    print(f"{result.name}: {result.seconds:.2f} s, {state}{beside}", file=sys.stderr, flush=True)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("tree", type=Path, metavar="DIR", help="input tree; only read")
    parser.add_argument(
        "--steps", nargs="+", metavar="STEP", help="only these, and what they stand on"
    )
    parser.add_argument("--edits", type=int, default=50, help="one-line edits (50)")
    parser.add_argument(
        "--upgrade-files", type=int, default=5_300, help="files edited by the upgrade (5300)"
    )
    parser.add_argument("--big-mib", type=int, default=1_024, help="the large file in MiB (1024)")
    parser.add_argument("--no-rsync", dest="rsync", action="store_false", help="leave rsync out")
    parser.add_argument(
        "--image", type=int, default=0, metavar="GIB",
        help="measure on a fresh ext4 image of this size (root only)",
    )  # fmt: skip
    parser.add_argument("--workdir", type=Path, help="where to put everything (a temporary folder)")
    parser.add_argument(
        "--shared-network", action="store_true", help="do not make a network namespace"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    options = parser.parse_args()
    if not options.tree.is_dir():
        parser.error(f"{options.tree} is not a folder")
    unknown = sorted(set(options.steps or ()) - set(STEPS))
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}; there are: {', '.join(STEPS)}")
    options.tree = options.tree.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
