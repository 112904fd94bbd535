# SPDX-License-Identifier: Apache-2.0
"""``drystone receipt``: what the server holds of a path, verified; and so, whether it can go."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import JsonFlag
from drystone.cli.output import Output, count_of, format_bytes, format_when, printable, shorten
from drystone.cli.progress import watch_progress

if TYPE_CHECKING:
    from drystone.client.bootstrap import FileReceipt, Receipt

_UNSAFE_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command("receipt")(receipt)


def receipt(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files or folders in synced folders.", metavar="PATH"),
    ],
    *,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Compare files here by size and time, without reading them."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell what the server holds of a path, verified now, and so whether the copy here can go.

    The server reads back and verifies every block, and the file here is read and compared; nothing
    is believed because it was once so. It ends with code 0 only if all of it is safe, and with 7 if
    anything is not.

    That a copy can go does not say how: deleted in the synced folder, it is deleted on all devices
    (`drystone restore` brings it back). To free this disk only, end the folder's sync first, with
    `drystone forget DIR`.

    Examples:
      drystone receipt ~/Documents/plan.txt
      drystone receipt ~/Photos/2019 --quick
      drystone receipt ~/Photos ~/Documents --json && echo "all of it is safe"
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings, out = load_settings(), Output(as_json=as_json)
    receipts = []
    for path in paths:
        with watch_progress(out) as notices:
            receipts.append(bootstrap.make_receipt(settings, path, notices, is_quick=quick))
    lines = [line for one in receipts for line in _describe(one)]
    out.answer({"is_safe": all(one.is_safe for one in receipts), "receipts": receipts}, lines)
    if not all(one.is_safe for one in receipts):
        raise typer.Exit(ExitCode.PROBLEMS)


def _describe(one: "Receipt") -> Iterator[str]:
    if one.entry is not None:
        yield from _describe_single(one, one.entry)
        return
    what = f"{count_of(one.files_count, 'entry', 'entries')}, {format_bytes(one.bytes_count)}"
    if one.is_safe:
        can_go = "." if not one.files_count else ": the copies here can go."
        yield f"{shorten(one.path)}: safe, {what}{can_go}"
    else:
        unsafe_count = one.files_count - one.safe_count
        yield f"{shorten(one.path)}: NOT safe, {unsafe_count:,} of {what.partition(',')[0]}."
        for line in one.unsafe[:_UNSAFE_SHOWN]:
            yield f"  {shorten(line.path)}: {printable(line.message)}"
        if unsafe_count > _UNSAFE_SHOWN:
            yield f"  and {unsafe_count - _UNSAFE_SHOWN:,} more"
        for advice in dict.fromkeys(line.advice for line in one.unsafe if line.advice):
            yield f"  now: {printable(advice)}"
    if one.remote_only_count:
        only = count_of(one.remote_only_count, "entry is", "entries are")
        yield f"  {only} on the server only, and not verified"


def _describe_single(one: "Receipt", entry: "FileReceipt") -> Iterator[str]:
    can_go = " The copy here can go." if entry.here in ("same", "alike") else ""
    yield f"{shorten(one.path)}: {f'safe.{can_go}' if one.is_safe else 'NOT safe.'}"
    if entry.rev:
        size = format_bytes(entry.size_bytes)
        yield f"  revision   {entry.rev}, {size}, content {entry.content_hash[:16] or 'none'}"
    if one.committed_ns:
        by = printable(f"{one.account} on {one.device}")
        yield f"  committed  {format_when(one.committed_ns)} by {by}"
    if entry.blocks_count:
        when = format_when(one.checked_ns)
        yield f"  verified   {count_of(entry.blocks_count, 'block')} on the server, {when}"
    yield f"  so         {printable(entry.message)}"
    if entry.advice:
        yield f"  now        {printable(entry.advice)}"
