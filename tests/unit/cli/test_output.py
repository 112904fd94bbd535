# SPDX-License-Identifier: Apache-2.0
"""Output: sizes and times for people, JSON for machines, hostile names for nobody."""

import json

import pytest

from drystone.cli.exit_codes import CommandFailed, ExitCode, exit_code_of
from drystone.cli.output import (
    Output,
    count_of,
    format_bytes,
    format_duration,
    format_json,
    format_table,
    printable,
    problem_of,
    shorten,
    show_error,
)
from drystone.core.errors import Corrupt, DrystoneError, Misconfigured, Refused, Unavailable
from drystone.core.planning.plan import Conflict, ConflictKind


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1 KB"),
        (1_300_000_000, "1.3 GB"),
        (99_940_000, "99.9 MB"),
        (512_345_678, "512 MB"),
        (999_600_000, "1 GB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_bytes_are_told_in_decimal_units(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0421, "42 ms"),
        (3.14, "3.1 s"),
        (42, "42 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7_800, "2 h 10 min"),
        (400_000, "4 days"),
    ],
)
def test_durations_are_told_in_the_unit_that_fits(seconds, text):
    assert format_duration(seconds) == text


def test_counts_agree_with_their_noun():
    assert count_of(1, "file") == "1 file"
    assert count_of(78_579, "file") == "78,579 files"
    assert count_of(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Übung 日本.txt", "Übung 日本.txt"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines", "two\\x0alines"),
        ("\x9b2J", "\\x9b2J"),
        ("exe.\u202egpj", "exe.\\u202egpj"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("\ud800", "\\ud800"),
    ],
)
def test_names_cannot_act_on_a_terminal(name, shown):
    assert printable(name) == shown


def test_tables_are_as_wide_as_they_must_be():
    lines = format_table(("NAME", "SIZE"), [("a", "1 B"), ("long\tname", "12 KB")], right=[1])

    assert lines == ["NAME           SIZE", "a               1 B", "long\\x09name  12 KB"]


def test_json_is_one_ascii_line_with_ids_in_hexadecimal():
    conflict = Conflict(ConflictKind.EDIT_EDIT, b"\x01" * 16, "ü\n", "")

    text = format_json({"found": [conflict], "path": "\udcff"})

    assert "\n" not in text
    assert text.isascii()
    found = json.loads(text)["found"][0]
    assert found == {
        "kind": "edit_edit",
        "file_id": "01" * 16,
        "name": "ü\n",
        "kept_as": "",
    }


class Away(Unavailable):
    code = "away-in-this-test"


def test_errors_say_what_happened_what_to_do_and_their_code(capsys):
    error = Away("no answer from \x1bx", advice="Start it.", retry_after_s=2)

    show_error(error, as_json=False)
    text = capsys.readouterr().err
    show_error(error, as_json=True)
    problem = json.loads(capsys.readouterr().err)

    assert text == (
        "drystone: no answer from \\x1bx\n  now: Start it.\n  code: away-in-this-test\n"
    )
    assert problem == {
        "code": "away-in-this-test",
        "message": "no answer from \x1bx",
        "advice": "Start it.",
        "retryable": True,
        "exit_code": 4,
        "retry_after_s": 2,
    }
    assert problem_of(error)["exit_code"] == ExitCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("x"), 3),
        (Unavailable("x"), 4),
        (Corrupt("x"), 5),
        (Misconfigured("x"), 6),
        (CommandFailed("x", ExitCode.HALTED), 8),
        (DrystoneError("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_each_family_has_its_exit_code(error, code):
    assert exit_code_of(error) == code


def test_machines_do_not_hear_what_is_said_in_passing(capsys):
    Output(as_json=True).note("in passing")
    Output(as_json=False).note("in passing")
    Output(as_json=True).answer({"n": 1}, "text")
    Output(as_json=False).answer({"n": 1}, ["text", "more"])

    captured = capsys.readouterr()
    assert captured.err == "in passing\n"
    assert captured.out == '{"n":1}\ntext\nmore\n'


def test_long_texts_are_shown_by_their_ends():
    assert shorten("short") == "short"
    shown = shorten("/" + "a" * 4_000 + "/plan.txt", 50)
    assert len(shown) == 50
    assert shown.startswith("/aaa")
    assert shown.endswith("/plan.txt")
    assert "…" in shown


def test_a_failed_request_is_told_so_that_it_is_found_in_the_servers_log(capsys):
    error = Away("no")
    error.request_id = "r1\x1b"
    show_error(error, as_json=False)

    assert capsys.readouterr().err.endswith("  request: r1\\x1b\n")
    assert problem_of(error)["request_id"] == "r1\x1b"
