# SPDX-License-Identifier: Apache-2.0
"""``drystone ignore``: what rules leave out of a sync, before and after changing them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from drystone.cli.options import JsonFlag, YesFlag, confirm
from drystone.cli.output import Output, count_of, format_bytes, printable

_TITLES: Final = {
    "dropped": "no longer carried",
    "taken_in": "carried from then on",
    "left_out": "left out",
    "kept": "in step all the same, because the server has it",
}


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("ignore")(ignore)


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
