# SPDX-License-Identifier: Apache-2.0
"""The daemon's socket: answers, refusals, and what is left behind."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from drystone.client.control.client import DaemonAway, DaemonRefused, ask_daemon
from drystone.client.control.server import DaemonRunning, listening
from drystone.core.errors import Refused


class _No(Refused):
    code = "test-no"


async def _echo(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"heard": request["word"]}


async def _refuse(request: Mapping[str, Any]) -> Mapping[str, Any]:
    raise _No("not now", advice="later")


@pytest.mark.asyncio
async def test_daemon_answers_and_refuses_clearly(tmp_path: Path) -> None:
    path = tmp_path / "d" / "daemon.sock"

    async with listening(path, {"echo": _echo, "refuse": _refuse}):
        assert path.stat().st_mode & 0o777 == 0o600
        answer = await asyncio.to_thread(ask_daemon, path, "echo", word="hello")
        assert answer == {"heard": "hello"}
        with pytest.raises(DaemonRefused, match="not now") as refused:
            await asyncio.to_thread(ask_daemon, path, "refuse")
        assert (refused.value.code, refused.value.advice) == ("test-no", "later")
        with pytest.raises(DaemonRefused, match="it knows echo, refuse"):
            await asyncio.to_thread(ask_daemon, path, "dance")

    assert not path.exists()


@pytest.mark.asyncio
async def test_second_daemon_is_refused_and_a_stale_socket_is_not(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sock"

    async with listening(path, {"echo": _echo}):
        with pytest.raises(DaemonRunning):
            async with listening(path, {}):
                pass
        assert await asyncio.to_thread(ask_daemon, path, "echo", word="still") == {"heard": "still"}

    path.touch()
    async with listening(path, {"echo": _echo}):
        assert path.is_socket()


def test_asking_without_a_daemon_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(DaemonAway) as caught:
        ask_daemon(tmp_path / "nobody.sock", "status")

    assert "drystone start" in caught.value.advice
