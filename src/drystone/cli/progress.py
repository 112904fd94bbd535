# SPDX-License-Identifier: Apache-2.0
"""Progress of a sync: bars on a terminal, a plain line now and then elsewhere, JSON lines.

Each class implements the client's ``Notices`` port. Calls come once per batch from any thread
and cost a few microseconds: they store numbers, and something is written a few times a second
at most.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from drystone.cli.output import (
    Output,
    count_of,
    format_bytes,
    format_duration,
    format_json,
    printable,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from drystone.client.ports import Notices, ProblemRow
    from drystone.core.planning.plan import Conflict

KINDS: Final = {"scan": "scanned", "upload": "up", "download": "down", "verify": "verified"}
"""The kinds of work that ``Notices.advance`` tells of, and how a line names them."""

LINE_INTERVAL_S: Final = 3.0
BARS_PER_S: Final = 5

# A small file costs about as much as this many bytes of a large one (measured: opening, naming
# and journaling one takes about 100 microseconds, in which 16 KiB are hashed, sent and written).
# Without it a bar over ten thousand small files and one large one would jump.
_FILE_WORTH_BYTES: Final = 16 * 1_024

# Rates are smoothed over about this long, so that the time left does not flicker.
_SMOOTHING_S: Final = 8.0


class Work(NamedTuple):
    """How far one kind of work has come; totals are None while unknown."""

    files_done: int = 0
    files_total: int | None = None
    bytes_done: int = 0
    bytes_total: int | None = None

    @property
    def effort_done(self) -> int:
        """What is done, with files counted as bytes."""
        return self.bytes_done + _FILE_WORTH_BYTES * self.files_done

    @property
    def effort_total(self) -> int | None:
        """What there is to do, as ``effort_done``; None while unknown."""
        if self.files_total is None:
            return None
        return (self.bytes_total or self.bytes_done) + _FILE_WORTH_BYTES * self.files_total

    @property
    def is_done(self) -> bool:
        """Whether nothing known is left to do."""
        return self.files_total is not None and self.files_done >= self.files_total


class Meter:
    """Rate and time left of one kind of work, from its sums and a clock."""

    def __init__(self) -> None:
        self.work = Work()
        self.bytes_per_s = 0.0
        self._effort_per_s = 0.0
        self._last: tuple[float, int, int] | None = None

    def note(self, work: Work, now_s: float) -> None:
        """Takes the newest sums; sums that fell begin a new count."""
        self.work = work
        if self._last is None or work.effort_done < self._last[2]:
            self._last = (now_s, work.bytes_done, work.effort_done)
            return
        then_s, bytes_then, effort_then = self._last
        elapsed_s = now_s - then_s
        if elapsed_s < 0.25:  # too short a span to divide by
            return
        weight = min(1.0, elapsed_s / _SMOOTHING_S) if self._effort_per_s else 1.0
        bytes_rate = (work.bytes_done - bytes_then) / elapsed_s
        self.bytes_per_s += weight * (bytes_rate - self.bytes_per_s)
        effort_rate = (work.effort_done - effort_then) / elapsed_s
        self._effort_per_s += weight * (effort_rate - self._effort_per_s)
        self._last = (now_s, work.bytes_done, work.effort_done)

    def left_s(self) -> float | None:
        """Returns the seconds left at the present rate; None while that cannot be told."""
        total = self.work.effort_total
        if total is None or self._effort_per_s <= 0:
            return None
        return max(0, total - self.work.effort_done) / self._effort_per_s

    def describe(self, kind: str) -> str:
        """Returns one clause: ``up 3,200 of 78,579 files, 12 MB of 1.3 GB, 45 MB/s, 26 s left``."""
        work = self.work
        if kind == "scan":
            return f"scanned {count_of(work.files_done, 'entry', 'entries')}"
        clause = f"{KINDS.get(kind, kind)} {amount(work)}"
        if not work.is_done and self.bytes_per_s > 0:
            clause += f", {format_bytes(self.bytes_per_s)}/s"
        left_s = None if work.is_done else self.left_s()
        return clause + (f", {format_duration(left_s)} left" if left_s else "")


def amount(work: Work) -> str:
    """Returns files and bytes of a kind of work, against their totals while there are more."""
    if work.files_total is None or work.is_done:
        return f"{count_of(work.files_done, 'file')}, {format_bytes(work.bytes_done)}"
    files = f"{work.files_done:,} of {count_of(work.files_total, 'file')}"
    if not work.bytes_total:
        return f"{files}, {format_bytes(work.bytes_done)}"
    return f"{files}, {format_bytes(work.bytes_done)} of {format_bytes(work.bytes_total)}"


class PlainProgress:
    """A line every few seconds: for logs, pipes and terminals that cannot draw.

    Args:
        write: Takes one line, without its end.
        clock: Monotonic seconds.
    """

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._meters = {kind: Meter() for kind in KINDS}
        self._lock = threading.Lock()
        self._next_line_s = clock() + LINE_INTERVAL_S
        self._shown = ""

    def phase(self, name: str) -> None:
        """At rest, says what was done since the last rest; other phases show in the counts."""
        if name == "idle":
            self.finish()

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        """Stores the sums; writes a line if the last one is old enough."""
        now_s = self._clock()
        with self._lock:
            meter = self._meters.setdefault(kind, Meter())
            meter.note(Work(files_done, files_total, bytes_done, bytes_total), now_s)
            if now_s < self._next_line_s:
                return
            self._next_line_s = now_s + LINE_INTERVAL_S
            self._write_counts()

    def problem(self, row: "ProblemRow") -> None:
        """Says what is wrong with one path."""
        self._write(describe_problem(row))

    def conflict(self, conflict: "Conflict", path: str) -> None:
        """Says how a conflict was settled."""
        self._write(describe_conflict(conflict, path))

    def message(self, text: str) -> None:
        """Passes a sentence on."""
        self._write(printable(text))

    def finish(self) -> None:
        """Writes the last counts if they are not yet shown."""
        with self._lock:
            self._write_counts()

    def _write_counts(self) -> None:
        clauses = [m.describe(kind) for kind, m in self._meters.items() if m.work.files_done]
        line = "; ".join(clauses)
        if line and line != self._shown:
            self._shown = line
            self._write(line)


class BarProgress:
    """Bars with files, bytes, rate and time left, drawn on stderr a few times a second."""

    def __init__(self) -> None:
        self._meters = {kind: Meter() for kind in KINDS}
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()
        self._bars = _new_bars()

    def start(self) -> None:
        """Begins to draw."""
        self._bars.start()

    def phase(self, name: str) -> None:
        """At rest the bars of finished work go away, so that a long watch stays readable."""
        if name != "idle":
            return
        with self._lock:
            for kind, task in list(self._tasks.items()):
                if self._meters[kind].work.is_done:
                    self._bars.update(task, visible=False)

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        """Moves the bar of a kind of work, which appears with its first file."""
        work = Work(files_done, files_total, bytes_done, bytes_total)
        with self._lock:
            meter = self._meters.setdefault(kind, Meter())
            changed = work != meter.work
            meter.note(work, time.monotonic())
            if not (files_done or files_total):
                return
            if kind not in self._tasks:
                self._tasks[kind] = self._bars.add_task(KINDS.get(kind, kind), total=None, tail="")
            total = None if kind == "scan" else work.effort_total
            self._bars.update(
                self._tasks[kind],
                completed=work.effort_done,
                total=total,
                tail=meter.describe(kind).removeprefix(f"{KINDS.get(kind, kind)} "),
                visible=True if changed else None,
            )

    def problem(self, row: "ProblemRow") -> None:
        """Says above the bars what is wrong with one path."""
        self.message(describe_problem(row))

    def conflict(self, conflict: "Conflict", path: str) -> None:
        """Says above the bars how a conflict was settled."""
        self.message(describe_conflict(conflict, path))

    def message(self, text: str) -> None:
        """Prints a sentence above the bars."""
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def finish(self) -> None:
        """Ends drawing; the bars stay as they stand."""
        self._bars.stop()


class JsonProgress:
    """One JSON object per line and event on stdout, for programs that watch a long sync."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_line_s: dict[str, float] = {}

    def phase(self, name: str) -> None:
        """``{"event": "phase", "name": …}``."""
        self._emit({"event": "phase", "name": name})

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        """``{"event": "progress", "kind": …}``, at most one per kind and second until done."""
        work = Work(files_done, files_total, bytes_done, bytes_total)
        now_s = self._clock()
        if not work.is_done and now_s < self._next_line_s.get(kind, 0.0):
            return
        self._next_line_s[kind] = now_s + 1.0
        self._emit({"event": "progress", "kind": kind, **work._asdict()})

    def problem(self, row: "ProblemRow") -> None:
        """``{"event": "problem", "path": …}``."""
        self._emit({"event": "problem", **row._asdict()})

    def conflict(self, conflict: "Conflict", path: str) -> None:
        """``{"event": "conflict", "path": …}``."""
        kind = conflict.kind.value
        self._emit(
            {"event": "conflict", "path": path, "kind": kind, "kept_as": conflict.kept_as},
        )

    def message(self, text: str) -> None:
        """``{"event": "message", "text": …}``."""
        self._emit({"event": "message", "text": text})

    def finish(self) -> None:
        """Nothing is held back."""

    def _emit(self, event: dict[str, object]) -> None:
        print(format_json(event), flush=True)


