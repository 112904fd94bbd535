# SPDX-License-Identifier: Apache-2.0
"""``drystone admin collect``, ``quarantine``, ``scrub``: what is kept, and whether it is whole."""

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drystone.cli.commands.admin.group import group
from drystone.cli.exit_codes import ExitCode
from drystone.cli.help_pages import make_group
from drystone.cli.options import ConfigOption, DataDirOption, JsonFlag, YesFlag, confirm
from drystone.cli.output import Output, format_bytes, format_table, format_when, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drystone.core.ids import PackId

quarantine = make_group("quarantine", "Packs that were collected and can still come back.")
group.add_typer(quarantine, name="quarantine")

_AGE = re.compile(r"(\d+(?:\.\d+)?)([hdm]?)")
_AGE_S = {"m": 60, "h": 3600, "": 3600, "d": 86_400}


@group.command("collect")
def collect(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would go; change nothing.")
    ] = False,
    min_age: Annotated[
        str | None,
        typer.Option(
            "--min-age",
            help="How long what nothing refers to is kept after that was found out, as 72h or 3d."
            "  [default: the setting collect_age_h]",
            metavar="AGE",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Remove what no file, no kept history and no upload refers to any more.

    Everything is found twice before it goes: the first run notes it, a later one takes it out of
    use, and a week after that its pack is removed. The server may run meanwhile; it does the same
    by itself once a day.

    Examples:
      drystone admin collect --dry-run           what would go in time
      drystone admin collect
      drystone admin collect --min-age 0h        twice, when room is needed today
    """
    age_s = None if min_age is None else _parse_age(min_age)
    out = Output(as_json=as_json)
    with _opened(data_dir, config) as keeping, _progress(out, "looked at") as tell:
        tally = keeping.collect(tell, age_s=age_s, is_dry=dry_run)
    rows = _describe_survey(tally) if dry_run else _describe_run(tally)
    lines = format_table(("", "", ""), rows, right=[1])
    out.answer(vars(tally), [*lines, *(f"Left as it is: {text}" for text in tally.troubles)])


@group.command("scrub")
def scrub(
    *,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Read all packs, not only those that were not read for a month, and look for"
            " damaged blocks in all of them.",
        ),
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Read what is kept and compare every block with its name; repair what can be.

    A damaged block counts as not there: devices that still have it send it again. Until then
    code 5 is the answer. The server does the same by itself, slowly; a scrub that is broken off
    goes on where it was, unless --all is given.

    Examples:
      drystone admin scrub
      drystone admin scrub --all --json
    """
    out = Output(as_json=as_json)
    with _opened(data_dir, config) as keeping, _progress(out, "read") as tell:
        tally = keeping.scrub(tell, is_all=every)
    rows = [
        ("read", f"{tally.packs:,}", f"packs, {format_bytes(tally.read_bytes)} in blocks"),
        ("damaged", f"{tally.damaged:,}", "blocks newly found to be so"),
        ("repaired", f"{tally.repaired + tally.mended:,}", "blocks whole again"),
        ("LEFT" if tally.left else "left", f"{tally.left:,}", "damaged blocks to be sent again"),
    ]
    lines = format_table(("", "", ""), rows, right=[1])
    if tally.left:
        lines.append("On a device that has the files: drystone doctor --repair")
    out.answer(vars(tally), lines)
    if tally.left:
        raise typer.Exit(ExitCode.CORRUPT)


@quarantine.command("list")
def list_quarantine(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonFlag = False
) -> None:
    """List collected packs that can still come back, and when each goes for good.

    Examples:
      drystone admin quarantine list
      drystone admin quarantine list --json
    """
    with _opened(data_dir, config) as keeping:
        found = keeping.list_quarantine()
    value = [
        {
            "pack_id": retired.pack_id.hex(),
            "length_bytes": retired.length_bytes,
            "why": retired.why.name.lower(),
            "since_s": retired.since_s,
            "until_s": until_s,
        }
        for retired, until_s in found
    ]
    rows = [
        (
            line["pack_id"][:16],
            format_bytes(line["length_bytes"]),
            line["why"],
            format_when(line["until_s"] * 1_000_000_000),
        )
        for line in value
    ]
    table = format_table(("PACK", "SIZE", "WHY", "GOES"), rows, right=[1])
    Output(as_json=as_json).answer(value, table if rows else "Nothing is in quarantine.")


@quarantine.command("restore")
def restore(
    packs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Beginnings of packs' ids, as listed.", metavar="[PACK]...", show_default=False
        ),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Bring all of them back.")] = False,
    yes: YesFlag = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring collected packs back into use, and to whoever held what is in them.

    What history refers to can be restored again as far back as all of it is there. Change the
    setting keep_history_days first, if that was too small: what it lets go of is collected again.

    Examples:
      drystone admin quarantine restore --all
      drystone admin quarantine restore 3f2a9c
    """
    if every == bool(packs):
        raise typer.BadParameter("name some packs, or give --all")
    out = Output(as_json=as_json)
    with _opened(data_dir, config) as keeping:
        wanted = _choose(keeping.list_quarantine(), packs or [""])
        if wanted:
            confirm(f"Bring {len(wanted)} packs back?", yes=yes)
        with _progress(out, "read") as tell:
            restored = keeping.restore(wanted, tell)
    told = f"{restored.packs:,} packs with {restored.blocks:,} blocks are in use again;"
    back = f"{restored.holders:,} blocks belong again to who had them."
    out.answer(vars(restored), [f"{told} {back}", *restored.troubles])


def _describe_survey(tally: Any) -> list[tuple[str, str, str]]:
    return [
        ("blocks", f"{tally.dropped_blocks:,}", f"{format_bytes(tally.dropped_bytes)} without use"),
        (
            "packs",
            f"{tally.retired_packs:,}",
            f"{format_bytes(tally.retired_bytes)} would go into quarantine",
        ),
        (
            "of these thin",
            f"{tally.compacted_packs:,}",
            f"{format_bytes(tally.moved_bytes)} of them in use would move to new packs",
        ),
        ("left over", f"{tally.orphans:,}", f"{format_bytes(tally.orphan_bytes)} of uploads"),
        (
            "quarantine",
            f"{tally.removed_packs:,}",
            f"{format_bytes(tally.removed_bytes)} whose time there is over",
        ),
        *_describe_missing(tally),
    ]


def _describe_run(tally: Any) -> list[tuple[str, str, str]]:
    return [
        (
            "noted",
            f"{tally.let_go:,}",
            "blocks that a tree no longer needs: they go in a later run",
        ),
        (
            "out of use",
            f"{tally.dropped_blocks:,}",
            f"{format_bytes(tally.dropped_bytes)} of blocks that nobody needs",
        ),
        (
            "retired",
            f"{tally.retired_packs + tally.orphans:,}",
            f"{format_bytes(tally.retired_bytes + tally.orphan_bytes)} of packs, in quarantine now",
        ),
        ("moved", format_bytes(tally.moved_bytes), f"out of {tally.compacted_packs:,} thin packs"),
        (
            "removed",
            f"{tally.removed_packs:,}",
            f"{format_bytes(tally.removed_bytes)} whose time in quarantine was over",
        ),
        *_describe_missing(tally),
    ]


def _describe_missing(tally: Any) -> list[tuple[str, str, str]]:
    if not tally.missing_blocks:
        return []
    return [
        ("MISSING", f"{tally.missing_blocks:,}", "blocks that files need: drystone admin check")
    ]


def _choose(found: "list[tuple[Any, int]]", beginnings: list[str]) -> "list[PackId]":
    chosen: dict[PackId, None] = {}
    for beginning in beginnings:
        matches = [r.pack_id for r, _ in found if r.pack_id.hex().startswith(beginning.lower())]
        if not matches and beginning:
            raise typer.BadParameter(f"no pack in quarantine begins with {beginning!r}")
        chosen.update(dict.fromkeys(matches))
    return list(chosen)


def _parse_age(text: str) -> int:
    match = _AGE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no age: give hours as 72h, or days as 3d")
    return round(float(match[1]) * _AGE_S[match[2]])


@contextmanager
def _progress(out: Output, what: str) -> "Iterator[Callable[[int], None]]":
    """Yields what is told of each step; shows on a terminal how much was read and written."""
    is_shown = sys.stderr.isatty() and not out.as_json
    done_bytes = steps = 0

    def tell(cost_bytes: int) -> None:
        nonlocal done_bytes, steps
        done_bytes += cost_bytes
        steps += 1
        if is_shown and steps % 20 == 0:
            line = shorten(f"{what} {format_bytes(done_bytes)}, {steps:,} steps")
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if is_shown:
            sys.stderr.write("\r\x1b[K")


def _opened(data_dir: "Path | None", config: "Path | None") -> "AbstractContextManager[Any]":
    from drystone.server.bootstrap import open_collecting
    from drystone.server.settings import load_settings

    return open_collecting(load_settings({"data_dir": data_dir, "config": config}))
