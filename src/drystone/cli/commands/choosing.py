# SPDX-License-Identifier: Apache-2.0
"""``drystone select`` and ``ignore``: which folders are on this device, and what is left out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drystone.cli.options import JsonFlag, YesFlag, confirm
from drystone.cli.output import Output, count_of, format_bytes, printable
from drystone.cli.progress import watch_progress

if TYPE_CHECKING:
    from drystone.client.bootstrap import LeavingView
    from drystone.client.settings import ClientSettings

_PROBLEMS_SHOWN: Final = 10
_TITLES: Final = {
    "dropped": "no longer carried",
    "taken_in": "carried from then on",
    "left_out": "left out",
    "kept": "in step all the same, because the server has it",
}


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("select")(select)
    app.command("ignore")(ignore)


def select(
    directory: Annotated[
        Path,
        typer.Argument(
            help="A synced folder.  [default: the one that you are in]",
            metavar="[DIR]",
            show_default=False,
        ),
    ] = Path(),
    *,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            help="Take this folder off this device; it stays on the server. More than once: more.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    back: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help="Have this folder on this device again, with all below it.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Choose which folders are on this device, or list those that are not.

    Nothing is deleted on the server or on other devices. What leaves this disk goes to
    `.drystone/trash` in the synced folder, and only after all of it has been sent. A folder that
    is left out stays so when others rename or move it.

    Examples:
      drystone select ~/Documents                               which folders are left out
      drystone select ~/Documents --without photos/2019
      drystone select ~/Documents --with photos/2019
      drystone sync ~/Documents --without photos                from the first sync on
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings, out = load_settings(), Output(as_json=as_json)
    if not without and not back:
        found = bootstrap.list_unselected(settings, directory)
        lines = [printable(line.path) for line in found]
        out.answer(found, lines or "All folders are on this device.")
        return
    if without and not _has_daemon(settings):
        # Whatever was changed in it is to be on the server before it leaves.
        _sync_now(settings, directory, out)
    folders = bootstrap.find_folders(settings, directory, without or [])
    wanted = bootstrap.find_unselected(settings, directory, back or [])
    leaving = bootstrap.examine_folders(settings, directory, folders)
    for line in _describe_leaving(leaving):
        out.note(line)
    if any(one.has_own for one in leaving):
        confirm("Move these to the local trash with their folders?", yes=yes)
    if not bootstrap.choose_folders(settings, directory, folders, wanted):
        _sync_now(settings, directory, out)
    out.answer(
        {
            "without": [stored.file_id.hex() for stored in folders],
            "with": [file_id.hex() for file_id in wanted],
            "unselected": bootstrap.list_unselected(settings, directory),
        },
        _describe_chosen(without or [], back or []),
    )


def _has_daemon(settings: "ClientSettings") -> bool:
    from drystone.client.control.client import DaemonAway, ask_daemon

    try:
        ask_daemon(settings.socket_path, "status")
    except DaemonAway:
        return False
    return True


def _sync_now(settings: "ClientSettings", directory: Path, out: Output) -> None:
    from drystone.client import bootstrap

    with watch_progress(out) as notices:
        bootstrap.sync_once(settings, bootstrap.get_root(settings, directory), notices)


def _describe_leaving(leaving: "Sequence[LeavingView]") -> Iterator[str]:
    for one in leaving:
        entries = count_of(one.entries_count, "entry", "entries")
        yield f"{printable(one.path)}: {entries} leave this disk; the server has them"
        left_out = one.left_out
        if left_out["files_count"]:
            files, size = count_of(left_out["files_count"], "file"), left_out["size_bytes"]
            yield f"  and only this disk has {files} that rules leave out, {format_bytes(size)}:"
            yield from (f"    {printable(path)}" for path in left_out["samples"])
        for path in one.problem_paths[:_PROBLEMS_SHOWN]:
            yield f"  and only this disk has what could not be synced: {printable(path)}"


def _describe_chosen(without: Sequence[str], back: Sequence[str]) -> Iterator[str]:
    for path in without:
        yield f"{printable(path)} is left out here. It stays on the server, and for thirty days in"
        yield "  .drystone/trash; delete it there if you need the room now."
    for path in back:
        yield f"{printable(path)} comes to this device again."


def ignore(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            help="Rules to add, one each, in the syntax of gitignore.",
            metavar="PATTERN",
            show_default=False,
        ),
    ] = None,
    *,
    folder: Annotated[
        Path,
        typer.Option(
            "--in",
            help="The folder for which the rules are, in a synced folder.  [default: this one]",
            metavar="DIR",
            show_default=False,
        ),
    ] = Path(),
    check: Annotated[bool, typer.Option("--check", help="Only show what it would change.")] = False,
    rules: Annotated[
        Path | None,
        typer.Option(
            "--rules",
            help="With --check: what this file would change in place of DIR/.drystoneignore.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what ignore rules leave out, and add rules after showing what they would leave out.

    Rules stand in files called `.drystoneignore`, are synced like any file, and count for all
    below their folder. They are about what only this disk has: what the server has already is
    carried on, and nothing is deleted anywhere because of a rule.

    Examples:
      drystone ignore --in ~/Documents                     what is left out now
      drystone ignore --in ~/Documents --check '*.log' build/
      drystone ignore --in ~/Documents '*.log' build/      add these two rules
      drystone ignore --in ~/Documents --check --rules new-rules
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    _check_patterns(patterns or [])
    if rules is not None and (patterns or not check):
        raise typer.BadParameter("--rules goes with --check, and without patterns")
    settings, out = load_settings(), Output(as_json=as_json)
    text = None
    if rules is not None:
        text = bootstrap.read_rules_file(rules)
    elif patterns:
        text = bootstrap.extend_rules(folder, patterns)
    found = bootstrap.check_rules(settings, folder, text)
    if check or not patterns:
        out.answer(found, _describe(found, is_changing=text is not None))
        return
    for line in _describe(found, is_changing=True):
        out.note(line)
    confirm("Add these rules?", yes=yes)
    path = bootstrap.add_rules(folder, patterns)
    added = f"{printable(str(path))}: {count_of(len(patterns), 'rule')} added."
    out.answer({**found, "added": patterns}, added)


def _check_patterns(patterns: Sequence[str]) -> None:
    """Refuses what would be a line without effect, or more than one line."""
    from drystone.core.names.ignore import NO_RULES

    for pattern in patterns:
        lines = pattern.splitlines()
        is_rule = len(lines) == 1 and lines[0].strip() and not pattern.startswith("#")
        if not is_rule or NO_RULES.extend("", pattern).faults:
            raise typer.BadParameter(f"{pattern!r} is no rule in the syntax of gitignore")


def _describe(found: Mapping[str, Any], *, is_changing: bool) -> Iterator[str]:
    shown = ("dropped", "taken_in", "kept") if is_changing else ("left_out", "kept")
    is_any = False
    for name in shown:
        group = found[name]
        if not group["files_count"] and not group["folders_count"]:
            continue
        is_any = True
        counts = [count_of(group["files_count"], "file")]
        if group["folders_count"]:
            counts.append(count_of(group["folders_count"], "folder"))
        yield f"{_TITLES[name]}: {', '.join(counts)}, {format_bytes(group['size_bytes'])}"
        for path in group["samples"]:
            yield f"  {printable(path)}"
    if not is_any:
        yield "It would change nothing." if is_changing else "Nothing is left out."
    for line in found["faults"]:
        yield f"no rule, and without effect: {printable(line)}"
