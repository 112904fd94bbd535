# SPDX-License-Identifier: Apache-2.0
"""Service: all verbs together, as the composition root made them and the faces use them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from drystone.server.ports.bell import Bell
from drystone.server.ports.blocks import Packs
from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.watching.measuring import Measures
from drystone.server.ports.watching.tracing import NO_TRACING, Tracing
from drystone.server.service.blocks import Blocks, Direct
from drystone.server.service.blocks.direct import DirectStore
from drystone.server.service.blocks.shelf import LeaseTimes
from drystone.server.service.identity.accounts import Accounts
from drystone.server.service.identity.devices import Devices
from drystone.server.service.identity.listeners import Listeners
from drystone.server.service.identity.passwords import Passwords
from drystone.server.service.identity.stamps import SharedStamp, Stamp
from drystone.server.service.readiness import Check, Readiness
from drystone.server.service.trees.brakes import BrakeBounds, Brakes
from drystone.server.service.trees.changes import Changes
from drystone.server.service.trees.commits import Commits
from drystone.server.service.trees.cursors import Cursors
from drystone.server.service.trees.history import History
from drystone.server.service.trees.namespaces import Namespaces
from drystone.server.service.trees.pages import Pages
from drystone.server.service.writer import Writer


class Service(NamedTuple):
    """What may be asked of a server, by family."""

    accounts: Accounts
    blocks: Blocks
    brakes: Brakes
    changes: Changes
    commits: Commits
    devices: Devices
    direct: Direct
    history: History
    listeners: Listeners
    namespaces: Namespaces
    writer: Writer
    measures: Measures
    readiness: Readiness
    tracing: Tracing

    def close(self) -> None:
        """Finishes what has begun and ends all threads. Idempotent; blocks.

        Nothing may be asked any more. The metadata and objects below stay open.
        """
        self.readiness.close()
        self.accounts.close()
        self.blocks.close()
        self.writer.close()


class Engines(NamedTuple):
    """What the verbs stand on."""

    metadata: Metadata
    packs: Packs
    bell: Bell
    clock: Clock
    passwords: Passwords
    direct: DirectStore | None = None
    """Where devices may put and get packs themselves, if they may."""
    cache: Cache | None = None
    """Where listings are kept, if anywhere."""


def make_service(
    engines: Engines,
    cursor_key: bytes,
    *,
    make_era_id: Callable[[], bytes],
    read_threads: int = 4,
    stamp: Stamp | None = None,
    writer: Writer | None = None,
    brake: BrakeBounds = BrakeBounds(),  # noqa: B008  a constant
    measures: Measures | None = None,
    checks: Mapping[str, Check] | None = None,
    tracing: Tracing = NO_TRACING,
    leases: LeaseTimes = LeaseTimes(),  # noqa: B008  a constant
) -> Service:
    """Returns the verbs over some engines. Threads begin; ``Service.close`` ends them.

    Args:
        engines: What keeps and tells.
        cursor_key: Signs cursors: 32 secret bytes, the same after a restart.
        make_era_id: See ``Cursors``.
        read_threads: Reads of metadata at once.
        stamp: Tells when what is remembered of devices no longer counts; that in the metadata
            if missing.
        brake: When a burst of one device is held.
        leases: How long uploaded blocks are kept that nothing refers to.
        writer: The door to the metadata, for worlds that have no threads; made if missing.
        measures: Where verbs count what they do; one that nobody reads if missing.
        checks: How each part that the server stands on is found to be well.
        tracing: Gets spans of requests and of units of work; nobody does if missing.
    """
    metadata, packs, bell, clock, passwords, direct, cache = engines
    if writer is None:
        writer = Writer(metadata, read_threads=read_threads, tracing=tracing)
    measures = Measures() if measures is None else measures
    listeners = Listeners()
    blocks = Blocks(packs, metadata, writer, clock, measures, leases=leases)
    cursors = Cursors(cursor_key, make_era_id)
    accounts = Accounts(writer, clock, passwords)
    brakes = Brakes(writer, clock, accounts, brake)
    return Service(
        accounts=accounts,
        blocks=blocks,
        brakes=brakes,
        changes=Changes(writer, bell, listeners, cursors),
        commits=Commits(
            writer, blocks, bell, clock, cursors=cursors, brakes=brakes, measures=measures
        ),
        direct=Direct(blocks.shelf, direct, measures),
        devices=Devices(writer, clock, listeners, SharedStamp(writer) if stamp is None else stamp),
        history=History(writer),
        listeners=listeners,
        namespaces=Namespaces(Pages(writer, cache, cursor_key)),
        writer=writer,
        measures=measures,
        readiness=Readiness(checks or {}, measures),
        tracing=tracing,
    )
