# SPDX-License-Identifier: Apache-2.0
"""A whole service over engines in memory, with accounts and signed-in devices at hand."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from itertools import count

from drystone.core.content.coding import encode_block
from drystone.core.content.content import Content
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.ids import FileId, NamespaceId, Seq
from drystone.core.journal.change import Change, Commit
from drystone.core.journal.eras import ERA_ID_BYTES
from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.direct import DirectStore
from drystone.server.service.blocks.shelf import LeaseTimes
from drystone.server.service.identity.admin import Admin
from drystone.server.service.identity.passwords import Passwords
from drystone.server.service.identity.stamps import Stamp
from drystone.server.service.service import Engines, Service, make_service
from drystone.server.service.trees.commits import Committed
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.metadata_memory import MemoryMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.workers.collecting import Collector, CollectRules, Survey, Tally
from drystone.testing.fakes.clock import ManualClock
from drystone.testing.fakes.signing import FakeSigning

PASSWORD = "correct horse"  # noqa: S105  of nobody
_PASSWORDS = Passwords(memory_kib=1024, rounds=1)


class MemoryServer:
    """A service as the composition root makes it, but in memory and with a clock by hand.

    Args:
        objects: Where packs lie; in memory, unless told otherwise.
        cache: What all its workers share, if any.
        leases: How long what nothing refers to is kept.
        is_direct: Devices may put and get packs themselves, by ``signing``.

    Attributes:
        service: The verbs.
        admin: What the operator does.
        clock: Stands until it is moved.
        key: Signs cursors, from the next run on.
        objects: Where packs lie.
        packs: Over them.
        signing: Signs requests to them.
    """

    def __init__(
        self,
        objects: Objects | None = None,
        cache: Cache | None = None,
        *,
        is_direct: bool = False,
        leases: LeaseTimes = LeaseTimes(),  # noqa: B008
    ) -> None:
        self._leases = leases
        self.clock = ManualClock()
        self._cache = cache
        self.objects = MemoryObjects() if objects is None else objects
        self.signing = FakeSigning(self.objects, self.clock)
        self._direct = DirectStore(self.objects, self.signing) if is_direct else None
        self._era_numbers = count(1)
        self.key = b"k" * 32
        self.metadata = MemoryMetadata()
        self.packs = ObjectPacks(self.objects)
        self.service = self.make_worker()
        self.admin = Admin(self.metadata, self.clock, _PASSWORDS)

    async def sign_in(self, account: str = "anna", device: str = "laptop") -> Actor:
        """Returns a new device of an account; adds the account if there is none."""
        if account not in {line.name for line in self.admin.list_accounts()}:
            self.admin.add_account(account, PASSWORD)
        signed_in = await self.service.accounts.sign_in(account, PASSWORD, device, "127.0.0.1")
        return signed_in.actor

    async def commit(
        self,
        actor: Actor,
        changes: Sequence[Change],
        *,
        key: str = "",
        seen_seq: int | None = None,
        cursor: str = "",
        namespace_id: NamespaceId | None = None,
    ) -> Committed:
        """Commits to the actor's own namespace; as one who has seen everything, by default."""
        namespace_id = namespace_id or actor.root_namespace_id
        if seen_seq is None:
            seen_seq = self.metadata.read(lambda unit: unit.tree.head(namespace_id))
        commit = Commit(tuple(changes), Seq(seen_seq))
        return await self.service.commits.commit(actor, namespace_id, commit, key, cursor)

    async def put(self, actor: Actor, data: bytes) -> Content:
        """Uploads one block and returns the content that it is."""
        name = block_id(data)

        async def bundle() -> AsyncGenerator[Sequence[Frame], None]:
            yield [encode_block(name, data)]

        await self.service.blocks.put(actor, actor.root_namespace_id, bundle())
        return Content(len(data), name, False, content_hash_of_block_id(name))  # noqa: FBT003

    def run_anew(self, backup: MemoryMetadata | None = None) -> None:
        """Ends and starts again; with a backup in place of what it knew, if there is one."""
        self.service.close()
        self.metadata.begin_run()
        if backup is not None:
            self.metadata.become(backup)
        self.service = self.make_worker()

    def close(self) -> None:
        """Ends its threads."""
        self.service.close()
        self.metadata.close()

    def make_worker(self, stamp: Stamp | None = None) -> Service:
        """Returns a service on the same engines, as another worker has it; but the bell is its
        own.
        """
        engines = Engines(
            self.metadata,
            self.packs,
            LocalBell(),
            self.clock,
            _PASSWORDS,
            self._direct,
            self._cache,
        )
        return make_service(
            engines,
            self.key,
            make_era_id=lambda: next(self._era_numbers).to_bytes(ERA_ID_BYTES),
            read_threads=1,
            stamp=stamp,
            leases=self._leases,
        )


AT_ONCE = CollectRules(age_s=0, quarantine_s=0, remembered_s=0)
"""Everything goes as soon as a second run has seen it, too."""


class Keeper:
    """Collects from whatever engines it is given.

    Args:
        metadata: Of the server.
        packs: Of the server.
        clock: Its time.
    """

    def __init__(self, metadata: Metadata, packs: ObjectPacks, clock: Clock) -> None:
        self._metadata = metadata
        self._packs = packs
        self._clock = clock

    def begin(self, tally: Tally, rules: CollectRules = AT_ONCE) -> Iterator[int]:
        """Returns the steps of one run."""
        return Collector(self._metadata, self._packs, self._clock, rules).run(tally)

    def collect(self, rules: CollectRules = AT_ONCE, *, runs: int = 1) -> Tally:
        """Runs to the end, so many times; returns the last tally."""
        tally = Tally()
        for _ in range(runs):
            tally = Tally()
            for _ in self.begin(tally, rules):
                pass
        return tally

    def survey(self, rules: CollectRules = AT_ONCE) -> Tally:
        """Returns what would go."""
        tally = Tally()
        for _ in Survey(self._metadata, self._packs, self._clock, rules).run(tally):
            pass
        return tally

    def count(self) -> tuple[int, int]:
        """Returns how many blocks the index has, and how many packs there are as objects."""
        totals = self._metadata.read(lambda unit: unit.blocks.totals())
        return totals["blocks"], len(list(self._packs.iter_stored()))


def file_id(number: int) -> FileId:
    """Returns a file id to tell entries of a test apart by."""
    return FileId(number.to_bytes(16, "big"))


async def until(condition: Callable[[], bool]) -> None:
    """Lets everything else on the event loop go on until a condition holds."""
    while not condition():  # noqa: ASYNC110  whoever makes it true knows nothing of events
        await asyncio.sleep(0)
