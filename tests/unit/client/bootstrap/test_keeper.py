# SPDX-License-Identifier: Apache-2.0
"""Keeper: whatever stops a folder is told by `status`, and the folder is begun anew."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drystone.client.adapters.notices import SilentNotices
from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap import daemon
from drystone.client.settings import ClientSettings
from drystone.core.errors import Refused, Unavailable

pytestmark = pytest.mark.asyncio

ROOT = RootLine("/folder", "11" * 16, "http://127.0.0.1:1", bytes(16), bytes(16))
SETTINGS = ClientSettings(config_dir=Path("/nowhere"), device_name="laptop", boot_id="")


class Gone(Refused):
    code = "gone-in-this-test"


class Away(Unavailable):
    code = "away-in-this-test"


class Told(SilentNotices):
    def __init__(self):
        self.messages = []
        self.is_told = asyncio.Event()

    def message(self, text):
        self.messages.append(text)
        self.is_told.set()


@pytest.mark.parametrize(
    ("error", "code", "phase"),
    [
        (ValueError("deep inside"), "keeper-failed", "away"),
        (ExceptionGroup("tasks", [ValueError("deep inside")]), "keeper-failed", "away"),
        (Gone("no such folder"), "gone-in-this-test", "halted"),
        (ExceptionGroup("tasks", [Away("no server")]), "away-in-this-test", "away"),
    ],
)
async def test_what_stopped_a_folder_is_told(monkeypatch, error, code, phase):
    is_opened = asyncio.Event()

    @asynccontextmanager
    async def failing(*_):
        is_opened.set()
        raise error
        yield

    monkeypatch.setattr(daemon, "opened_loop", failing)
    told = Told()
    keeper = daemon.Keeper(SETTINGS, ROOT, told)
    keeper.begin()
    try:
        await told.is_told.wait()
        standing = await keeper.describe()
        assert (standing["why_code"], standing["phase"]) == (code, phase)
        assert not standing["is_settled"]

        # Told to look again, it tries again; the same trouble is not told twice.
        is_opened.clear()
        keeper.sync_now()
        await is_opened.wait()
        assert len(told.messages) == 1
    finally:
        await keeper.end()


async def test_details_of_a_defect_go_to_the_log(monkeypatch, capsys):
    error = daemon._translate(ExceptionGroup("tasks", [ValueError("deep inside")]), "/folder")

    assert error.message == "a defect in Drystone stopped /folder: ValueError: deep inside"
    assert "ValueError: deep inside" in capsys.readouterr().err
