# SPDX-License-Identifier: Apache-2.0
"""``drystone history``, ``restore``, ``trash``: what was, and how to have it again."""

from typing import Annotated

import typer

from drystone.cli.options import JsonFlag, RemotePath, ServerOption, parse_remote
from drystone.cli.output import Output, format_bytes, format_table, format_when, printable


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("history")(history)
    app.command("restore")(restore)
    app.command("trash")(trash)


def history(path: RemotePath, *, server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """Show what happened to a file or folder on the server, newest first.

    Examples:
      drystone history /documents/plan.txt
      drystone get /documents/plan.txt --rev REV         look at an older revision
      drystone restore /documents/plan.txt --rev REV     make it the current one again

    (gone): the server does not have this content any more; it cannot be brought back.
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    revisions = bootstrap.list_history(load_settings(), path, server)
    rows = [
        (
            line.rev,
            format_when(line.at_ns),
            f"{line.action} (gone)" if line.gone else line.action,
            format_bytes(line.size_bytes),
            line.path_name,
            f"{line.account} on {line.device}",
        )
        for line in revisions
    ]
    heads = ("REV", "WHEN", "WHAT", "SIZE", "NAME", "BY")
    Output(as_json=as_json).answer(revisions, format_table(heads, rows, right=[3]))


def restore(
    what: Annotated[
        str,
        typer.Argument(
            help="What was deleted: its name, or its id as `drystone trash` shows it. With --rev: "
            "a path on the server.",
            metavar="WHAT",
        ),
    ],
    *,
    rev: Annotated[
        str, typer.Option(help="Make this older revision the current one.", metavar="REV")
    ] = "",
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring back what was deleted, a folder with all below it; or an older revision.

    Every device that syncs it gets it again. Nothing is overwritten: an older revision becomes a
    new one, and what is current now stays in the history.

    Examples:
      drystone restore plan.txt                             what was deleted last under this name
      drystone restore 01939f0c6e9b7c0e8f1a2b3c4d5e6f70     exactly this
      drystone restore /documents/plan.txt --rev 00000001f
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    named = parse_remote(what) if rev or "/" in what else what
    entry = bootstrap.restore_entry(load_settings(), named, rev, server)
    Output(as_json=as_json).answer(entry, f"{printable(entry.path)} is there again.")


def trash(*, server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """List what was deleted on the server, newest first.

    What a folder held is deleted with it and not listed by itself. The files that this device
    replaced or deleted by itself are besides in `.drystone/trash` of the synced folder.

    Examples:
      drystone trash
      drystone restore NAME
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    entries = bootstrap.list_trash(load_settings(), server)
    rows = [
        (
            entry.file_id,
            format_when(entry.deleted_ns),
            entry.kind,
            format_bytes(entry.size_bytes) if entry.kind == "file" else "",
            entry.folder,
            entry.path,
        )
        for entry in entries
    ]
    table = format_table(("ID", "DELETED", "KIND", "SIZE", "FROM", "NAME"), rows, right=[3])
    Output(as_json=as_json).answer(entries, table if rows else "Nothing is deleted.")
