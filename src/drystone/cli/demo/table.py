# SPDX-License-Identifier: Apache-2.0
"""What the demo tells at its end: steps, sizes, and what they came to, as lines and as JSON."""

from typing import Any

from drystone.cli.demo.relay import Traffic
from drystone.cli.demo.story import Outcome, StepLine, Stored
from drystone.cli.demo.trees import Size
from drystone.cli.output import format_bytes, format_duration, format_table, printable


def describe_step(line: StepLine) -> str:
    """Returns what one step cost, in one line after its title."""
    traffic = line.traffic
    wire = f"{format_bytes(traffic.up_bytes)} up, {format_bytes(traffic.down_bytes)} down"
    return f"{format_duration(line.seconds)}; {wire}"


def describe_outcome(outcome: Outcome) -> list[str]:
    """Returns the table of steps, the table of sums, and the verdict."""
    rows = [
        (
            line.title,
            format_duration(line.seconds),
            format_bytes(line.traffic.up_bytes),
            format_bytes(line.traffic.down_bytes),
        )
        for line in outcome.steps
    ]
    heads = ("STEP", "TIME", "UP", "DOWN")
    lines = ["", *format_table(heads, rows, right=[1, 2, 3]), "", *_describe_sums(outcome), ""]
    if outcome.is_identical:
        entries = outcome.last_size.files + outcome.last_size.folders + outcome.last_size.symlinks
        lines.append(f"A and B are identical: {entries:,} entries compared byte by byte,")
        lines.append("with modes, modification times and symlinks.")
        return lines
    lines.append("A AND B DIFFER:")
    lines += [f"  {printable(found.path)}: {printable(found.how)}" for found in outcome.differences]
    return lines


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Returns the outcome for programs."""
    return {
        "identical": outcome.is_identical,
        "differences": outcome.differences,
        "steps": [
            {**line._asdict(), "traffic": line.traffic, "seconds": round(line.seconds, 3)}
            for line in outcome.steps
        ],
        "first_sync": {"size": outcome.first_size, "stored": outcome.first_stored},
        "at_the_end": {"size": outcome.last_size, "stored": outcome.last_stored},
        "files_per_second": round(_files_per_s(outcome), 1),
    }


def _describe_sums(outcome: Outcome) -> list[str]:
    first, last = outcome.first_size, outcome.last_size
    stored_first, stored_last = outcome.first_stored, outcome.last_stored
    first_traffic, all_traffic = outcome.steps[0].traffic, _add_traffic(outcome)
    all_s = sum(line.seconds for line in outcome.steps)
    rows = [
        ("files", f"{first.files:,}", f"{last.files:,}"),
        ("folders, symlinks", _others(first), _others(last)),
        ("logical bytes", format_bytes(first.content_bytes), format_bytes(last.content_bytes)),
        ("stored: each block once", *(_plain(s) for s in (stored_first, stored_last))),
        ("stored: and compressed", *(_stored(s) for s in (stored_first, stored_last))),
        ("on the wire, all ways", *(_wire(t) for t in (first_traffic, all_traffic))),
        ("seconds", f"{outcome.steps[0].seconds:.1f}", f"{all_s:.1f}"),
        ("files per second", f"{_files_per_s(outcome):,.0f}", ""),
    ]
    # What the server stores at the end holds every version of every file, current or not.
    return format_table(("", "FIRST SYNC", "ALL TOLD"), rows, right=[1, 2])


def _files_per_s(outcome: Outcome) -> float:
    return outcome.first_size.files / max(outcome.steps[0].seconds, 1e-6)


def _add_traffic(outcome: Outcome) -> Traffic:
    traffics = [line.traffic for line in outcome.steps]
    return Traffic(sum(t.up_bytes for t in traffics), sum(t.down_bytes for t in traffics))


def _others(size: Size) -> str:
    return f"{size.folders:,}, {size.symlinks:,}"


def _plain(stored: Stored) -> str:
    return format_bytes(stored.plain_bytes)


def _stored(stored: Stored) -> str:
    return format_bytes(stored.stored_bytes)


def _wire(traffic: Traffic) -> str:
    return format_bytes(traffic.total_bytes)
