# SPDX-License-Identifier: Apache-2.0
"""Parts: what a loop is made of, put together in one place."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from drystone.client.loop.tally import Pace, Tally
from drystone.client.loop.threads import Threads
from drystone.client.ports import Clock, Disk, Notices, Remote, State
from drystone.client.steps.advance import Advance
from drystone.client.steps.digest import Digest
from drystone.client.steps.fetch import Fetch
from drystone.client.steps.materialize import Materialize
from drystone.client.steps.pull import Pull, Selection
from drystone.client.steps.scan import Scan
from drystone.client.steps.submit import REWRITES_KEY, Submission
from drystone.client.steps.upload import Upload
from drystone.client.steps.verify import Verify
from drystone.core.ids import FileId
from drystone.core.planning.policy import Permission, Policy
from drystone.core.planning.rewrites import Rewrites, parse_rewrites

_SAVE_S: Final = 3.0
"""What a kill costs is observed again; saving more often writes twice what is under way."""


@dataclass(frozen=True, slots=True)
class World:
    """What a loop finds: the folder, its state, the server, and who watches.

    Attributes:
        disk: The synced folder.
        state: Its trees.
        remote: The server, or the folder there that is mirrored.
        clock: The time.
        notices: Is told how it goes.
        new_file_id: Makes ids for new entries, each greater than the one before.
        new_key: Makes idempotency keys.
        device_name: For the names of conflicted copies.
        rest: Waits for a fraction of a second, in the thread that calls it.
    """

    disk: Disk
    state: State
    remote: Remote
    clock: Clock
    notices: Notices
    new_file_id: Callable[[], FileId]
    new_key: Callable[[], str]
    device_name: str
    rest: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Parts:
    """The steps of one synced folder, and what they share.

    Attributes:
        rewrites: What is known of files that became noise.
        permissions: Halts that a human agreed to.
        undoing: Code of the halt that a human wants undone; empty: none.
    """

    world: World
    threads: Threads
    tally: Tally
    scan: Scan
    digest: Digest
    pull: Pull
    selection: Selection
    upload: Upload
    submission: Submission
    fetch: Fetch
    materialize: Materialize
    advance: Advance
    verify: Verify
    rewrites: Rewrites
    doubtful: set[FileId] = field(default_factory=set)
    permissions: tuple[Permission, ...] = ()
    undoing: str = ""

    def policy(self, *, local_complete: bool, remote_complete: bool) -> Policy:
        """Returns what the planner needs to know besides the trees."""
        world = self.world
        return Policy(
            world.device_name,
            world.clock.date_text(),
            world.new_file_id,
            local_complete=local_complete,
            remote_complete=remote_complete,
            traits=world.disk.traits.for_planning,
            permissions=self.permissions,
            unselected=self.selection.ids,
        )


def assemble(world: World) -> Parts:
    """Makes the steps. Call it inside the running event loop."""
    threads = Threads("drystone")
    tally = Tally(world.notices, Pace(world.clock.monotonic_s))
    doubtful: set[FileId] = set()
    disk, state, remote = world.disk, world.state, world.remote
    now_ns = world.clock.now_ns
    selection = Selection(state)
    rewrites = parse_rewrites(state.get(REWRITES_KEY))
    return Parts(
        world=world,
        threads=threads,
        tally=tally,
        scan=Scan(disk, state, world.new_file_id, now_ns, doubtful),
        digest=Digest(disk, state, now_ns, rest=world.rest, rewrites=rewrites),
        pull=Pull(remote, state),
        selection=selection,
        upload=Upload(
            disk, state, remote, threads.workers, lambda length: tally.moved("upload", length)
        ),
        submission=Submission(
            state, remote, world.new_key, rewrites, now_ns, note_deleted=selection.note_deleted
        ),
        fetch=Fetch(
            disk, state, remote, threads.workers, lambda length: tally.moved("download", length)
        ),
        materialize=Materialize(disk, state, now_ns),
        advance=Advance(state, disk.traits.for_planning),
        verify=Verify(disk, state),
        rewrites=rewrites,
        doubtful=doubtful,
    )


class Saving:
    """Makes what is known survive a kill.

    Args:
        parts: The state, and the threads that may use it.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._saved_s = parts.world.clock.monotonic_s()

    async def sometimes(self) -> None:
        """Saves if that was not done for a while."""
        if self._parts.world.clock.monotonic_s() - self._saved_s >= _SAVE_S:
            await self.now()

    async def now(self) -> None:
        """Saves."""
        await self._parts.threads.control(self._parts.world.state.save)
        self._saved_s = self._parts.world.clock.monotonic_s()
