# SPDX-License-Identifier: Apache-2.0
"""Somebody at the command line: runs commands in this process, against a real server."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from drystone.cli import app

PASSWORD = "correct horse"


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        """Its trouble."""
        return json.loads(self.err)


class User:
    """One device's command line, with a configuration of its own.

    Args:
        home: Where its configuration and folders lie.
        patch: Sets the environment while a command runs.
    """

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self._patch = patch

    def run(self, *arguments: object, typed: str = "") -> Said:
        """Runs one command to its end; what is typed comes through a pipe."""
        self._patch.setenv("DRYSTONE_CONFIG_DIR", str(self.home / "config"))
        self._patch.setattr("sys.stdin", io.StringIO(typed))
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = app.run([str(argument) for argument in arguments])
        return Said(int(code), out.getvalue(), err.getvalue())

    def ask(self, *arguments: object, typed: str = "") -> Any:
        """Runs a command that must succeed and returns its JSON answer."""
        said = self.run(*arguments, "--json", typed=typed)
        assert said.code == 0, said
        return said.json

    def log_in(self, url: str, account: str = "anna") -> None:
        """Signs the device in under the name of its home folder."""
        flags = ("--user", account, "--device-name", self.home.name, "--password-stdin")
        self.ask("login", url, *flags, typed=f"{PASSWORD}\n")
