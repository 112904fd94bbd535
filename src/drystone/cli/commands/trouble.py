# SPDX-License-Identifier: Apache-2.0
"""``drystone why``, ``problems``, ``conflicts``, ``doctor``: what is the matter, and why."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import JsonFlag
from drystone.cli.output import Output, count_of, printable
from drystone.cli.progress import watch_progress
from drystone.cli.telling_why import describe_why
from drystone.core.errors import DrystoneError
from drystone.core.safety import NOTICE_CODES

FolderArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A synced folder.  [default: all of this device]",
        metavar="[DIR]",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("why")(why)
    app.command("problems")(problems)
    app.command("conflicts")(conflicts)
    app.command("doctor")(doctor)


def why(
    path: Annotated[
        Path, typer.Argument(help="A path in a synced folder; it need not exist.", metavar="PATH")
    ],
    *,
    whole: Annotated[
        bool, typer.Option("--all", help="Tell the whole story, not only its last 20 lines.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell why a path is here, gone, or not yet synced: the evidence, and the path's story.

    Three views are shown: what the disk holds, what both sides last agreed on, and what the server
    says; the rule that applies, what is in its way, and when it is tried next. The story tells
    which device did what, and when, newest first; it is the server's to tell.

    Examples:
      drystone why ~/Documents/plan.txt
      drystone why ~/Documents/plan.txt --all
      drystone why ~/Documents/vanished.txt
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    found = bootstrap.why(load_settings(), path, is_whole=whole)
    Output(as_json=as_json).answer(found, describe_why(found))


def problems(directory: FolderArgument = None, *, as_json: JsonFlag = False) -> None:
    """List the paths that cannot be synced at the moment, and what to do about each.

    It ends with code 7 if there are any. Pipes, sockets and devices are listed, too, but are no
    trouble: they are left out, and need nobody.

    Examples:
      drystone problems
      drystone problems ~/Documents --json
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    found, errors = _look_at_each(
        directory, lambda root: bootstrap.list_problems(load_settings(), root)
    )
    lines = []
    for row in found:
        lines += [printable(f"{row['root']}/{row['path']}"), f"  {printable(row['message'])}"]
        lines += [f"  now: {printable(row['advice'])}"] if row["advice"] else []
    out = Output(as_json=as_json)
    out.answer(found, lines or ([] if errors else "No path is in trouble."))
    _raise_first(errors)
    if any(row["code"] not in NOTICE_CODES for row in found):
        raise typer.Exit(ExitCode.PROBLEMS)


def conflicts(directory: FolderArgument = None, *, as_json: JsonFlag = False) -> None:
    """List the conflicted copies: files of which both versions were kept.

    Compare each with its file, keep what you want, and delete or rename the rest.

    Examples:
      drystone conflicts
      drystone conflicts ~/Documents --json
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    found, errors = _look_at_each(
        directory, lambda root: bootstrap.list_conflicts(load_settings(), root)
    )
    lines = []
    for line in found:
        gone = "" if line["winner_exists"] else " (which is gone)"
        lines += [printable(f"{line['root']}/{line['path']}")]
        lines += [f"  beside {printable(line['winner_path'])}{gone}"]
    out = Output(as_json=as_json)
    out.answer(found, lines or ([] if errors else "There is no conflicted copy."))
    _raise_first(errors)


def doctor(
    directory: Annotated[
        Path | None,
        typer.Argument(
            help="With --repair: one synced folder.  [default: all of this device]",
            metavar="[DIR]",
            show_default=False,
        ),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Argument(
            help="A script of the simulator, as it prints one where a law broke.",
            metavar="[replay FILE]",
            show_default=False,
        ),
    ] = None,
    *,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Have the servers read back what the synced files are made of, and send again"
            " what is damaged or missing there.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check this device: daemon, servers, synced folders, room on the disk, watching.

    It ends with code 7 if something needs you. After a server's disk was damaged, --repair sends
    again what it lost and this device still has; it takes as long as reading all of it takes.

    Examples:
      drystone doctor
      drystone doctor --json
      drystone doctor --repair
      drystone doctor --repair ~/Documents
      drystone doctor replay found.json               run a world of the simulator again
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    if script is not None:
        _replay(directory, script, as_json=as_json or repair)
        return
    settings = load_settings()
    if directory is not None and not repair:
        raise typer.BadParameter("a folder is named only with --repair")
    out = Output(as_json=as_json)
    findings = [] if directory is not None else bootstrap.check_device(settings)
    if repair:
        with watch_progress(out) as notices:
            findings += bootstrap.repair_roots(settings, _choose_roots(directory), notices)
    lines = []
    for finding in findings:
        sign = {"ok": "ok     ", "warning": "warning"}.get(finding.verdict, "TROUBLE")
        lines.append(f"{sign}  {printable(finding.subject)}: {printable(finding.message)}")
        if finding.advice:
            lines.append(f"         now: {printable(finding.advice)}")
    bad = sum(finding.verdict == "trouble" for finding in findings)
    lines.append(f"{count_of(bad, 'thing needs', 'things need')} you." if bad else "All is well.")
    out.answer(findings, lines)
    if bad:
        raise typer.Exit(ExitCode.PROBLEMS)


def _replay(word: Path | None, script: Path, *, as_json: bool) -> None:
    """Runs a script of the simulator: a program of its own, which nothing else here imports."""
    if word != Path("replay") or as_json:
        raise typer.BadParameter("a second word is taken only after `replay`, without options")
    command = [sys.executable, "-m", "drystone.testing.world", "replay", str(script)]
    code = subprocess.run(command, check=False).returncode  # noqa: S603  our own program
    if code:
        raise typer.Exit(ExitCode.PROBLEMS if code == 1 else ExitCode.REFUSED)


def _choose_roots(directory: Path | None) -> list[Path]:
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    if directory is not None:
        return [Path(bootstrap.get_root(settings, directory).path)]
    return [Path(root.path) for root in bootstrap.list_roots(settings)]


def _look_at_each(
    directory: Path | None, look: Callable[[Path], Sequence[NamedTuple]]
) -> tuple[list[dict[str, Any]], list[DrystoneError]]:
    """Returns what was found in each folder, and why some could not be looked at."""
    found: list[dict[str, Any]] = []
    errors: list[DrystoneError] = []
    for root in _choose_roots(directory):
        try:
            found += [{"root": str(root), **line._asdict()} for line in look(root)]
        except DrystoneError as error:
            errors.append(error)
    return found, errors


def _raise_first(errors: Sequence[DrystoneError]) -> None:
    if errors:
        raise errors[0]
