# SPDX-License-Identifier: Apache-2.0
"""Progress: rates from sums and a clock, one line now and then, events for machines."""

import io
import json
import threading

import pytest

from drystone.cli.output import Output
from drystone.cli.progress import (
    BarProgress,
    JsonProgress,
    Meter,
    PlainProgress,
    SilentProgress,
    Work,
    amount,
    watch_progress,
)
from drystone.client.ports import ProblemRow
from drystone.core.planning.plan import Conflict, ConflictKind

MB = 1_000_000


class FakeClock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_rate_and_time_left_follow_from_two_sums():
    meter = Meter()
    meter.note(Work(0, 10, 0, 100 * MB), 0.0)
    meter.note(Work(1, 10, 10 * MB, 100 * MB), 1.0)

    assert meter.bytes_per_s == pytest.approx(10 * MB)
    assert meter.left_s() == pytest.approx(9.0)
    assert meter.describe("upload") == "up 1 of 10 files, 10 MB of 100 MB, 10 MB/s, 9.0 s left"


def test_time_left_of_empty_files_follows_from_their_number():
    meter = Meter()
    meter.note(Work(0, 1_000, 0, 0), 0.0)
    meter.note(Work(250, 1_000, 0, 0), 1.0)

    assert meter.left_s() == pytest.approx(3.0)


def test_nothing_is_promised_while_the_total_or_the_rate_is_unknown():
    meter = Meter()
    meter.note(Work(5, None, 5 * MB, None), 0.0)
    assert meter.left_s() is None

    meter.note(Work(5, 10, 5 * MB, 10 * MB), 0.1)
    assert meter.left_s() is None


def test_sums_that_fall_begin_a_new_count():
    meter = Meter()
    meter.note(Work(0, 10, 0, 10 * MB), 0.0)
    meter.note(Work(10, 10, 10 * MB, 10 * MB), 1.0)
    meter.note(Work(0, 2, 0, 2 * MB), 2.0)
    meter.note(Work(1, 2, 1 * MB, 2 * MB), 3.0)

    assert meter.bytes_per_s > 0
    assert meter.left_s() is not None


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (Work(1, None, 5, None), "1 file, 5 B"),
        (Work(2, 3, 5, None), "2 of 3 files, 5 B"),
        (Work(2, 3, 5, 10), "2 of 3 files, 5 B of 10 B"),
        (Work(3, 3, 10, 10), "3 files, 10 B"),
    ],
)
def test_amounts_name_their_total_while_there_is_more(work, text):
    assert amount(work) == text


def test_plain_lines_come_every_few_seconds_and_at_the_end():
    clock, lines = FakeClock(), []
    progress = PlainProgress(lines.append, clock)

    progress.advance("scan", 10, None, 0, None)
    clock.now_s += 3
    progress.advance("scan", 20, None, 0, None)
    progress.advance("scan", 25, None, 0, None)
    clock.now_s += 1
    progress.advance("upload", 1, 2, 3, 6)
    assert lines == ["scanned 20 entries"]

    progress.finish()
    progress.finish()
    assert lines == ["scanned 20 entries", "scanned 25 entries; up 1 of 2 files, 3 B of 6 B"]


def test_plain_lines_sum_up_when_the_sync_comes_to_rest():
    lines = []
    progress = PlainProgress(lines.append, FakeClock())

    progress.phase("scan")
    progress.advance("download", 2, 2, 6, 6)
    assert not lines
    progress.phase("idle")

    assert lines == ["down 2 files, 6 B"]


ROW = ProblemRow("a/b\x1b", "unreadable", "may not be read", "Check who owns it.", 0, 1, 0)
CONFLICT = Conflict(ConflictKind.EDIT_EDIT, b"\1" * 16, "n", "n (conflicted copy).txt")


def test_problems_and_conflicts_are_told_at_once_with_printable_names():
    lines = []
    progress = PlainProgress(lines.append, FakeClock())

    progress.problem(ROW)
    progress.conflict(CONFLICT, "d/n")
    progress.message("the server\nis away")

    assert lines == [
        "problem: a/b\\x1b: may not be read (Check who owns it.)",
        "conflict: d/n: edit-edit, your version is kept as n (conflicted copy).txt",
        "the server\\x0ais away",
    ]


def test_events_are_json_lines_and_few(capsys):
    clock = FakeClock()
    progress = JsonProgress(clock)

    progress.phase("scan")
    for done in range(5):
        progress.advance("upload", done, 10, 0, 0)
    clock.now_s += 1
    progress.advance("upload", 9, 10, 0, 0)
    progress.advance("upload", 10, 10, 0, 0)
    progress.problem(ROW)
    progress.conflict(CONFLICT, "d/n")
    progress.message("m")

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    progressed = [e["files_done"] for e in events if e["event"] == "progress"]
    assert progressed == [0, 9, 10]
    others = [e for e in events if e["event"] != "progress"]
    assert [e["event"] for e in others] == ["phase", "problem", "conflict", "message"]
    assert others[1]["code"] == "unreadable"
    assert others[2]["kept_as"] == CONFLICT.kept_as


def test_output_chooses_the_progress(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with watch_progress(Output(as_json=True)) as silent:
        silent.message("not said")
    with watch_progress(Output(as_json=True), is_endless=True) as events:
        events.message("said")
    with watch_progress(Output()) as lines:
        assert isinstance(lines, PlainProgress)

    assert isinstance(silent, SilentProgress)
    assert capsys.readouterr().out == '{"event":"message","text":"said"}\n'


def test_bars_draw_from_any_thread_and_escape_names(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    with watch_progress(Output()) as bars:
        assert isinstance(bars, BarProgress)
        work = [("scan", 5, None, 0, None), ("upload", 1, 2, 3, 6), ("upload", 2, 2, 6, 6)]
        threads = [threading.Thread(target=bars.advance, args=sums) for sums in work]
        for thread in threads:
            thread.start()
            thread.join()
        bars.message("[red]not markup[/red] \x1b[2J")

    drawn = terminal.getvalue()
    assert "scanned" in drawn
    assert "2 files, 6 B" in drawn
    assert "[red]not markup[/red]" in drawn
    assert "\x1b[2J" not in drawn
