# SPDX-License-Identifier: Apache-2.0
"""The reference tells of every command and exit code as they are."""

import re
from pathlib import Path

import pytest

from drystone.cli.app import app
from drystone.cli.exit_codes import ExitCode
from drystone.cli.help_pages import SECTIONS, list_pages

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
PAGES = list_pages(app, "drystone")


@pytest.mark.parametrize(("typed", "text"), PAGES[1:], ids=lambda value: value[:40])
def test_reference_holds_the_page_of_each_command(typed, text):
    # Make it so with: python tools/write_cli_reference.py
    assert f"## `{typed}`\n\n```text\n{text}\n```\n" in PAGE


def test_reference_tells_of_no_other_command():
    told = re.findall(r"^## `(drystone [^`]+)`$", PAGE, re.MULTILINE)

    assert told == [typed for typed, _ in PAGES[1:]]


@pytest.mark.parametrize(("typed", "text"), PAGES, ids=lambda value: value[:40])
def test_each_command_teaches_by_example(typed, text):
    is_group = "\nCommands:\n" in text
    assert is_group or re.search(rf"^ +(\S.* \| )?{typed}\b", text, re.MULTILINE)
    assert max(len(line) for line in text.splitlines()) <= 100


def test_each_exit_code_is_told_with_its_name():
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \|", PAGE, re.MULTILINE)

    assert rows == [(str(int(c)), c.name.lower().replace("_", " ")) for c in ExitCode]


def test_every_command_stands_in_one_section():
    listed = [name for names in SECTIONS.values() for name in names]
    commands = [typed.split()[1] for typed, _ in PAGES[1:] if typed.count(" ") == 1]

    assert len(listed) == len(set(listed))
    assert set(commands) <= set(listed)
