# SPDX-License-Identifier: Apache-2.0
"""``drystone serve``: run a server."""

import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from drystone.cli.memory import prepare_memory
from drystone.cli.options import ConfigOption, DataDirOption, JsonFlag
from drystone.cli.output import Output, printable

if TYPE_CHECKING:
    from drystone.server.bootstrap import Started


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("serve")(serve)


def serve(
    *,
    data_dir: DataDirOption = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0 for all.  [default: 127.0.0.1]", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="TCP port; 0 takes any free one.  [default: 8440]", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that answer requests, to use more processors.  [default: 1]",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    worker_channel: Annotated[int | None, typer.Option(hidden=True)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a server in the foreground until Ctrl-C.

    The first start makes the data folder, readable for you only, with a database and keys; nothing
    else needs to be installed. Requests in flight are finished before it stops.

    Examples:
      drystone serve                                  on this machine only
      drystone serve --data-dir /srv/drystone         with its data there
      drystone serve --host 0.0.0.0 --config tls.toml for others, with TLS
      drystone serve --port 0 --json                  any free port, told as JSON
      drystone serve --workers 4                      for many devices, on four processors
    """
    from drystone.server.bootstrap import run_server, run_worker, run_workers
    from drystone.server.settings import load_settings

    prepare_memory()
    out = Output(as_json=as_json)
    flags = {
        "data_dir": data_dir,
        "host": host,
        "port": port,
        "workers": workers,
        "config": config,
    }
    settings = load_settings(flags)
    if worker_channel is not None:
        run_worker(settings, worker_channel)
    elif settings.workers > 1:
        command = _make_worker_command(flags)
        run_workers(settings, command, lambda started: _announce(started, out))
    else:
        run_server(settings, lambda started: _announce(started, out))


def _make_worker_command(flags: Mapping[str, object]) -> list[str]:
    """Returns what runs a worker with the settings of this process, but for its channel."""
    command = [sys.executable, "-m", "drystone", "serve"]
    for name, value in flags.items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    return [*command, "--worker-channel"]


def _announce(started: "Started", out: Output) -> None:
    for warning in started.warnings:
        out.note(f"warning: {printable(warning)}")
    if out.as_json:
        out.answer(started)
        return
    lines = [
        f"Drystone serves {printable(str(started.data_dir))} at {started.url}",
        *([f"Metrics are told at {started.metrics_url}"] if started.metrics_url else []),
        "Stop it with Ctrl-C.",
    ]
    if started.made_key_path is not None:
        where = shlex.quote(str(started.data_dir))
        lines += [
            "",
            "What is stored is encrypted from now on, with the master key in",
            f"  {printable(str(started.made_key_path))}",
            "Without this key nothing can be read back. Keep a copy of it elsewhere, with the line",
            f"  drystone admin export-key --data-dir {where}",
        ]
    if started.accounts_count == 0:
        lines += [
            "",
            "There is no account yet. Make the first one, in another terminal:",
            f"  drystone admin add-account NAME --data-dir {shlex.quote(str(started.data_dir))}",
            "Then on each device:",
            f"  drystone login {started.url} --user NAME",
            "  drystone sync DIR",
        ]
    out.answer(None, lines)
