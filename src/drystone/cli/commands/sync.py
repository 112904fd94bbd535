# SPDX-License-Identifier: Apache-2.0
"""``drystone sync``: keep a folder in step, once or for as long as it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import JsonFlag, ServerOption, parse_remote
from drystone.cli.output import Output, count_of, format_bytes, printable
from drystone.cli.progress import watch_progress

if TYPE_CHECKING:
    from drystone.client.bootstrap import RootLine, Summary
    from drystone.client.settings import ClientSettings


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("sync")(sync)
    app.command("forget")(forget)


def sync(
    directory: Annotated[
        Path, typer.Argument(help="A folder on this device; made if missing.", metavar="DIR")
    ],
    *,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="The folder on the server, made if missing.  [default: all of your tree]",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Bring both sides in step, then end.")
    ] = False,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Keep a folder on this device and a folder on the server in step, both ways.

    Without --once it goes on until Ctrl-C, and carries changes over within moments. What it
    replaces or deletes on the disk goes to `.drystone/trash` in the folder; if both sides changed
    a file, both versions are kept.

    Examples:
      drystone sync ~/Documents
      drystone sync ~/Documents --once
      drystone sync ~/Photos --to /photos
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings, out = load_settings(), Output(as_json=as_json)
    root = bootstrap.open_root(settings, directory, parse_remote(to) if to else None, server)
    if not once:
        _sync_on(settings, root, out)
        return
    with watch_progress(out) as notices:
        summary = bootstrap.sync_once(settings, root, notices)
    out.answer(summary, describe_summary(root, summary))
    if summary.problems_count or summary.unsettled_count:
        raise typer.Exit(ExitCode.PROBLEMS)


def forget(
    directory: Annotated[Path, typer.Argument(help="A synced folder.", metavar="DIR")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """End keeping a folder in step. Its files stay where they are, here and on the server.

    Examples:
      drystone forget ~/Documents
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    bootstrap.forget_root(settings, directory)
    _tell_daemon(settings)
    told = f"{printable(str(directory))} is an ordinary folder again; no file was touched."
    Output(as_json=as_json).answer({"path": str(directory.absolute())}, told)


def _sync_on(settings: "ClientSettings", root: "RootLine", out: Output) -> None:
    """Keeps a folder in step until Ctrl-C, or lets the daemon do it if there is one."""
    from drystone.client import bootstrap

    where = f"{printable(root.path)} and {printable(root.remote_path)} at {printable(root.url)}"
    if _tell_daemon(settings):
        told = f"The daemon keeps {where} in step. See: drystone status"
        out.answer({"path": root.path, "by_daemon": True}, told)
        return
    out.note(f"{where} are kept in step until Ctrl-C.")
    with watch_progress(out, is_endless=True) as notices:
        bootstrap.sync_forever(settings, root, notices)


def _tell_daemon(settings: "ClientSettings") -> bool:
    """Tells the daemon that the list of synced folders changed; False if there is none."""
    from drystone.client.control.client import DaemonAway, ask_daemon

    try:
        ask_daemon(settings.socket_path, "reload")
    except DaemonAway:
        return False
    return True


def describe_summary(root: "RootLine", summary: "Summary") -> list[str]:
    """Returns what a sync came to, for people."""
    wire_bytes = summary.traffic.sent_bytes + summary.traffic.received_bytes
    done = [
        f"{count_of(count, 'entry', 'entries')} {way} ({format_bytes(content_bytes)})"
        for count, content_bytes, way in (
            (summary.uploaded_count, summary.uploaded_bytes, "sent"),
            (summary.downloaded_count, summary.downloaded_bytes, "brought"),
        )
        if count
    ]
    wire = f"{format_bytes(wire_bytes)} on the wire"
    where = f"{printable(root.path)} and {printable(root.remote_path)}"
    lines = [f"{where} are in step: {', '.join([*done, wire]) if done else 'nothing to do'}."]
    if summary.conflicts_count:
        conflicts = count_of(summary.conflicts_count, "conflict")
        lines.append(f"{conflicts} settled; nothing is lost. See: drystone conflicts")
    if summary.problems_count or summary.unsettled_count:
        lines[0] = lines[0].replace("are in step", "are in step except for some paths")
        problems = count_of(summary.problems_count, "path")
        lines.append(f"{problems} in trouble. See: drystone status")
    return lines
