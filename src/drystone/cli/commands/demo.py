# SPDX-License-Identifier: Apache-2.0
"""``drystone demo``: a server and two devices at work, shown step by step."""

import contextlib
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drystone.cli.exit_codes import ExitCode
from drystone.cli.options import JsonFlag
from drystone.cli.output import Output, count_of, format_bytes, printable
from drystone.core.errors import Refused, Unavailable
from drystone.core.limits import MIB

if TYPE_CHECKING:
    from drystone.cli.demo.story import Outcome, StepLine
    from drystone.cli.demo.trees import Size

# The server's copy, A's, B's, and what they are about to replace.
_ROOM_TIMES: Final = 4
_ROOM_BYTES: Final = 200_000_000


class BadInputTree(Refused):
    """The folder to show the demo with cannot be used."""

    code = "bad-input-tree"


class NoRoom(Unavailable):
    """There is not enough room for the demo where temporary files go."""

    code = "no-room-for-demo"


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("demo")(demo)


def demo(
    directory: Annotated[
        Path | None,
        typer.Argument(
            help="The tree to sync; only read.  [default: Python's standard library]",
            metavar="[DIR]",
            show_default=False,
        ),
    ] = None,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the temporary folder, to look around in.")
    ] = False,
    large_mib: Annotated[int, typer.Option(hidden=True, min=1, max=4_096)] = 64,
    as_json: JsonFlag = False,
) -> None:
    """See it at work: a real server and two real devices, on this machine, for about a minute.

    They sync a tree, edit, insert, rename, get into a conflict, delete and restore; for each step
    you see how long it took until both devices agreed, and what crossed the wire. At the end both
    trees are compared byte by byte. Everything happens in a temporary folder and is removed.

    Examples:
      drystone demo
      drystone demo ~/Pictures
      drystone demo /usr/include --keep --json
    """
    out = Output(as_json=as_json)
    if not show(directory, large_mib * MIB, out, keep=keep):
        raise typer.Exit(ExitCode.DIFFERENT)


def show(
    directory: Path | None,
    large_bytes: int,
    out: Output,
    *,
    keep: bool = False,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Shows the whole demo; returns whether both devices ended with the same tree.

    Args:
        directory: The tree to sync; None: Python's standard library.
        large_bytes: Size of each of two large files.
        out: Where it is told.
        keep: Leave the folder behind.
        settings: Of the server, as variables of its environment.
    """
    source = _find_source(directory)
    with _temporary_folder(out, keep=keep) as home:
        outcome = _run(source, home, large_bytes, out, settings)
        from drystone.cli.demo.table import describe_outcome, outcome_json

        out.answer(outcome_json(outcome), describe_outcome(outcome))
    return outcome.is_identical


def _run(
    source: Path, home: Path, large_bytes: int, out: Output, settings: Mapping[str, str]
) -> "Outcome":
    from drystone.cli.demo import trees
    from drystone.cli.demo.story import Story, open_devices
    from drystone.cli.demo.table import describe_step
    from drystone.cli.demo.world import World

    # A copy without what cannot be synced, so that nothing but the demo's steps is shown.
    tree = home / "input"
    left_out = trees.copy_readable(source, tree)
    size = trees.measure_tree(tree)
    _require_room(_ROOM_TIMES * (size.content_bytes + 2 * large_bytes) + _ROOM_BYTES, home)

    def end(line: "StepLine") -> None:
        _say(out, f"    {describe_step(line)}\n")

    _say(out, f"A server and two devices, A and B, in {home}\n")
    _say(out, f"Input: {printable(str(source))}: {_describe(size, left_out)}\n\n")
    with World(home, has_relays=True, settings=settings) as world:
        world.start_server()
        open_devices(world)
        story = Story(
            world, tree, large_bytes, lambda title: _say(out, f"{printable(title)}\n"), end
        )
        return story.tell()


def _describe(size: "Size", left_out: int) -> str:
    told = f"{count_of(size.files, 'file')}, {format_bytes(size.content_bytes)}"
    return f"{told} ({left_out:,} unreadable or special ones left out)" if left_out else told


def _say(out: Output, text: str) -> None:
    if not out.as_json:
        sys.stdout.write(text)
        sys.stdout.flush()


def _find_source(directory: Path | None) -> Path:
    import sysconfig

    source = directory or Path(sysconfig.get_path("stdlib"))
    what = ""
    try:
        if not stat.S_ISDIR(source.stat().st_mode):
            what = "is not a folder"
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    if what:
        raise BadInputTree(f"{source} {what}", advice="Name a folder that holds some files.")
    return source.resolve()


def _require_room(wanted_bytes: int, home: Path) -> None:
    free_bytes = shutil.disk_usage(home).free
    if free_bytes < wanted_bytes:
        raise NoRoom(
            f"the demo wants {format_bytes(wanted_bytes)} in {home}, which has "
            f"{format_bytes(free_bytes)} free",
            advice="Choose a smaller folder, or another place for temporary files with TMPDIR.",
        )


@contextlib.contextmanager
def _temporary_folder(out: Output, *, keep: bool) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="drystone-demo-"))
    try:
        yield home
    finally:
        if keep:
            out.note(f"Kept: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