class SilentProgress:
    """Says nothing: the final object tells all."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def advance(
        self,
        kind: str,
        files_done: int,
        files_total: int | None,
        bytes_done: int,
        bytes_total: int | None,
    ) -> None:
        """Nothing."""

    def problem(self, row: "ProblemRow") -> None:
        """Nothing."""

    def conflict(self, conflict: "Conflict", path: str) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


@contextmanager
def watch_progress(out: Output, *, is_endless: bool = False) -> Iterator["Notices"]:
    """Gives the kind of progress that fits where the output goes, and ends it afterwards.

    Args:
        out: Where the command answers.
        is_endless: The command runs until it is stopped: with JSON its events are printed as
            lines, as there will be no final object to wait for.
    """
    progress: BarProgress | PlainProgress | JsonProgress | SilentProgress
    if out.as_json:
        progress = JsonProgress() if is_endless else SilentProgress()
    elif sys.stderr.isatty():
        progress = BarProgress()
        progress.start()
    else:
        progress = PlainProgress(lambda line: print(line, file=sys.stderr, flush=True))
    try:
        yield progress
    finally:
        progress.finish()


def count_file(notices: "Notices", kind: str, size_bytes: int) -> Callable[[int], None]:
    """Returns what to call with each further number of bytes of a single file."""
    done_bytes = 0

    def note(more_bytes: int) -> None:
        nonlocal done_bytes
        done_bytes += more_bytes
        notices.advance(kind, int(done_bytes >= size_bytes), 1, done_bytes, size_bytes)

    return note


def describe_problem(row: "ProblemRow") -> str:
    """Returns one line about trouble with one path, or about what is left out."""
    if row.is_notice:
        return f"left out: {printable(row.path)}: {printable(row.message)}"
    advice = f" ({printable(row.advice)})" if row.advice else ""
    return f"problem: {printable(row.path)}: {printable(row.message)}{advice}"


def describe_conflict(conflict: "Conflict", path: str) -> str:
    """Returns one line about a conflict and how nothing was lost by it."""
    kept = f", your version is kept as {printable(conflict.kept_as)}" if conflict.kept_as else ""
    return f"conflict: {printable(path)}: {conflict.kind.value}{kept}"


def _new_bars() -> "Progress":
    # Drawing is rich's work; it is loaded only where there is a terminal to draw on.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<7}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[tail]}", markup=False),
        console=Console(stderr=True, highlight=False),
        refresh_per_second=BARS_PER_S,
    )
