# SPDX-License-Identifier: Apache-2.0
"""``drystone start``, ``stop``, ``status``, ``pause``, ``resume``, ``daemon``, ``systemd``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.memory import prepare_memory
from drystone.cli.options import AllowDeletionsFlag, JsonFlag
from drystone.cli.output import Output, count_of, printable
from drystone.cli.progress import PlainProgress
from drystone.cli.standing import describe_status, find_exit_code
from drystone.core.errors import Misconfigured

FolderArgument = Annotated[
    Path | None,
    typer.Argument(help="Only this synced folder.  [default: all]", show_default=False),
]


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
    """Tell whether everything is safe, how the synced folders stand, and what is in trouble.

    Safe means: whatever is to be synced in these folders is durably on the server. The first line
    says yes, not yet, or NO, and why. Without a daemon the folders are looked at for that, and
    the server is asked; nothing is changed.

    It ends with code 0 only if all is safe; with 11 if it is not yet, but will be by itself; with
    7 if somebody has to do something, 8 if a folder is halted, 4 if the server is away, 9 if there
    is something to do and no daemon to do it.

    Examples:
      drystone status
      drystone status --json
      watch drystone status
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    found = bootstrap.describe_device(load_settings())
    Output(as_json=as_json).answer(found, describe_status(found))
    code = find_exit_code(found)
    if code != ExitCode.OK:
        raise typer.Exit(code)


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
