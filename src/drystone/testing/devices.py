# SPDX-License-Identifier: Apache-2.0
"""Devices in memory: the real loop, with a disk, a network and a clock that obey a test."""

import asyncio
import itertools
from pathlib import Path
from random import Random

from drystone.client.adapters.clock import make_file_ids
from drystone.client.adapters.narrow import widen
from drystone.client.adapters.notices import SilentNotices
from drystone.client.adapters.state_sqlite import SqliteState, open_state
from drystone.client.loop.parts import World
from drystone.client.loop.running import Loop
from drystone.client.loop.summary import Summary
from drystone.client.ports import DiskTraits, ProblemRow
from drystone.core.planning.plan import Conflict
from drystone.server.service.actor import Actor
from drystone.testing.fakes.clock import ManualClock
from drystone.testing.fakes.disk import FakeDisk
from drystone.testing.fakes.narrow import WIDE
from drystone.testing.fakes.remote import FakeRemote
from drystone.testing.service import MemoryServer

_FAR_S = 1_000_000
"""The clock is so far ahead of the disk's stamps that nothing was written just now."""


class KeptNotices(SilentNotices):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.problems: list[ProblemRow] = []
        self.conflicts: list[tuple[str, Conflict]] = []
        self.messages: list[str] = []

    def problem(self, row: ProblemRow) -> None:
        self.problems.append(row)

    def conflict(self, conflict: Conflict, path: str) -> None:
        self.conflicts.append((path, conflict))

    def message(self, text: str) -> None:
        self.messages.append(text)


class MemoryDevice:
    """One device of an account, with a folder of its own.

    Args:
        server: Whose service it speaks with.
        actor: Whose device it is.
        state_path: Where its state is kept, for devices that crash; None: in memory.
        traits: What its disk can hold.

    Attributes:
        disk: Its folder; ``disk.hand`` changes it as a person does.
        remote: Its network; ``remote.faults`` breaks it.
        notices: What it told.
    """

    def __init__(
        self,
        server: MemoryServer,
        actor: Actor,
        name: str,
        state_path: Path | None = None,
        *,
        traits: DiskTraits = WIDE,
    ) -> None:
        self.name = name
        self.disk = FakeDisk(traits=traits)
        self.hand = self.disk.hand
        self.remote = FakeRemote(server.service, actor)
        self.clock = ManualClock()
        self.clock.advance(_FAR_S)
        self.notices = KeptNotices()
        self.allows_deletions = False
        self._boots_count = 1
        self._state_path = ":memory:" if state_path is None else str(state_path)
        # Alike in every run, so that a failing course of events can be told.
        self._new_file_id = make_file_ids(self.clock.now_ns, Random(name))
        self._keys = itertools.count()
        self.state: SqliteState = self._open_state()

    async def sync(self) -> Summary:
        """Brings its folder in step once; see ``Loop.run_once``."""
        loop = Loop(self.make_world())
        if self.allows_deletions:
            loop.allow_deletions()
        try:
            return await loop.run_once()
        finally:
            await loop.close()

    async def sync_until(self, turns_count: int) -> bool:
        """Syncs for so many turns of the event loop, then crashes: what was not saved is lost.

        Returns True if it came to its end before.
        """
        syncing = asyncio.ensure_future(self.sync())
        for _ in range(turns_count):
            if syncing.done():
                break
            await asyncio.sleep(0)
        if syncing.done():
            syncing.result()
            return True
        syncing.cancel()
        await asyncio.wait([syncing])
        self.crash()
        return False

    def crash(self, *, with_machine: bool = False) -> None:
        """Loses what was not saved, and begins anew with what was.

        With its machine, the disk may have lost what was not flushed: a test's hand does that.
        """
        assert self._state_path != ":memory:", "give it a state file"
        self._boots_count += with_machine
        self.state.close()
        self.state = self._open_state()

    async def flush(self) -> None:
        """Makes durable what was written so far."""
        loop = Loop(self.make_world())
        await loop.flush()
        await loop.close()

    def make_world(self) -> World:
        """Returns what a loop of this device works on."""
        return World(
            disk=widen(self.disk),
            state=self.state,
            remote=self.remote,
            clock=self.clock,
            notices=self.notices,
            new_file_id=self._new_file_id,
            new_key=lambda: f"{self.name}-{next(self._keys)}",
            device_name=self.name,
        )

    def close(self) -> None:
        """Closes its state."""
        self.state.close()

    def _open_state(self) -> SqliteState:
        boot_id = f"boot {self._boots_count}"
        state, _ = open_state(self._state_path, boot_id, self.clock.now_ns())
        return state


async def settle(devices: list[MemoryDevice], rounds_max: int = 10) -> None:
    """Syncs devices in turn until none has anything left to do.

    Raises:
        AssertionError: They never come to rest.
    """
    for _ in range(rounds_max):
        summaries = [await device.sync() for device in devices]
        if not any(s.uploaded_count or s.downloaded_count for s in summaries):
            return
    raise AssertionError("the devices do not come to rest")
