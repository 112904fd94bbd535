# SPDX-License-Identifier: Apache-2.0
"""Peers: the processes of one server, which tell their numbers as one.

A server may be several processes on one data directory. Each takes the lowest number that is
free (a lock that the kernel lets go of when the process ends, however it ends) and tells its
numbers on a socket in the data directory. Whichever is scraped asks the others, and labels each
sample with its process' number: a counter that begins anew is then seen to begin anew, which it
would not be in a sum.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from drystone.server.ports.watching.measuring import Family

log = structlog.get_logger()

FOLDER: Final = "metrics"
PEERS_MAX: Final = 256
_ANSWER_S_MAX: Final = 2.0
"""A process that takes longer is left out of this scrape."""
_SOCKET_PATH_BYTES: Final = 100
_PIECE_BYTES: Final = 1 << 16


class Peers:
    """This process among those of its server. Made by ``joined``.

    Attributes:
        number: Of this process; 0 where there is only one.
    """

    def __init__(
        self, folder: Path, folder_fd: int, number: int, read: Callable[[], Sequence[Family]]
    ) -> None:
        self._folder = folder
        self._folder_fd = folder_fd
        self.number = number
        self._read = read

    async def gather(self) -> list[Family]:
        """Returns what all processes tell now; each sample with its process' number as label
        ``worker``. A process that does not answer is left out.
        """
        told = [(self.number, list(self._read()))]
        told += await asyncio.to_thread(lambda: list(self._ask_others()))
        merged: dict[str, Family] = {}
        for number, families in sorted(told, key=lambda item: item[0]):
            for family in families:
                samples = merged.setdefault(family.name, family._replace(samples=[])).samples
                for sample in family.samples:
                    labels = {"worker": str(number), **sample.labels}
                    samples.append(sample._replace(labels=labels))
        return [merged[name] for name in sorted(merged)]

    async def has_others(self) -> bool:
        """Tells whether another process of this server answers."""
        return bool(await asyncio.to_thread(lambda: next(self._ask_others(), None)))

    def _ask_others(self) -> Iterator[tuple[int, list[Family]]]:
        for path in self._folder.glob("*.sock"):
            number = int(path.stem)
            if number == self.number:
                continue
            try:
                yield number, _ask(_path_of(self._folder, self._folder_fd, path.name))
            except (OSError, msgspec.DecodeError) as error:
                # It ended without a goodbye, or hangs.
                log.debug("metrics.peer-silent", worker=number, reason=str(error))


@asynccontextmanager
async def joined(data_dir: Path, read: Callable[[], Sequence[Family]]) -> AsyncIterator[Peers]:
    """Is one of the processes of a server while the context lasts.

    Args:
        data_dir: Of the server.
        read: Returns what this process tells; called on the event loop.
    """
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _number_taken(folder_fd) as number:
            peers = Peers(folder, folder_fd, number, read)
            name = f"{number}.sock"
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder_fd)

            async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(msgspec.msgpack.encode(list(read())))
                with suppress(OSError):
                    await writer.drain()
                writer.close()

            listening = socket.socket(socket.AF_UNIX)
            listening.bind(_path_of(folder, folder_fd, name))
            async with await asyncio.start_unix_server(tell, sock=listening):
                try:
                    yield peers
                finally:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)


@contextmanager
def _number_taken(folder_fd: int) -> Iterator[int]:
    """Holds the lowest number that no living process holds."""
    for number in range(PEERS_MAX):
        fd = os.open(
            f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder_fd
        )
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        try:
            yield number
        finally:
            os.close(fd)
        return
    raise AssertionError(f"more than {PEERS_MAX} processes on one data directory")


def _path_of(folder: Path, folder_fd: int, name: str) -> str:
    """Returns a path of a socket that is short enough to be one."""
    path = str(folder / name)
    # The way round by the folder's descriptor is short, but only Linux has it.
    return path if len(path.encode()) < _SOCKET_PATH_BYTES else f"/proc/self/fd/{folder_fd}/{name}"


def _ask(path: str) -> list[Family]:
    with closing(socket.socket(socket.AF_UNIX)) as asking:
        asking.settimeout(_ANSWER_S_MAX)
        asking.connect(path)
        pieces = []
        while piece := asking.recv(_PIECE_BYTES):
            pieces.append(piece)
    return msgspec.msgpack.decode(b"".join(pieces), type=list[Family])
