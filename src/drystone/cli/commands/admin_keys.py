# SPDX-License-Identifier: Apache-2.0
"""``drystone admin …-key`` and ``seal``: the keys with which a server encrypts what it stores."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drystone.cli.options import ConfigOption, DataDirOption, JsonFlag, YesFlag, confirm
from drystone.cli.output import Output, format_bytes, format_table, printable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drystone.server.bootstrap import KeyStatus


def register(group: typer.Typer) -> None:
    """Adds the commands of this file."""
    group.command("show-key")(show_key)
    group.command("export-key")(export_key)
    group.command("recover-key")(recover_key)
    group.command("rotate-key")(rotate_key)
    group.command("seal")(seal)


def show_key(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """Tell which master key encrypts what the server stores, and whether it is the right one.

    Examples:
      drystone admin show-key
      drystone admin show-key --json
    """
    with _opened(data_dir, config) as keys:
        status = keys.show()
    Output(as_json=as_json).answer(status, _describe(status))


def export_key(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """Print the master key as one line, to be kept elsewhere: on paper, or with other passwords.

    Whoever has this line and the server's disk can read all files. Whoever has the disk without
    it can read none, and neither can you.

    Examples:
      drystone admin export-key
      drystone admin export-key | pass insert -m drystone-master-key
    """
    with _opened(data_dir, config) as keys:
        line = keys.export()
    Output(as_json=as_json).answer({"recovery": line}, line)


def recover_key(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """Put the master key back in its file, from the line that export-key printed.

    The line is read from standard input. A line with a typing error in it and the key of another
    server are refused.

    Examples:
      drystone admin recover-key                      then type the line
      pass show drystone-master-key | drystone admin recover-key
    """
    out = Output(as_json=as_json)
    if sys.stdin.isatty():
        out.note("The line that `drystone admin export-key` printed:")
    with _opened(data_dir, config) as keys:
        key_id = keys.recover(sys.stdin.readline())
    out.answer({"master_key_id": key_id}, f"The master key {key_id} is back in its file.")


def rotate_key(
    *,
    to: Annotated[
        str | None,
        typer.Option(
            help="Where the new key is, written as the setting master_key; a file that is not"
            " there is made.",
            metavar="PLACE",
            show_default=False,
        ),
    ] = None,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="Shut out every key but the one that the settings name."),
    ] = False,
    yes: YesFlag = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the master key. What is stored is not written again, and the server may run.

    A key in a file is replaced at once. For any other, name the new one's place with --to: both
    keys open the store until you have changed the setting master_key, started the server anew
    and ended the change with --finish. Backups that were made before want the old key.

    Examples:
      drystone admin rotate-key
      drystone admin rotate-key --to 'command:/usr/local/bin/get-key new'
      drystone admin rotate-key --finish
    """
    if to is not None and finish:
        raise typer.BadParameter("--to begins a change and --finish ends it: give one of them")
    with _opened(data_dir, config) as keys:
        before = keys.show()
        if finish:
            confirm("Shut out all master keys but the present one?", yes=yes)
            status = keys.finish()
        elif to is not None:
            status = keys.rotate_to(to)
        else:
            confirm("Make a new master key? Backups made before want the old one.", yes=yes)
            status = keys.rotate()
    if to is not None:
        told = [
            "The new key opens the store, too. Now set master_key to its place,",
            "start the server anew, and then run: drystone admin rotate-key --finish",
        ]
    elif finish:
        told = [f"Only the master key {status.master_key_id} opens the store."]
    else:
        told = [
            f"The master key {status.master_key_id} took the place of {before.master_key_id}.",
            "Keep a copy of it elsewhere: drystone admin export-key",
            "Start the server anew, so that new content gets new keys all the way down.",
        ]
    Output(as_json=as_json).answer(status, told)


def seal(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """Encrypt what the server stored before encryption was switched on. The server may run.

    Interrupted, it goes on where it was when it is started again. The disk needs room for one
    more pack, 16 MiB. What the disk keeps of deleted files is not overwritten.

    Examples:
      drystone admin seal
    """
    out = Output(as_json=as_json)
    with _opened(data_dir, config, is_long=True) as keys:
        tally = keys.seal(
            lambda so_far: (
                out.note(f"encrypted {format_bytes(so_far.sealed_bytes)}")
                if so_far.sealed_count % 64 == 0
                else None
            )
        )
    out.answer(
        tally,
        f"Encrypted {tally.sealed_count:,} of {tally.objects_count:,} objects"
        f" ({format_bytes(tally.sealed_bytes)}). All are encrypted now.",
    )


def _describe(status: "KeyStatus") -> list[str]:
    rows = [
        ("master key", status.master_key_id, f"by the setting master_key: {status.place}"),
        ("opened by", ", ".join(printable(key_id) for key_id in status.opened_by), ""),
        ("keyring", str(status.generation), f"store keys: {status.store_keys_count}"),
        ("not encrypted", "some, perhaps" if status.holds_plain else "nothing", ""),
    ]
    lines = format_table(("", "", ""), rows)
    if len(status.opened_by) > 1:
        lines += ["A change of the key is not finished: drystone admin rotate-key --finish"]
    if status.holds_plain:
        lines += ["To encrypt the rest: drystone admin seal"]
    return lines


def _opened(
    data_dir: "Path | None", config: "Path | None", *, is_long: bool = False
) -> "AbstractContextManager[Any]":
    from drystone.server.bootstrap import open_key_admin
    from drystone.server.settings import load_settings

    return open_key_admin(load_settings({"data_dir": data_dir, "config": config}), is_long=is_long)
