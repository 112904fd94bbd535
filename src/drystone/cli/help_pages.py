# SPDX-License-Identifier: Apache-2.0
"""Help pages: a command's docstring as it is written, and the commands by what they are for.

Plain text, not rich's boxes: it can be copied into a shell, and ``--help`` starts sooner.
"""

from collections.abc import Iterator
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

SECTIONS: Final = {
    "Keep folders in step": (
        *("login", "logout", "sync", "forget", "status", "start", "stop", "pause", "resume"),
        *("daemon", "systemd"),
    ),
    "Choose what is carried": ("select", "ignore"),
    "Look at and change files on the server": ("ls", "get", "put", "mkdir", "mv", "rm"),
    "Go back": ("review", "history", "restore", "trash"),
    "Understand": ("why", "receipt", "problems", "conflicts", "doctor", "devices"),
    "Run a server": ("serve", "admin"),
    "Try it": ("demo", "version"),
}
"""The commands in the order of ``drystone --help``."""

HELP_OPTIONS: Final = ["--help", "-h"]

_COLUMN_CHARS: Final = 18
_PAGE_CHARS: Final = 100


class PagedCommand(TyperCommand):
    """A command whose help is its docstring, line by line."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Returns the usage line's pieces: required arguments plain, optional ones in brackets."""
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Writes the docstring; its examples keep their lines."""
        _write_text(formatter, self.help or "")


class PagedGroup(TyperGroup):
    """A group whose help is its text, line by line."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Writes the text; its examples keep their lines."""
        _write_text(formatter, self.help or "")


class SectionedGroup(PagedGroup):
    """Lists the commands by what they are for, instead of in one long list."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes one list per section."""
        for title, names in SECTIONS.items():
            rows = [
                (name, command.get_short_help_str(limit=formatter.width - _COLUMN_CHARS))
                for name in names
                if (command := self.get_command(ctx, name)) is not None
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def make_group(name: str, text: str) -> typer.Typer:
    """Returns a group of commands, ``drystone NAME …``."""
    return typer.Typer(
        name=name, help=text, cls=PagedGroup, no_args_is_help=True, rich_markup_mode=None
    )


def page_commands(group: typer.Typer) -> None:
    """Gives every command of a group, and of those in it, its help page."""
    for command in group.registered_commands:
        command.cls = PagedCommand
    for below in group.registered_groups:
        if below.typer_instance is not None:
            page_commands(below.typer_instance)


def _write_text(formatter: Any, text: str) -> None:
    formatter.write("\n")
    for line in text.strip().splitlines():
        formatter.write(f"  {line}\n" if line else "\n")


def list_pages(group: typer.Typer, typed: str) -> list[tuple[str, str]]:
    """Returns every command as it is typed, with its help page at a fixed width.

    Groups come before what is in them; docs/reference/cli.md is made of these pages.
    """
    return list(_iter_pages(typer.main.get_command(group), typed))


def _iter_pages(command: Any, typed: str) -> Iterator[tuple[str, str]]:
    context = command.context_class(
        command,
        info_name=typed,
        terminal_width=_PAGE_CHARS,
        max_content_width=_PAGE_CHARS,
        help_option_names=HELP_OPTIONS,
    )
    page = command.get_help(context)
    yield typed, "\n".join(line.rstrip() for line in page.splitlines())
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _iter_pages(below, f"{typed} {name}")
