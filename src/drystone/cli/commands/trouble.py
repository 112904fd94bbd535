# SPDX-License-Identifier: Apache-2.0
"""``drystone why``, ``problems``, ``conflicts``, ``doctor``: what is the matter, and why."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import JsonFlag
from drystone.cli.output import Output, count_of, format_bytes, format_table, printable
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
    as_json: JsonFlag = False,
) -> None:
    """Tell why a path is here, gone, or not yet synced, with the evidence.

    Three views are shown: what the disk was last seen to hold, what both sides last agreed on,
    and what the server says.

    Examples:
      drystone why ~/Documents/plan.txt
      drystone why ~/Documents/vanished.txt
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    found = bootstrap.why(load_settings(), path)
    Output(as_json=as_json).answer(found, _describe_why(found))


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
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    if directory is not None and not repair:
        raise typer.BadParameter("a folder is named only with --repair")
    findings = [] if directory is not None else bootstrap.check_device(settings)
    if repair:
        findings += bootstrap.repair_roots(settings, _choose_roots(directory))
    lines = []
    for finding in findings:
        sign = {"ok": "ok     ", "warning": "warning"}.get(finding.verdict, "TROUBLE")
        lines.append(f"{sign}  {printable(finding.subject)}: {printable(finding.message)}")
        if finding.advice:
            lines.append(f"         now: {printable(finding.advice)}")
    bad = sum(finding.verdict == "trouble" for finding in findings)
    lines.append(f"{count_of(bad, 'thing needs', 'things need')} you." if bad else "All is well.")
    Output(as_json=as_json).answer(findings, lines)
    if bad:
        raise typer.Exit(ExitCode.PROBLEMS)


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


def _describe_why(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{printable(str(found['path']))}: {printable(str(found['verdict']))}."
    rows = []
    for title, key in (("on the disk", "local"), ("agreed", "synced"), ("server", "remote")):
        view = found.get(key)
        if view is None:
            rows.append((title, "nothing", "", "", "", ""))
            continue
        size_bytes = view["size_bytes"]
        rows.append(
            (
                title,
                view["kind"],
                "" if size_bytes is None else format_bytes(size_bytes),
                view["modified"] or "",
                (view["content_hash"] or "")[:12],
                view["path"] or "",
            )
        )
    yield from format_table(("", "KIND", "SIZE", "MODIFIED", "CONTENT", "PATH"), rows, right=[2])
    if found.get("rule"):
        rule = found["rule_line"]
        yield f"An ignore rule leaves out: {printable(found['rule'])}"
        yield (
            f"  {printable(rule['file_path'])}, line {rule['line_number']}:"
            f" {printable(rule['text'])}"
        )
    problem = found.get("problem")
    if problem and problem["advice"]:
        yield f"Now: {printable(problem['advice'])}"
