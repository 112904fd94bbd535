# SPDX-License-Identifier: Apache-2.0
"""Help pages: a command's docstring as it is written, and the commands by what they are for.

Plain text, not rich's boxes: it can be copied into a shell, and ``--help`` starts sooner.
"""

from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

SECTIONS: Final = {
    "Keep folders in step": (
        *("login", "logout", "sync", "status", "start", "stop", "pause", "resume"),
        *("daemon", "systemd"),
    ),
    "Look at and change files on the server": ("ls", "get", "put", "mkdir", "mv", "rm"),
    "Go back": ("history", "restore", "trash"),
    "Understand": ("why", "problems", "conflicts", "doctor", "devices"),
    "Run a server": ("serve", "admin"),
    "Try it": ("demo", "version"),
}
"""The commands in the order of ``drystone --help``."""

_COLUMN_CHARS: Final = 18


class PagedCommand(TyperCommand):
    """A command whose help is its docstring, line by line."""

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
