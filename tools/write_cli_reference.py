# SPDX-License-Identifier: Apache-2.0
"""Writes the pages of all commands into docs/reference/cli.md, below the line that says so.

Run it after changing a command: ``.venv/bin/python tools/write_cli_reference.py``. A test fails
while the page and the commands differ.
"""

from pathlib import Path

from drystone.cli.app import app
from drystone.cli.help_pages import list_pages

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"
MARK = "<!-- Below: made by tools/write_cli_reference.py from the commands themselves. -->\n"


def render() -> str:
    """Returns what stands below the mark."""
    pages = [page for page in list_pages(app, "drystone") if page[0] != "drystone"]
    return "\n".join(f"\n## `{typed}`\n\n```text\n{text}\n```" for typed, text in pages) + "\n"


def main() -> None:
    """Brings the page up to date."""
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(written + MARK + render(), encoding="utf-8")


if __name__ == "__main__":
    main()
