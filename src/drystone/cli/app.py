# SPDX-License-Identifier: Apache-2.0
"""The ``drystone`` command: its groups, its last resort for errors, its exit codes."""

import os
import sys
from typing import Annotated, Any

import typer

import drystone
from drystone.cli.commands import (
    admin,
    admin_keys,
    choosing,
    daemon,
    demo,
    devices,
    files,
    history,
    login,
    receipt,
    review,
    serve,
    sync,
    trouble,
)
from drystone.cli.exit_codes import ExitCode, exit_code_of
from drystone.cli.help_pages import HELP_OPTIONS, SectionedGroup, page_commands
from drystone.cli.options import JsonFlag
from drystone.cli.output import Output, format_json, printable, show_error
from drystone.core.errors import DrystoneError, Misconfigured

# Typer carries its own copy of click, whose classes are reached through the public one.
_USAGE_ERROR, _CLICK_ERROR = typer.BadParameter.__mro__[1:3]


class AssertionsOff(Misconfigured):
    """The interpreter was told to leave assertions out; they guard people's files."""

    code = "assertions-off"

    def __init__(self) -> None:
        super().__init__(
            "Python runs with -O, which turns off checks that Drystone relies on",
            advice="Start it without -O and without PYTHONOPTIMIZE.",
        )


app = typer.Typer(
    name="drystone",
    cls=SectionedGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP_OPTIONS, "max_content_width": 100},
)


@app.callback()
def drystone_command(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an unexpected error came from.")
    ] = False,
) -> None:
    """Self-hosted file sync that never loses your work.

    A first server, on this machine:
      drystone serve
      drystone admin add-account ana

    A first device:
      drystone login http://127.0.0.1:8440 --user ana
      drystone sync ~/Documents

    `drystone COMMAND --help` tells more about each command, by example.
    """


def version(*, as_json: JsonFlag = False) -> None:
    """Print the version of Drystone and of the Python it runs on.

    Examples:
      drystone version
      drystone version --json
    """
    python = sys.version.split()[0]
    Output(as_json=as_json).answer(
        {"version": drystone.__version__, "python": python},
        f"drystone {drystone.__version__} (Python {python})",
    )


for _module in (
    login,
    sync,
    choosing,
    daemon,
    review,
    files,
    history,
    receipt,
    trouble,
    serve,
    demo,
):
    _module.register(app)
app.add_typer(devices.group, name="devices")
admin_keys.register(admin.group)
app.add_typer(admin.group, name="admin")
app.command("version")(version)
page_commands(app)


def main() -> None:
    """Runs the command line of this process and ends the process."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown escaped; it must not end a listing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; the last resort for every error."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    as_json = "--json" in options
    try:
        if not __debug__:
            raise AssertionsOff
        outcome = app(arguments or ["--help"], prog_name="drystone", standalone_mode=False)
    except DrystoneError as error:
        show_error(error, as_json=as_json)
        return exit_code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        print("drystone: stopped; what was finished stays finished", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader (`| head`) has seen enough; Typer's click says so by SystemExit. Python would
        # complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.READER_LEFT
    except Exception as error:  # noqa: BLE001  the last resort
        if isinstance(error, _CLICK_ERROR):
            return _show_usage(error, as_json=as_json)
        return _show_unexpected(error, as_json=as_json, debug="--debug" in options)
    return outcome if isinstance(outcome, int) else ExitCode.OK


def _show_usage(error: Any, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    typed = context.command_path if context is not None else "drystone"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message(), file=sys.stderr)
        return ExitCode.USAGE
    message = error.format_message()
    problem = {
        "code": "usage",
        "message": message,
        "advice": f"Run `{typed} --help`.",
        "retryable": False,
        "exit_code": int(ExitCode.USAGE),
    }
    if as_json:
        print(format_json(problem), file=sys.stderr)
    else:
        text = f"drystone: {printable(message)}\n  now: `{typed} --help` shows how it is used"
        print(text, file=sys.stderr)
    return ExitCode.USAGE


def _show_unexpected(error: Exception, *, as_json: bool, debug: bool) -> int:
    import traceback

    import platformdirs

    details = "".join(traceback.format_exception(error))
    if debug:
        print(details, file=sys.stderr)
    where = platformdirs.user_state_path("drystone", appauthor=False) / "last-error.txt"
    try:
        where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  a descriptor
            file.write(details)
        kept = f"The details are in {where}; please report them."
    except OSError:
        kept = "Run it again with --debug for the details, and please report them."
    message = f"a defect in Drystone: {type(error).__name__}: {error}"
    problem = {
        "code": "unexpected",
        "message": message,
        "advice": kept,
        "retryable": False,
        "exit_code": int(ExitCode.UNEXPECTED),
    }
    if as_json:
        print(format_json(problem), file=sys.stderr)
    else:
        print(f"drystone: {printable(message)}\n  now: {printable(kept)}", file=sys.stderr)
    return ExitCode.UNEXPECTED
