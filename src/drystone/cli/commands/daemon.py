# SPDX-License-Identifier: Apache-2.0
"""``drystone start``, ``stop``, ``status``, ``pause``, ``resume``, ``daemon``, ``systemd``."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.memory import prepare_memory
from drystone.cli.options import AllowDeletionsFlag, JsonFlag
from drystone.cli.output import Output, count_of, format_bytes, format_when, printable
from drystone.cli.progress import PlainProgress
from drystone.core.errors import Misconfigured

if TYPE_CHECKING:
    from drystone.client.settings import ClientSettings

FolderArgument = Annotated[
    Path | None,
    typer.Argument(help="Only this synced folder.  [default: all]", show_default=False),
]

_PROBLEMS_SHOWN: Final = 10
_RUNNING: Final = {
    "idle": "in step",
    "connect": "connecting",
    "scan": "looking at the disk",
    "transfer": "syncing",
    "settle": "syncing",
    "away": "waiting for the server",
    "paused": "paused",
    "halted": "HALTED",
}


class UnitNotInstalled(Misconfigured):
    """The unit of systemd could not be written."""

    code = "unit-not-installed"


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("start")(start)
    app.command("stop")(stop)
    app.command("status")(status)
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("daemon")(daemon)
    app.command("systemd")(systemd)


def start(*, as_json: JsonFlag = False) -> None:
    """Start the daemon: it keeps all synced folders of this device in step, in the background.

    Folders become synced ones by `drystone sync DIR`. It is no error if it runs already.

    Examples:
      drystone start
      drystone status
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    pid = bootstrap.start_daemon(settings)
    roots = bootstrap.list_roots(settings)
    folders = count_of(len(roots), "folder")
    lines = [f"The daemon runs (process {pid}) and keeps {folders} in step."]
    if not roots:
        lines.append("Name the first one with: drystone sync DIR")
    Output(as_json=as_json).answer({"pid": pid, "roots": len(roots)}, lines)


def stop(*, as_json: JsonFlag = False) -> None:
    """Stop the daemon, and wait until it has ended.

    Examples:
      drystone stop
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    bootstrap.stop_daemon(load_settings())
    Output(as_json=as_json).answer({"stopped": True}, "The daemon has ended.")


def status(*, as_json: JsonFlag = False) -> None:
    """Show how the synced folders stand, and which paths are in trouble.

    It ends with code 0 if all is in step or on its way, 7 if some paths are in trouble, 8 if a
    folder is halted, 9 if no daemon runs.

    Examples:
      drystone status
      drystone status --json
      watch drystone status
    """
    from drystone.client.control.client import DaemonAway, ask_daemon
    from drystone.client.settings import load_settings

    settings, out = load_settings(), Output(as_json=as_json)
    try:
        found = ask_daemon(settings.socket_path, "status")
    except DaemonAway:
        _show_away(settings, out)
        raise typer.Exit(ExitCode.NOT_RUNNING) from None
    problems = {
        root["path"]: ask_daemon(settings.socket_path, "problems", folder=root["path"])["lines"]
        for root in found["roots"]
        if root.get("summary", {}).get("problems_count")
    }
    for root in found["roots"]:
        root["problems"] = problems.get(root["path"], [])
    out.answer(found, _describe_status(found))
    if any(root["phase"] == "halted" for root in found["roots"]):
        raise typer.Exit(ExitCode.HALTED)
    if problems:
        raise typer.Exit(ExitCode.PROBLEMS)


def _show_away(settings: "ClientSettings", out: Output) -> None:
    from drystone.client import bootstrap

    roots = bootstrap.list_roots(settings)
    known = f"{count_of(len(roots), 'synced folder')}:" if roots else "There is no synced folder."
    out.answer(
        {"pid": None, "roots": [{"path": root.path} for root in roots]},
        [
            "The daemon is not running. Start it with: drystone start",
            known,
            *(f"  {printable(root.path)}" for root in roots),
        ],
    )


def pause(directory: FolderArgument = None, *, as_json: JsonFlag = False) -> None:
    """Let the daemon leave synced folders alone until `drystone resume`.

    Examples:
      drystone pause
      drystone pause ~/Documents
    """
    _ask("pause", directory)
    what = printable(str(directory)) if directory else "All folders"
    Output(as_json=as_json).answer({"paused": True}, f"{what}: paused. Go on with: drystone resume")


def resume(
    directory: FolderArgument = None,
    *,
    allow_deletions: AllowDeletionsFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Let the daemon go on after `drystone pause`, or look again after a halt.

    A guard halts a folder when most of it is about to be deleted, here or on the server. If it was
    not meant, bring the files back, and it goes on by itself.

    Examples:
      drystone resume
      drystone resume ~/Documents --allow-deletions
    """
    if allow_deletions and directory is None:
        raise typer.BadParameter("say for which folder deletions are allowed")
    _ask("resume", directory, allow_deletions=allow_deletions)
    what = printable(str(directory)) if directory else "All folders"
    Output(as_json=as_json).answer({"paused": False}, f"{what}: going on. See: drystone status")


