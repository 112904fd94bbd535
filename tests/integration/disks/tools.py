# SPDX-License-Identifier: Apache-2.0
"""What tests on real disks share: what a server's journal says, and devices that keep running."""

import asyncio
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple, Self

from drystone.client.bootstrap import open_root
from drystone.client.bootstrap.syncing import opened_loop, watch
from drystone.client.loop.running import Loop
from drystone.client.loop.summary import Standing
from drystone.core.journal.record import Action
from drystone.testing.real_devices import RealDevice, Told, find_difference
from drystone.testing.servers import ServerProcess

WAIT_S = 120.0


class Line(NamedTuple):
    """A record of a journal."""

    action: Action
    file_id: str
    name: str
    size_bytes: int


class Journal:
    """What the server's database says of one account's namespace."""

    def __init__(self, server: ServerProcess, account: str) -> None:
        self._path = server.data_dir / "metadata.db"
        self._account = account
        self._seen = 0

    def take_new(self) -> list[Line]:
        """Returns the records since the last call, in order."""
        rows = self._ask(
            "SELECT seq, action, hex(file_id), name, coalesce(size_bytes, 0) FROM record"
            " WHERE ns = ? AND seq > ? ORDER BY seq",
            self._seen,
        )
        self._seen = max([self._seen, *(row[0] for row in rows)])
        return [Line(Action(action), *rest) for _, action, *rest in rows]

    def has_new(self) -> bool:
        """Tells whether there is any."""
        head = self._ask("SELECT max(seq) FROM record WHERE ns = ?")[0][0] or 0
        return int(head) > self._seen

    def count_new(self) -> Counter[str]:
        """Returns how many records of each kind there are since the last call."""
        return Counter(line.action.name.lower() for line in self.take_new())

    def count_blocks(self) -> int:
        """Returns how many blocks the namespace holds."""
        return int(self._ask("SELECT count(*) FROM namespace_block WHERE ns = ?")[0][0])

    def _ask(self, query: str, *arguments: int) -> list[tuple]:
        with closing(sqlite3.connect(self._path)) as db:
            found = db.execute(
                "SELECT ns FROM namespace JOIN account USING (account_id) WHERE name = ?",
                (self._account,),
            ).fetchone()
            return db.execute(query, (found[0], *arguments)).fetchall()


class Kept:
    """A device whose loop runs in a thread, as in a daemon. Use it as a context."""

    def __init__(self, device: RealDevice) -> None:
        self.device = device
        self.told = device.told = Told(lambda _: None)
        self._root = open_root(device.settings, device.folder, url=device.url)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._ended: BaseException | None = None
        self._events: asyncio.AbstractEventLoop
        self._keeping: asyncio.Task[None]
        self._loop: Loop

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._events.call_soon_threadsafe(self._keeping.cancel)
        self._thread.join(WAIT_S)
        if self._ended is not None:
            raise self._ended

    def describe(self) -> Standing:
        """Returns how the loop stands."""
        telling = asyncio.run_coroutine_threadsafe(self._loop.describe(), self._events)
        return telling.result(WAIT_S)

    def do(self, deed: Callable[[Loop], None]) -> None:
        """Does something to the loop, in its thread."""
        self._events.call_soon_threadsafe(deed, self._loop)

    def _run(self) -> None:
        try:
            asyncio.run(self._keep())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001  raised by whoever started it
            self._ended = error
        finally:
            self._ready.set()

    async def _keep(self) -> None:
        async with opened_loop(self.device.settings, self._root, self.told) as loop:
            self._events = asyncio.get_running_loop()
            self._loop = loop
            self._keeping = asyncio.create_task(loop.run_forever(watch(self._root, self.told)))
            self._ready.set()
            await self._keeping


@contextmanager
def kept(*devices: RealDevice) -> Iterator[list[Kept]]:
    """Keeps devices running for the time of the context, settled at its begin and end."""
    with contextmanager(_entered)(list(devices)) as running:
        settle(*running)
        yield running
        settle(*running)


def _entered(devices: list[RealDevice]) -> Iterator[list[Kept]]:
    if not devices:
        yield []
        return
    with Kept(devices[0]) as first, contextmanager(_entered)(devices[1:]) as others:
        yield [first, *others]


def settle(*running: Kept) -> None:
    """Waits until all hold the same, and know it.

    Raises:
        AssertionError: They do not come to hold the same.
    """

    def is_settled() -> bool:
        standings = [one.describe() for one in running]
        try:
            looks = [one.device.look() for one in running]
        except OSError:
            return False  # Something was moved while we looked.
        return (
            all(one.is_settled for one in standings)
            and len({one.seen_seq for one in standings}) == 1
            and all(look == looks[0] for look in looks)
        )

    try:
        wait_for(is_settled)
    except AssertionError:
        first, *others = [one.device.look() for one in running]
        differences = [find_difference(first, other) for other in others]
        standings = [one.describe() for one in running]
        raise AssertionError(f"not settled: {differences} {standings}") from None


def wait_for(is_true: Callable[[], bool]) -> None:
    """Waits until something holds, and holds again a moment later."""
    until_s = time.monotonic() + WAIT_S
    held_count = 0
    while held_count < 2:
        assert time.monotonic() < until_s, "it did not come true"
        held_count = held_count + 1 if is_true() else 0
        time.sleep(0.05)
