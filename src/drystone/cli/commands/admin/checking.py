# SPDX-License-Identifier: Apache-2.0
"""Whether what a server keeps is sound, and how to make its database anew."""

from typing import TYPE_CHECKING, Annotated

import typer

from drystone.cli.commands.admin.group import group, read_settings
from drystone.cli.commands.admin.telling import counting
from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import ConfigOption, DataDirOption, JsonFlag, YesFlag, confirm
from drystone.cli.output import Output, count_of, format_when, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drystone.server.bootstrap import CheckFinding, CheckSummary, Rebuilt


@group.command("check")
def check(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every block and compare it with its name.")
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Check that everything the server keeps is there and fits together; change nothing.

    Journals, trees, the block index and the packs are compared with each other, both ways. A
    running server goes on meanwhile. It exits with 0 if the server is sound, with 10 if not;
    what is harmless, such as what a broken-off upload left, is told and does not count.

    Examples:
      drystone admin check
      drystone admin check --deep            read all packs as well
      drystone admin check --json | jq .findings
    """
    from drystone.server.bootstrap import open_check

    out = Output(as_json=as_json)
    settings = read_settings(data_dir, config)
    findings = []
    with counting(out) as counts, open_check(settings, counts.tell, is_deep=deep) as checking:
        for finding in checking.iter_findings():
            findings.append(finding)
            if not as_json:
                counts.clear()
                out.answer(None, _describe(finding))
    checked = checking.sum_up()
    counts_told = ", ".join(f"{number:,} {what}" for what, number in checked.counts.items())
    out.answer(
        {**checked._asdict(), "findings": findings},
        f"Looked at {counts_told}. {_verdict(checked)}",
    )
    return ExitCode.OK if checked.is_sound else ExitCode.DIFFERENT


@group.command("rebuild")
def rebuild(
    *,
    yes: YesFlag = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Make the database anew from the packs and the journals that lie beside them.

    For when the database is lost or damaged and there is no backup. The server must be stopped, and
    the database gone: move metadata.db out of the data folder and keep it. Accounts come back
    without passwords and with all devices signed out; what was committed in the last minutes before
    the loss is sent again by the devices.

    Examples:
      drystone admin rebuild
      drystone admin rebuild --data-dir /srv/drystone --yes
    """
    from drystone.server.bootstrap import rebuild_metadata

    out = Output(as_json=as_json)
    settings = read_settings(data_dir, config)
    confirm("Make the database anew from what lies in the object store?", yes=yes)
    with counting(out) as counts:
        done = rebuild_metadata(settings, counts.tell)
    answer = {**done.rebuilt._asdict(), "check": done.checked, "findings": done.findings}
    lines = [*_describe_rebuilt(done.rebuilt)]
    for finding in done.findings:
        lines += _describe(finding)
    lines.append(f"The new database was checked. {_verdict(done.checked)}")
    if done.rebuilt.accounts:
        lines += [
            "Now give each account a password, start the server, and sign in on each device:",
            *(f"  drystone admin set-password {printable(a)}" for a in done.rebuilt.accounts),
        ]
    out.answer(answer, lines)
    return ExitCode.OK if done.checked.is_sound else ExitCode.DIFFERENT


def _describe(finding: "CheckFinding") -> list[str]:
    mark = "note" if finding.is_harmless else "DAMAGE"
    return [
        f"{mark} {finding.code}: {printable(finding.what)}",
        f"  where: {printable(finding.where)}",
        f"  now:   {printable(finding.advice)}",
    ]


def _verdict(checked: "CheckSummary") -> str:
    total = sum(checked.found.values())
    if checked.is_sound:
        return "It is sound." if not total else f"It is sound; {count_of(total, 'note')}."
    return f"It is NOT sound: {count_of(total, 'finding')}."


def _describe_rebuilt(rebuilt: "Rebuilt") -> "Iterator[str]":
    yield f"{rebuilt.packs_count:,} packs with {rebuilt.blocks_count:,} blocks are in the index."
    for name in rebuilt.damaged_packs:
        yield f"  damaged, and taken as far as it could be read: {name}"
    for journal in rebuilt.journals:
        told = f" of {format_when(journal.last_ns)}" if journal.last_ns else ""
        yield (
            f"{printable(journal.account) or journal.namespace_id.hex()}: the tree as it was after"
            f" change {journal.head:,}{told}; what came later was lost here."
        )
        if journal.lost_upto:
            yield f"  older versions from before change {journal.lost_upto:,} are lost in part"
        yield from _each("damaged:", journal.unreadable)
        yield from _each("left aside, from before a restore:", journal.set_aside)
    if rebuilt.lost_contents_count:
        yield f"{count_of(rebuilt.lost_contents_count, 'content')} lack blocks; see below."


def _each(what: str, names: "Iterable[str]") -> "Iterator[str]":
    for name in names:
        yield f"  {what} {printable(name)}"
