# SPDX-License-Identifier: Apache-2.0
"""The command's last resort: every ending has its code, and none its traceback."""

import io
import json
import subprocess
import sys

import pytest
import typer

from drystone.cli import app as door
from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import JsonFlag, confirm, read_password
from drystone.core.errors import Unavailable


class Away(Unavailable):
    code = "away-in-this-test"


@pytest.fixture
def ending(monkeypatch, tmp_path):
    """Lets ``drystone version`` end as a test wants it to."""
    monkeypatch.setattr("platformdirs.user_state_path", lambda *_, **__: tmp_path / "state")

    def end_with(error):
        def raise_it(*, as_json: JsonFlag = False):
            raise error

        monkeypatch.setattr(find_command("version"), "callback", raise_it)

    return end_with


def find_command(name):
    return next(c for c in door.app.registered_commands if (c.name or c.callback.__name__) == name)


def test_without_arguments_the_help_is_shown(capsys):
    assert door.run([]) == ExitCode.OK
    assert "drystone COMMAND --help" in capsys.readouterr().out


def test_version_is_told_to_people_and_machines(capsys):
    assert door.run(["version"]) == ExitCode.OK
    assert door.run(["version", "--json"]) == ExitCode.OK

    text, line = capsys.readouterr().out.splitlines()
    assert text.startswith(f"drystone {json.loads(line)['version']} ")


@pytest.mark.parametrize("arguments", [["no-such"], ["version", "--no-such"], ["version", "x"]])
def test_what_cannot_be_understood_is_a_usage_error(arguments, capsys):
    assert door.run(arguments) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert "--help" in shown.err
    assert not shown.out

    assert door.run([*arguments, "--json"]) == ExitCode.USAGE
    assert json.loads(capsys.readouterr().err)["exit_code"] == 2


def test_a_group_alone_shows_what_is_in_it(capsys):
    assert door.run(["admin"]) == ExitCode.USAGE
    assert "add-account" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Away("no answer", advice="wait"), ExitCode.UNAVAILABLE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (typer.Abort(), ExitCode.INTERRUPTED),
        (typer.Exit(7), ExitCode.PROBLEMS),
        (ZeroDivisionError("a \x1b b"), ExitCode.UNEXPECTED),
    ],
)
def test_each_ending_has_its_code_and_no_traceback(ending, capsys, error, code):
    ending(error)

    assert door.run(["version"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_details_of_a_defect_are_kept_for_a_report(ending, capsys, tmp_path):
    ending(ZeroDivisionError("deep inside \x1b"))
    kept = tmp_path / "state" / "last-error.txt"

    door.run(["version"])
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: deep inside \\x1b" in shown
    assert str(kept) in shown
    assert "raise_it" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600

    door.run(["--debug", "version"])
    assert "raise_it" in capsys.readouterr().err

    door.run(["version", "--json"])
    assert json.loads(capsys.readouterr().err)["code"] == "unexpected"


def test_a_defect_is_told_even_if_its_details_cannot_be_kept(ending, capsys, tmp_path):
    (tmp_path / "state").write_text("a file where a folder is wanted")
    ending(ZeroDivisionError())

    assert door.run(["version"]) == ExitCode.UNEXPECTED
    assert "--debug" in capsys.readouterr().err


def run_python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, timeout=120, **options
    )


def test_it_refuses_to_run_without_assertions():
    outcome = run_python("-O", "-m", "drystone", "version", text=True)

    assert outcome.returncode == ExitCode.MISCONFIGURED
    assert "assertions-off" in outcome.stderr


def test_a_reader_that_leaves_is_not_a_defect():
    script = f"{sys.executable} -m drystone --help | true; echo ${{PIPESTATUS[0]}}"
    outcome = subprocess.run(
        ["bash", "-c", script], check=False, capture_output=True, text=True, timeout=120
    )

    # It depends on who is faster whether the pipe was closed before the help was written.
    assert outcome.stdout.strip() in {"0", "141"}
    assert "Traceback" not in outcome.stderr


def test_help_starts_without_what_it_does_not_need():
    code = (
        "import sys; from drystone.cli.app import run; run(['--help']); "
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    outcome = run_python("-c", code, text=True)

    loaded = set(outcome.stderr.split())
    assert not loaded & {"aiohttp", "asyncio", "rich", "sqlite3", "starlette", "uvicorn"}


def test_passwords_come_from_a_pipe_without_their_line_end(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("dry stone \r\nrest"))
    assert read_password(from_stdin=True) == "dry stone "

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(typer.BadParameter, match="holds no password"):
        read_password(from_stdin=True)
    with pytest.raises(typer.BadParameter, match="--password-stdin"):
        read_password(from_stdin=False)


def test_new_passwords_are_asked_for_twice(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    typed = iter(["one", "one", "one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))

    assert read_password(from_stdin=False, is_new=True) == "one"
    with pytest.raises(typer.BadParameter, match="differ"):
        read_password(from_stdin=False, is_new=True)


def test_questions_are_not_put_to_a_pipe(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    confirm("Delete all?", yes=True)
    with pytest.raises(typer.BadParameter, match=r"Delete all\?.*--yes"):
        confirm("Delete all?", yes=False)
