# SPDX-License-Identifier: Apache-2.0
"""``drystone sync``: keep a folder in step, once or for as long as it runs."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drystone.cli.exit_codes import CommandFailed, ExitCode, exit_code_of_stop
from drystone.cli.memory import prepare_memory
from drystone.cli.options import AllowDeletionsFlag, JsonFlag, ServerOption, parse_remote
from drystone.cli.output import Output, count_of, format_bytes, printable
from drystone.cli.progress import describe_problem, watch_progress

if TYPE_CHECKING:
    from drystone.client.bootstrap import RootLine, Summary
    from drystone.client.ports import ProblemRow
    from drystone.client.settings import ClientSettings


_ASK_AGAIN_S: Final = 0.1
_PROBLEMS_SHOWN: Final = 10


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
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            help="Leave this folder of the server out on this device; see `drystone select`.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Bring both sides in step, then end.")
    ] = False,
    allow_deletions: AllowDeletionsFlag = False,
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
      drystone sync ~/Documents --without videos --without photos/2019
      drystone sync ~/Documents --once --allow-deletions
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings, out = load_settings(), Output(as_json=as_json)
    root = bootstrap.open_root(settings, directory, parse_remote(to) if to else None, server)
    if without:
        folders = bootstrap.find_folders(settings, directory, without)
        bootstrap.examine_folders(settings, directory, folders)
        bootstrap.choose_folders(settings, directory, folders, ())
        root = bootstrap.get_root(settings, directory)
    if _tell_daemon(settings):
        _sync_by_daemon(settings, root, out, is_waiting=once, allow_deletions=allow_deletions)
        return
    prepare_memory()
    if once:
        with watch_progress(out) as notices:
            summary = bootstrap.sync_once(settings, root, notices, allow_deletions=allow_deletions)
        rows = []
        if summary.problems_count or summary.notices_count:
            rows = bootstrap.list_problems(settings, Path(root.path))
        answer = {**summary._asdict(), "problems": rows}
        out.answer(answer, describe_summary(root, summary, rows))
        if summary.problems_count or summary.unsettled_count:
            raise typer.Exit(ExitCode.PROBLEMS)
        return
    out.note(f"{_where(root)} are kept in step until Ctrl-C.")
    with watch_progress(out, is_endless=True) as notices:
        if allow_deletions:
            # It holds for what is found now, and not for as long as this runs.
            bootstrap.sync_once(settings, root, notices, allow_deletions=True)
        bootstrap.sync_forever(settings, root, notices)


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


def _sync_by_daemon(
    settings: "ClientSettings",
    root: "RootLine",
    out: Output,
    *,
    is_waiting: bool,
    allow_deletions: bool,
) -> None:
    """Has the daemon look at a folder now, and waits until it is in step if that is wanted."""
    from drystone.client.control.client import ask_daemon

    asked = {"folder": root.path}
    if allow_deletions:
        ask_daemon(settings.socket_path, "resume", **asked, allow_deletions=True)
    else:
        ask_daemon(settings.socket_path, "sync-now", **asked)
    answer = {"path": root.path, "by_daemon": True}
    if not is_waiting:
        told = f"The daemon keeps {_where(root)} in step. See: drystone status"
        out.answer(answer, told)
        return
    while not (standing := _find_standing(settings, root))["is_settled"]:
        if standing.get("why"):
            raise _stopped(standing)
        summary = standing.get("summary", {})
        if standing["phase"] == "idle" and summary.get("problems_count"):
            break
        time.sleep(_ASK_AGAIN_S)
    problems_count = standing["summary"]["problems_count"]
    except_some = " except for some paths: drystone status" if problems_count else ""
    out.answer(
        {**answer, "problems_count": problems_count},
        f"{_where(root)} are in step, by the daemon{except_some}.",
    )
    if problems_count:
        raise typer.Exit(ExitCode.PROBLEMS)


def _find_standing(settings: "ClientSettings", root: "RootLine") -> dict[str, Any]:
    from drystone.client.control.client import ask_daemon

    roots = ask_daemon(settings.socket_path, "status", brief=True)["roots"]
    found: dict[str, Any] = next(line for line in roots if line["path"] == root.path)
    return found


def _stopped(standing: Mapping[str, Any]) -> CommandFailed:
    """Returns the error for a folder that the daemon cannot sync now."""
    return CommandFailed(
        standing["why"],
        exit_code_of_stop(standing["why_code"], is_passing=standing["phase"] == "away"),
        advice=standing["why_advice"],
        code=standing["why_code"],
    )


def _where(root: "RootLine") -> str:
    return f"{printable(root.path)} and {printable(root.remote_path)} at {printable(root.url)}"


def _tell_daemon(settings: "ClientSettings") -> bool:
    """Tells the daemon that the list of synced folders changed; False if there is none."""
    from drystone.client.control.client import DaemonAway, ask_daemon

    try:
        ask_daemon(settings.socket_path, "reload")
    except DaemonAway:
        return False
    return True


def describe_summary(
    root: "RootLine", summary: "Summary", problems: Sequence["ProblemRow"]
) -> list[str]:
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
    notices = sum(row.is_notice for row in problems)
    problems = [row for row in problems if not row.is_notice]
    if notices:
        told = count_of(notices, "pipe, socket or device", "pipes, sockets and devices")
        lines.append(f"{told} left out. See: drystone problems")
    if summary.problems_count or summary.unsettled_count:
        lines[0] = lines[0].replace("are in step", "are in step except for some paths")
        lines += [describe_problem(row) for row in problems[:_PROBLEMS_SHOWN]]
    if summary.unsettled_count > summary.problems_count:
        left = count_of(summary.unsettled_count - summary.problems_count, "path")
        lines.append(f"{left} could not be settled yet. Run it again, or ask: drystone why PATH")
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - _PROBLEMS_SHOWN:,} more. See: drystone problems")
    return lines
