# SPDX-License-Identifier: Apache-2.0
"""Report: what each step cost, as a table for people and as JSON for programs."""

import math
import os
import platform
from collections.abc import Iterable
from typing import Any, NamedTuple

import drystone
from benchmarks.network import WireCount
from benchmarks.peers import PeerResult
from benchmarks.processes import Cost
from drystone.cli.demo.trees import Size
from drystone.cli.output import format_bytes, format_duration, format_table


class StepResult(NamedTuple):
    """What one step cost Drystone.

    Attributes:
        name: The step.
        seconds: From the change on A until it stands on B and A knows it to be kept.
        costs: CPU seconds and peak memory by process (``server``, ``A``, ``B``).
        wire: What crossed loopback: both hops, both directions, headers included.
        requests: HTTP requests that both devices made.
        logical_bytes: Content bytes that the step concerned; 0 where that says nothing.
        is_identical: Whether both trees were found to be byte-identical afterwards.
        latencies_ms: Of single edits, where the step is made of them.
        peers: The same step by others.
        note: What a reader should know of it.
    """

    name: str
    seconds: float
    costs: dict[str, Cost]
    wire: WireCount
    requests: int
    logical_bytes: int
    is_identical: bool
    latencies_ms: tuple[float, ...] = ()
    peers: tuple[PeerResult, ...] = ()
    note: str = ""


class Report(NamedTuple):
    """One run."""

    tree: Size
    is_wire_own: bool
    steps: list[StepResult]

    @property
    def is_sound(self) -> bool:
        """Whether every step ended with identical trees."""
        return all(step.is_identical for step in self.steps)


def percentile(values: Iterable[float], percent: float) -> float:
    """Returns the smallest value that at least ``percent`` of the values do not exceed."""
    ranked = sorted(values)
    if not ranked:
        return 0.0
    rank = math.ceil(len(ranked) * percent / 100)
    return ranked[max(0, rank - 1)]


def report_json(report: Report) -> dict[str, Any]:
    """Returns the report for programs."""
    return {
        "drystone": drystone.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "tree": report.tree._asdict(),
        "wire_is_own": report.is_wire_own,
        "sound": report.is_sound,
        "steps": [_step_json(step) for step in report.steps],
    }


def report_lines(report: Report) -> list[str]:
    """Returns the report for people."""
    tree = report.tree
    heads = (
        "STEP",
        "SECONDS",
        "CPU s (server A B)",
        "PEAK MB (server A B)",
        "WIRE",
        "REQUESTS",
        "",
    )
    rows: list[tuple[str, ...]] = []
    for step in report.steps:
        rows.append(_step_row(step, is_wire_own=report.is_wire_own))
        rows += [_peer_row(peer, is_wire_own=report.is_wire_own) for peer in step.peers]
    summary = (
        f"{tree.files:,} files, {tree.folders:,} folders, {tree.symlinks:,} symlinks, "
        f"{format_bytes(tree.content_bytes)}; {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}, Drystone {drystone.__version__}"
    )
    lines = [summary, "", *format_table(heads, rows, right=[1, 4, 5])]
    notes = [f"{step.name}: {step.note}" for step in report.steps if step.note]
    lines += ["", *notes] if notes else []
    if not report.is_wire_own:
        lines += ["", "WIRE is not shown: no network namespace of our own could be made."]
    return lines


def _step_row(step: StepResult, *, is_wire_own: bool) -> tuple[str, ...]:
    costs = step.costs
    seconds = f"{step.seconds:.2f}"
    if step.latencies_ms:
        p50, p95 = (percentile(step.latencies_ms, p) / 1_000 for p in (50, 95))
        seconds = f"p50 {format_duration(p50)}, p95 {format_duration(p95)}"
    return (
        step.name,
        seconds,
        " ".join(f"{cost.cpu_s:.2f}" for cost in costs.values()),
        " ".join(f"{cost.peak_mb:.0f}" for cost in costs.values()),
        format_bytes(step.wire.wire_bytes) if is_wire_own else "-",
        f"{step.requests:,}",
        "" if step.is_identical else "TREES DIFFER",
    )


def _peer_row(peer: PeerResult, *, is_wire_own: bool) -> tuple[str, ...]:
    return (
        f"  {peer.name}",
        f"{peer.seconds:.2f}",
        f"{peer.cpu_s:.2f} (all)",
        f"{peer.peak_mb:.0f} (client)",
        format_bytes(peer.wire.wire_bytes) if is_wire_own else "-",
        "",
        "" if peer.is_identical else "trees differ",
    )


def _step_json(step: StepResult) -> dict[str, Any]:
    return {
        "name": step.name,
        "seconds": round(step.seconds, 4),
        "processes": {name: cost._asdict() for name, cost in step.costs.items()},
        "wire_bytes": step.wire.wire_bytes,
        "wire_packets": step.wire.packets,
        "requests": step.requests,
        "logical_bytes": step.logical_bytes,
        "identical": step.is_identical,
        "latencies_ms": [round(value, 2) for value in step.latencies_ms],
        "peers": [
            {
                "name": peer.name,
                "seconds": round(peer.seconds, 4),
                "cpu_s": round(peer.cpu_s, 3),
                "peak_mb": round(peer.peak_mb, 1),
                "wire_bytes": peer.wire.wire_bytes,
                "identical": peer.is_identical,
            }
            for peer in step.peers
        ],
        "note": step.note,
    }
