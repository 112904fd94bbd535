# SPDX-License-Identifier: Apache-2.0
"""Accounts, and where what they have is kept."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drystone.cli.commands.admin.group import group, read_settings
from drystone.cli.options import (
    ConfigOption,
    DataDirOption,
    JsonFlag,
    PasswordStdinFlag,
    YesFlag,
    confirm,
    read_password,
)
from drystone.cli.output import Output, format_bytes, format_table, format_when, printable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

NameArgument = Annotated[str, typer.Argument(help="The account's name.", metavar="NAME")]


@group.command("add-account")
def add_account(
    name: NameArgument,
    *,
    password_stdin: PasswordStdinFlag = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Add an account, with an empty tree of its own.

    Examples:
      drystone admin add-account ana
      drystone admin add-account ana --data-dir /srv/drystone
      pass show ana | drystone admin add-account ana --password-stdin
    """
    with _opened(data_dir, config) as admin:
        password = read_password(from_stdin=password_stdin, is_new=True)
        line = admin.add_account(name, password)
    Output(as_json=as_json).answer(
        line,
        [
            f"Account {printable(line.name)} is there. On each of its devices:",
            f"  drystone login URL --user {printable(line.name)}",
        ],
    )


@group.command("list-accounts")
def list_accounts(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """List all accounts of a server.

    Examples:
      drystone admin list-accounts
      drystone admin list-accounts --json
    """
    with _opened(data_dir, config) as admin:
        lines = admin.list_accounts()
    rows = [
        (
            line.name,
            str(line.devices_count),
            format_when(line.created_ns),
            "disabled" if line.disabled else "",
        )
        for line in lines
    ]
    table = format_table(("ACCOUNT", "DEVICES", "CREATED", ""), rows, right=[1])
    hint = "There is no account yet: drystone admin add-account NAME"
    Output(as_json=as_json).answer(lines, table if rows else hint)


@group.command("set-password")
def set_password(
    name: NameArgument,
    *,
    password_stdin: PasswordStdinFlag = False,
    sign_out: Annotated[
        bool, typer.Option("--sign-out", help="Sign out all devices of the account as well.")
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Give an account a new password.

    Devices that are signed in stay so, since each has a token of its own, unless --sign-out.

    Examples:
      drystone admin set-password ana
      drystone admin set-password ana --sign-out       after a theft
    """
    with _opened(data_dir, config) as admin:
        password = read_password(from_stdin=password_stdin, is_new=True)
        admin.set_password(name, password, sign_out=sign_out)
    told = " All its devices are signed out." if sign_out else ""
    Output(as_json=as_json).answer(
        {"account": name, "signed_out": sign_out},
        f"Account {printable(name)} has a new password.{told}",
    )


@group.command("disable-account")
def disable_account(
    name: NameArgument,
    *,
    yes: YesFlag = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """End every use of an account at once, until it is enabled again; its files are kept.

    Examples:
      drystone admin disable-account ana
      drystone admin disable-account ana --yes
    """
    with _opened(data_dir, config) as admin:
        confirm(f"Disable {printable(name)} and end all its connections?", yes=yes)
        admin.disable(name)
    Output(as_json=as_json).answer(
        {"account": name, "disabled": True},
        f"Account {printable(name)} is disabled. Undo it with: drystone admin enable-account NAME",
    )


@group.command("enable-account")
def enable_account(
    name: NameArgument,
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let a disabled account be used again; its devices are signed in as they were.

    Examples:
      drystone admin enable-account ana
    """
    with _opened(data_dir, config) as admin:
        admin.enable(name)
    Output(as_json=as_json).answer(
        {"account": name, "disabled": False}, f"Account {printable(name)} is enabled."
    )


@group.command("storage")
def storage(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """Tell how much the server stores: every version of every file, each block once.

    Examples:
      drystone admin storage
      drystone admin storage --json
    """
    with _opened(data_dir, config) as admin:
        totals = admin.measure_storage()
    rows = [
        ("blocks", f"{totals['blocks']:,}", "each kept once, however many files hold it"),
        ("content", format_bytes(totals["plain_bytes"]), "what these blocks hold"),
        ("compressed", format_bytes(totals["stored_bytes"]), "what they take"),
        ("packs", f"{totals['packs']:,}", f"{format_bytes(totals['pack_bytes'])} in all"),
    ]
    Output(as_json=as_json).answer(totals, format_table(("", "", ""), rows, right=[1]))


@group.command("move-to")
def move_to(
    url: Annotated[
        str,
        typer.Argument(
            help="postgresql://user:password@host/database of an empty database; - reads it from"
            " standard input, where nobody else sees the password.",
            metavar="URL",
        ),
    ],
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Carry the server's metadata over from SQLite to PostgreSQL, compared row by row.

    The server must be stopped. Packs stay where they are, and so does the old database; nothing
    is kept in the new one unless everything is.

    Examples:
      drystone admin move-to postgresql://drystone@db.example/drystone
      drystone admin move-to - --data-dir /srv/drystone < url.txt
    """
    from drystone.server.bootstrap import move_metadata

    if url == "-":
        url = sys.stdin.readline().strip()
    out = Output(as_json=as_json)
    settings = read_settings(data_dir, config)
    counts = move_metadata(
        settings, url, lambda table, rows: out.note(f"copied {table}: {rows:,} rows")
    )
    total = sum(counts.values())
    out.answer(
        {"rows": counts},
        [
            f"{total:,} rows of {len(counts)} tables are in the new database, each compared.",
            "From now on start the server with the setting `database` (DRYSTONE_SERVER_DATABASE).",
            "What is in the data directory's metadata.db will be older then; keep it as a backup.",
        ],
    )


def _opened(data_dir: "Path | None", config: "Path | None") -> "AbstractContextManager[Any]":
    from drystone.server.bootstrap import open_admin

    return open_admin(read_settings(data_dir, config))
