# SPDX-License-Identifier: Apache-2.0
"""``drystone review``: what a guard keeps back, and the human's answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.memory import prepare_memory
from drystone.cli.options import JsonFlag, PasswordStdinFlag, read_password
from drystone.cli.output import Output, count_of, printable
from drystone.cli.progress import watch_progress

if TYPE_CHECKING:
    from drystone.client.bootstrap import Review, RootLine
    from drystone.client.settings import ClientSettings

_LINES_SHOWN: Final = 20
_LOOKS: Final = {
    "deleted": "deleted",
    "overwritten": "overwritten",
    "rewritten": "holds what looks encrypted",
    "replaced": "gone, with something in its place that looks encrypted",
}


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("review")(review)


def review(
    directory: Annotated[
        Path | None,
        typer.Argument(
            help="A synced folder.  [default: all of this device]",
            metavar="[DIR]",
            show_default=False,
        ),
    ] = None,
    *,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="It was meant: let exactly this happen; more asks again."),
    ] = False,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo",
            help="It was not meant: bring back what was lost, on this device or on the server.",
        ),
    ] = False,
    password_stdin: PasswordStdinFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what a guard keeps back, and answer it: agree, or have it undone.

    A guard halts a folder when most of it is about to be deleted, here or on the server, or when
    many of its files suddenly look encrypted. Until you answer, the other side keeps what it has.

    --undo brings files back as the server has them. What stands in their places goes to
    `.drystone/trash` in the folder, and stays there for thirty days. What was deleted on the
    server is restored there.

    The server keeps back, too, what one device deletes or overwrites in a burst. To agree to that
    takes the account's password; or another device, with `drystone devices allow`.

    It ends with code 0 if nothing is kept back, 8 if something is; after an answer with 0 once
    all is in step, and with 8 if there is more by now than was shown.

    Examples:
      drystone review
      drystone review ~/Documents --json
      drystone review ~/Documents --undo
      drystone review ~/Documents --accept
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    if accept and undo:
        raise typer.BadParameter("--accept and --undo are two answers: give one")
    settings, out = load_settings(), Output(as_json=as_json)
    if accept or undo:
        if directory is None:
            raise typer.BadParameter("say which folder the answer is for")
        root = bootstrap.get_root(settings, directory)
        choice = bootstrap.ACCEPT if accept else bootstrap.UNDO
        _answer(settings, root, choice, out, from_stdin=password_stdin)
        return
    roots = bootstrap.list_roots(settings)
    if directory is not None:
        roots = [bootstrap.get_root(settings, directory)]
    told: list[dict[str, Any]] = []
    lines: list[str] = []
    for root in roots:
        found = bootstrap.find_review(settings, root)
        told.append({"path": root.path, "review": bootstrap.tell_review(found)})
        if found is not None:
            lines += _describe(root.path, found)
    out.answer(told, lines or "Nothing is kept back.")
    if lines:
        raise typer.Exit(ExitCode.HALTED)


def _answer(
    settings: "ClientSettings", root: "RootLine", choice: str, out: Output, *, from_stdin: bool
) -> None:
    from drystone.client import bootstrap

    prepare_memory()
    with watch_progress(out) as notices:
        found = bootstrap.answer_review(
            settings, root, choice, notices, lambda: read_password(from_stdin=from_stdin)
        )
    entries = count_of(found.entries_count, "entry", "entries")
    where = printable(root.path)
    done = {
        bootstrap.ACCEPT: f"{where}: agreed, and carried out ({entries}).",
        bootstrap.UNDO: f"{where}: undone ({entries}); what was replaced is in .drystone/trash.",
    }
    answer = {"path": root.path, "answer": choice, "review": bootstrap.tell_review(found)}
    out.answer(answer, done[choice])


def _describe(path: str, found: "Review") -> Iterator[str]:
    yield f"{printable(path)}: {printable(found.message)}."
    for look, count in found.counts.items():
        yield f"  {count:,} {_LOOKS.get(look, look)}:"
        lines = [line for line in found.lines if line.look == look]
        for line in lines[:_LINES_SHOWN]:
            now = f", now {printable(line.new_path)}" if line.new_path else ""
            yield f"    {printable(line.path)}{now}"
        if count > min(len(lines), _LINES_SHOWN):
            yield f"    and {count - min(len(lines), _LINES_SHOWN):,} more"
    yield f"  If it was meant:      drystone review {printable(path)} --accept"
    yield f"  If it was not:        drystone review {printable(path)} --undo"
