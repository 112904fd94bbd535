# SPDX-License-Identifier: Apache-2.0
"""``drystone ls``, ``get``, ``put``, ``mkdir``, ``mv``, ``rm``: the server's tree, directly."""

import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drystone.cli.options import JsonFlag, RemotePath, ServerOption, parse_remote
from drystone.cli.output import Output, format_bytes, format_table, format_when, printable
from drystone.cli.progress import count_file, watch_progress

if TYPE_CHECKING:
    from drystone.client.bootstrap import EntryView

_KINDS = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "symlink": stat.S_IFLNK}


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("ls")(ls)
    app.command("get")(get)
    app.command("put")(put)
    app.command("mkdir")(mkdir)
    app.command("mv")(mv)
    app.command("rm")(rm)


def ls(
    path: RemotePath = "/",
    *,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List a folder on the server.

    Examples:
      drystone ls
      drystone ls /documents/2024
      drystone ls /documents --json
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    entries = bootstrap.list_entries(load_settings(), path, server)
    rows = [
        (
            stat.filemode(_KINDS[entry.kind] | entry.mode),
            format_bytes(entry.size_bytes) if entry.kind == "file" else "",
            format_when(entry.mtime_ns),
            _shown_name(entry),
        )
        for entry in entries
    ]
    Output(as_json=as_json).answer(entries, format_table(("", "", "", ""), rows, right=[1]))


def get(
    path: RemotePath,
    target: Annotated[
        Path, typer.Argument(help="Where to put it: a file, or a folder to put it in.")
    ] = Path(),
    *,
    rev: Annotated[
        str, typer.Option(help="An older revision, as `drystone history` names it.", metavar="REV")
    ] = "",
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Fetch one file from the server.

    It appears under its name only when all of it has come and was verified; what stands there is
    replaced then.

    Examples:
      drystone get /documents/plan.txt
      drystone get /documents/plan.txt old-plan.txt --rev 00000001f
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings, out = load_settings(), Output(as_json=as_json)
    size_bytes = bootstrap.find_size(settings, path, server)
    with watch_progress(out) as notices:
        place = bootstrap.get_file(
            settings,
            path,
            target,
            count_file(notices, "download", size_bytes),
            url=server,
            rev=rev,
        )
    out.answer({"path": path, "target": str(place)}, f"{printable(path)} is in {place}.")


def put(
    source: Annotated[Path, typer.Argument(help="A file on this device.", metavar="FILE")],
    path: Annotated[
        str, typer.Argument(help="Where to: a file's path, or a folder's.", metavar="PATH")
    ] = "/",
    *,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Send one file to the server.

    Only what the server lacks of its content is sent. A file that stands there already gets a new
    revision; the old one stays in its history. To send folders, sync them.

    Examples:
      drystone put plan.txt
      drystone put plan.txt /documents/
      drystone put plan.txt /documents/plan-for-ben.txt
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings, out = load_settings(), Output(as_json=as_json)
    size_bytes = 0
    # A slash at the end says: into this folder, even if it is not there yet.
    place = parse_remote(f"{path}/{source.name}" if path.endswith("/") else path)
    with watch_progress(out) as notices:
        with suppress(OSError):  # Why it cannot be read is told where it is read.
            size_bytes = source.stat().st_size
        entry = bootstrap.put_file(
            settings,
            source,
            place,
            count_file(notices, "upload", size_bytes),
            url=server,
        )
    told = f"{printable(str(source))} is {printable(entry.path)}, revision {entry.rev}."
    out.answer(entry, told)


def mkdir(path: RemotePath, *, server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """Make a folder on the server, and those above it; one that is there already is fine.

    Examples:
      drystone mkdir /documents/2025/taxes
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    entry = bootstrap.make_folder(load_settings(), path, server)
    Output(as_json=as_json).answer(entry, f"{printable(entry.path)} is there.")


def mv(
    path: RemotePath,
    target: Annotated[
        str,
        typer.Argument(
            help="Its new path, or a folder to move it into.",
            metavar="TARGET",
            parser=parse_remote,
        ),
    ],
    *,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Move or rename a file or folder on the server; a folder goes with all below it.

    Nothing is ever replaced by it, and no content moves.

    Examples:
      drystone mv /documents/plan.txt /documents/plan-2024.txt
      drystone mv /documents/2023 /archive
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    entry = bootstrap.move_entry(load_settings(), path, target, server)
    Output(as_json=as_json).answer(entry, f"{printable(path)} is {printable(entry.path)} now.")


def rm(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Paths on the server, from the top.", metavar="PATH", parser=parse_remote
        ),
    ],
    *,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Delete files or folders on the server; a folder goes with all below it.

    Devices that sync them move theirs to their local trash. It can be undone with
    `drystone restore`, so there is no question asked.

    Examples:
      drystone rm /documents/old.txt
      drystone rm /documents/2019 /documents/2020
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    removed = [bootstrap.remove_entry(settings, path, server) for path in paths]
    lines = [f"{printable(entry.path)} is deleted." for entry in removed]
    hint = f"Undo with: drystone restore {removed[-1].file_id}"
    Output(as_json=as_json).answer(removed, [*lines, hint])


def _shown_name(entry: "EntryView") -> str:
    name = entry.path.rpartition("/")[2] or entry.path
    if entry.kind == "symlink":
        return f"{name} -> {entry.target}"
    return f"{name}/" if entry.kind == "folder" else name
