# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, spelled and explained once."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document for programs instead of text.")
]

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="The server's data folder.  [default: drystone-server among your application data]",
        metavar="DIR",
        show_default=False,
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The server's settings file.  [default: drystone.toml in the data folder]",
        metavar="FILE",
        show_default=False,
    ),
]

PasswordStdinFlag = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password from the first line of standard input."
    ),
]

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        help="Which server, if you are signed in to several.  [default: the last one]",
        metavar="URL",
        show_default=False,
    ),
]

AllowDeletionsFlag = Annotated[
    bool,
    typer.Option(
        "--allow-deletions",
        help="You mean it: let the deletions happen that a guard has stopped.",
    ),
]

YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")]


def parse_remote(typed: str) -> str:
    """Returns a path on the server from what was typed: ``a//b/`` is ``/a/b``."""
    return "/" + "/".join(name for name in typed.split("/") if name)


RemotePath = Annotated[
    str,
    typer.Argument(
        help="A path on the server, from the top: /a/b.", metavar="PATH", parser=parse_remote
    ),
]


def read_password(*, from_stdin: bool, is_new: bool = False) -> str:
    """Returns a password: from a pipe, or asked for without showing it.

    Args:
        from_stdin: Take the first line of standard input, without its end.
        is_new: Ask twice, since nothing else would notice a slip of the finger.

    Raises:
        typer.BadParameter: There is nobody to ask, the pipe is empty, or the two differ.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise typer.BadParameter("standard input holds no password")
        return password
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "there is no terminal to ask for the password: pipe it in and give --password-stdin"
        )
    password = getpass.getpass("New password: " if is_new else "Password: ")
    if is_new and getpass.getpass("Once more: ") != password:
        raise typer.BadParameter("the two passwords differ; nothing was changed")
    return password


def confirm(question: str, *, yes: bool) -> None:
    """Asks before something that is hard to undo; returns only if it is meant.

    Raises:
        typer.BadParameter: There is nobody to ask and ``yes`` is not given.
        typer.Abort: The answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} There is no terminal to ask: give --yes if so.")
    typer.confirm(question, abort=True, err=True)