def daemon() -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C; for systemd and the like.

    `drystone start` runs it in the background.

    Examples:
      drystone daemon
      drystone systemd --install
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    def announce() -> None:
        print("drystone: the daemon runs", file=sys.stderr, flush=True)

    prepare_memory()
    bootstrap.run_daemon(load_settings(), lambda path: PlainProgress(_line_writer(path)), announce)


def systemd(
    *,
    install: Annotated[
        bool, typer.Option("--install", help="Write it where systemd looks, for you only.")
    ] = False,
    server: Annotated[
        bool, typer.Option("--server", help="The unit of a server instead of the daemon's.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="With --server: its data folder.", metavar="DIR", show_default=False),
    ] = None,
) -> None:
    """Print the systemd user unit that runs the daemon whenever you are logged in.

    Examples:
      drystone systemd
      drystone systemd --install
      drystone systemd --server --install --data-dir /srv/drystone
    """
    import platformdirs

    from drystone.cli.units import CLIENT_UNIT, SERVER_UNIT, format_unit
    from drystone.client.settings import load_settings

    if data_dir is not None and not server:
        raise typer.BadParameter("--data-dir is for the unit of a server: give --server as well")
    arguments = [sys.executable, "-m", "drystone", "serve" if server else "daemon"]
    arguments += ["--data-dir", str(data_dir.absolute())] if data_dir is not None else []
    settings = load_settings()
    is_default = settings.config_dir == load_settings({}).config_dir
    environment = (
        [] if server or is_default else [("DRYSTONE_CONFIG_DIR", str(settings.config_dir))]
    )
    text = format_unit(arguments, environment, is_server=server)
    if not install:
        print(text, end="")
        return
    name = SERVER_UNIT if server else CLIENT_UNIT
    path = platformdirs.user_config_path() / "systemd" / "user" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnitNotInstalled(
            f"{path} cannot be written: {error.strerror}",
            advice="Print the unit with `drystone systemd` and put it where it belongs.",
        ) from error
    print(f"{path} is written. Start it, now and at each login, with:")
    print("  systemctl --user daemon-reload")
    print(f"  systemctl --user enable --now {name.removesuffix('.service')}")
    print("To have it run while you are logged out, too: loginctl enable-linger")


def _ask(command: str, directory: Path | None, **arguments: object) -> None:
    from drystone.client.control.client import ask_daemon
    from drystone.client.settings import load_settings

    settings = load_settings()
    asked = dict(arguments)
    if directory is not None:
        from drystone.client import bootstrap

        asked["folder"] = bootstrap.get_root(settings, directory).path
    ask_daemon(settings.socket_path, command, **asked)


def _line_writer(path: str) -> Any:
    folder = printable(path)

    def write(line: str) -> None:
        print(f"{folder}: {line}", file=sys.stderr, flush=True)

    return write


def _describe_status(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["roots"]:
        yield f"The daemon runs (process {found['pid']}) and has no folder to keep in step."
        yield "Name one with: drystone sync DIR"
    for root in found["roots"]:
        phase = _RUNNING.get(root["phase"], root["phase"])
        if root["phase"] == "idle" and not root["is_settled"]:
            phase = "about to look"
        yield f"{printable(root['path'])}: {phase}"
        yield f"  with      {printable(root['remote_path'])} at {printable(root['url'])}"
        summary = root.get("summary")
        if summary:
            yield f"  holds     {count_of(root['synced_count'], 'entry', 'entries')} in step"
            yield f"  agreed    {format_when(root['settled_ns'])}"
            yield f"  sent      {_describe_work(summary, 'uploaded')}"
            yield f"  brought   {_describe_work(summary, 'downloaded')}"
        if root.get("unselected"):
            left_out = ", ".join(map(printable, root["unselected"]))
            yield f"  without   {left_out}"
        if root.get("why"):
            yield f"  why       {printable(root['why'])}"
            yield f"  now       {printable(root['why_advice'])}"
        problems = root["problems"]
        for row in problems[:_PROBLEMS_SHOWN]:
            yield f"  problem: {printable(row['path'])}: {printable(row['message'])}"
        if len(problems) > _PROBLEMS_SHOWN:
            yield f"  and {len(problems) - _PROBLEMS_SHOWN:,} more: drystone problems"


def _describe_work(summary: Mapping[str, Any], way: str) -> str:
    changes = count_of(summary[f"{way}_count"], "change")
    return f"{changes}, {format_bytes(summary[f'{way}_bytes'])}"
