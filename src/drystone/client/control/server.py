# SPDX-License-Identifier: Apache-2.0
"""The daemon's ear: answers commands of the command line."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from drystone.core.errors import DrystoneError, Misconfigured

Answer = Mapping[str, Any]
Command = Callable[[Mapping[str, Any]], Awaitable[Answer]]

_LINE_BYTES_MAX = 1 << 20
_IDLE_S_MAX = 30.0


class DaemonRunning(Misconfigured):
    """A daemon already listens where this one wants to."""

    code = "daemon-running"


class SocketUnsafe(Misconfigured):
    """The folder of the daemon's socket is not its user's alone to write."""

    code = "socket-unsafe"


@asynccontextmanager
async def listening(path: Path, commands: Mapping[str, Command]) -> AsyncIterator[None]:
    """Answers commands while the context is open; removes the socket at its end.

    A request is a JSON object with ``do`` (the command's name) and its arguments; the answer
    is the command's, or an object with ``code``, ``message`` and ``advice``.

    Raises:
        DaemonRunning: Another daemon answers at this path.
        SocketUnsafe: Others than this user may write to its folder.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_own(path.parent)
    _remove_stale(path)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), _IDLE_S_MAX)
            writer.write(msgspec.json.encode(await _answer(line, commands)) + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # whoever asked went away, or never said a whole line
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, path, limit=_LINE_BYTES_MAX)
    path.chmod(0o600)  # noqa: ASYNC240 (once, local, at start)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 (once, local, at the end)


async def _answer(line: bytes, commands: Mapping[str, Command]) -> Answer:
    try:
        request = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        return {"code": "malformed-message", "message": f"not a JSON object: {error}"}
    command = commands.get(str(request.get("do", "")))
    if command is None:
        known = ", ".join(sorted(commands))
        return {
            "code": "unknown-command",
            "message": f"the daemon does not know {request.get('do')!r}; it knows {known}",
            "advice": "Stop and start the daemon if it is older than this program.",
        }
    try:
        return await command(request)
    except DrystoneError as error:
        return {"code": error.code, "message": error.message, "advice": error.advice}


def _check_own(folder: Path) -> None:
    """Refuses a folder in which somebody else could put a socket of theirs under our name."""
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise SocketUnsafe(
            f"{folder} belongs to, or may be written by, somebody else",
            advice="Remove it, or choose a folder of yours with DRYSTONE_CONFIG_DIR.",
        )


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)  # left by a daemon that was killed
            return
    raise DaemonRunning(
        f"a daemon already listens at {path}",
        advice="See it with: drystone status. Stop it with: drystone stop",
    )
