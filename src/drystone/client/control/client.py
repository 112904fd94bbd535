# SPDX-License-Identifier: Apache-2.0
"""Asking the daemon something from another process."""

import socket
from pathlib import Path
from typing import Any

import msgspec

from drystone.core.errors import Refused, Unavailable

_ANSWER_S_MAX = 30.0


class DaemonAway(Unavailable):
    """No daemon answers for this user's configuration."""

    code = "daemon-not-running"


class DaemonRefused(Refused):
    """The daemon answered that it would not; ``code`` is its own."""

    code = "daemon-refused"

    def __init__(self, code: str, message: str, advice: str) -> None:
        super().__init__(message, advice=advice)
        self.code = code


def ask_daemon(
    path: Path, command: str, wait_s: float | None = _ANSWER_S_MAX, /, **arguments: object
) -> dict[str, Any]:
    """Sends one command and returns the daemon's answer.

    Args:
        path: The daemon's socket.
        command: What it should do.
        wait_s: Seconds for which it may say nothing; None: any number.
        arguments: Of the command.

    Raises:
        DaemonAway: Nothing answers at the socket.
        DaemonRefused: The answer is a refusal.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_S_MAX)
        try:
            connection.connect(str(path))
            connection.settimeout(wait_s)
            connection.sendall(msgspec.json.encode({"do": command, **arguments}) + b"\n")
            line = _read_line(connection)
            answer = msgspec.json.decode(line, type=dict[str, Any])
        except (OSError, msgspec.DecodeError) as error:
            raise DaemonAway(
                "no daemon is running for this configuration",
                advice="Start it with: drystone start",
            ) from error
    if "code" in answer:
        raise DaemonRefused(
            str(answer["code"]), str(answer.get("message", "")), str(answer.get("advice", ""))
        )
    return answer


def _read_line(connection: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        part = connection.recv(65_536)
        if not part:
            break
        line += part
    return bytes(line)
