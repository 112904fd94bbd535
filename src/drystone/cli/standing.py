# SPDX-License-Identifier: Apache-2.0
"""Standing: the text and the exit code of ``drystone status``, from the answer it has for programs.

Each line comes from a small function of what it tells of: whoever has more to tell adds one.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from drystone.cli.exit_codes import ExitCode
from drystone.cli.output import (
    count_of,
    format_bytes,
    format_duration,
    format_when,
    printable,
    shorten,
)
from drystone.core.safety import NOTICE_CODES

_PROBLEMS_SHOWN: Final = 10
_MESSAGE_CHARS_MAX: Final = 240
_PHASES: Final = {
    "idle": "in step",
    "connect": "connecting",
    "scan": "looking at the disk",
    "transfer": "syncing",
    "settle": "syncing",
    "away": "waiting for the server",
    "paused": "paused",
    "halted": "HALTED",
    "unkept": "nobody keeps it in step now",
    "elsewhere": "another client keeps it in step",
}
_ANSWERS: Final = {"yes": "yes", "not_yet": "not yet", "no": "NO"}


def describe_status(found: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of ``drystone status``."""
    yield from describe_safety(found["safe"])
    yield ""
    if found["pid"] is None:
        yield "The daemon is not running. Start it with: drystone start"
    if not found["roots"]:
        runs = f"The daemon runs (process {found['pid']}). " if found["pid"] is not None else ""
        yield f"{runs}There is no synced folder. Name one with: drystone sync DIR"
    for root in found["roots"]:
        yield from _describe_root(root, is_only=len(found["roots"]) == 1)


def find_exit_code(found: Mapping[str, Any]) -> ExitCode:
    """Returns how ``drystone status`` ends."""
    safe = found["safe"]
    if safe["answer"] == "yes":
        return ExitCode.OK
    if safe["answer"] == "not_yet":
        return ExitCode.NOT_YET
    phases = {root["phase"] for root in found["roots"]}
    codes = {reason["code"] for reason in safe["reasons"]}
    if "halted" in phases:
        return ExitCode.HALTED
    if "problems" in codes:
        return ExitCode.PROBLEMS
    if "away" in phases or "server-silent" in codes:
        return ExitCode.UNAVAILABLE
    if found["pid"] is None:
        return ExitCode.NOT_RUNNING
    return ExitCode.PROBLEMS


def describe_safety(safe: Mapping[str, Any]) -> Iterator[str]:
    """Yields the answer to "is everything safe?": a line, and what to do now if anything."""
    answer = safe["answer"]
    if answer == "yes":
        when = format_when(safe["as_of_ns"])
        yield f"Safe: yes. All that is to be synced is on the server, as of {when}."
        return
    reasons = safe["reasons"]
    left = _describe_left(safe)
    told = "; ".join(shorten(reason["message"], _MESSAGE_CHARS_MAX) for reason in reasons)
    yield f"Safe: {_ANSWERS[answer]}. {f'{left}: ' if left else ''}{told}."
    for advice in dict.fromkeys(reason["advice"] for reason in reasons if reason["advice"]):
        yield f"  now: {printable(advice)}"
    if safe["as_of_ns"]:
        yield f"  Both sides agreed last at {format_when(safe['as_of_ns'])}."


def _describe_left(safe: Mapping[str, Any]) -> str:
    """Returns how much is to be sent and fetched; nothing if that is nothing."""
    if not safe["files_left"]:
        return ""
    entries = count_of(safe["files_left"], "entry", "entries")
    parts = [f"{entries}, {format_bytes(safe['bytes_left'])} to go"]
    if safe["bytes_per_s"]:
        parts.append(f"{format_bytes(safe['bytes_per_s'])}/s")
    if safe["left_s"]:
        parts.append(f"about {format_duration(safe['left_s'])} left")
    return ", ".join(parts)


def _describe_root(root: Mapping[str, Any], *, is_only: bool) -> Iterator[str]:
    phase = _PHASES.get(root["phase"], root["phase"])
    if root["phase"] == "idle" and not root["is_settled"]:
        phase = "about to look"
    yield f"{printable(root['path'])}: {phase}"
    yield f"  with      {printable(root['remote_path'])} at {printable(root['url'])}"
    if not is_only and "safe" in root:
        first, *_ = describe_safety(root["safe"])
        yield f"  safe      {first.removeprefix('Safe: ')}"
    yield from _describe_work(root)
    if root.get("unselected"):
        yield f"  without   {', '.join(map(shorten, root['unselected']))}"
    if root.get("why"):
        yield f"  why       {shorten(root['why'], _MESSAGE_CHARS_MAX)}"
        yield f"  now       {printable(root['why_advice'])}"
    yield from _describe_problems(root["problems"])


def _describe_work(root: Mapping[str, Any]) -> Iterator[str]:
    if root.get("synced_count") is not None:
        yield f"  holds     {count_of(root['synced_count'], 'entry', 'entries')} in step"
        yield f"  agreed    {format_when(root['settled_ns'])}"
    summary = root.get("summary")
    if summary:
        for way, title in (("uploaded", "sent"), ("downloaded", "brought")):
            changes = count_of(summary[f"{way}_count"], "change")
            yield f"  {title:8}  {changes}, {format_bytes(summary[f'{way}_bytes'])}"


def _describe_problems(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the first paths in trouble, and what else is left out."""
    problems = [row for row in rows if row["code"] not in NOTICE_CODES]
    for row in problems[:_PROBLEMS_SHOWN]:
        yield f"  problem: {shorten(row['path'])}: {shorten(row['message'], _MESSAGE_CHARS_MAX)}"
    if len(problems) > _PROBLEMS_SHOWN:
        yield f"  and {len(problems) - _PROBLEMS_SHOWN:,} more: drystone problems"
    if notices := len(rows) - len(problems):
        told = count_of(notices, "pipe, socket or device", "pipes, sockets and devices")
        yield f"  left out: {told} (see: drystone problems)"
