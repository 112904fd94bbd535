# SPDX-License-Identifier: Apache-2.0
"""Messaging: how workers ring for each other, what they keep beside the database, and where
journals go, as the settings say.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping

from drystone.core.ids import NamespaceId
from drystone.server.bootstrap.background import Background
from drystone.server.bootstrap.libraries import library
from drystone.server.ports.bell import Bell
from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.brokers.lines import Line
from drystone.server.ports.clock import Clock
from drystone.server.service.writer import Writer
from drystone.server.settings import ServerSettings
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.bell_shared import SharedBell
from drystone.server.workers.outlet import Outlet
from drystone.server.workers.projector import ProjectorRunner

FindHeads = Callable[[Collection[NamespaceId]], Awaitable[Mapping[NamespaceId, int]]]


def make_bell(
    settings: ServerSettings,
    background: Background,
    worker: str,
    own: Bell,
    find_heads: FindHeads,
) -> Bell:
    """Returns the bell that the settings name; what it needs to run is added to ``background``.

    Args:
        settings: Of the server.
        background: Runs its job, if it has one.
        worker: Who this is, among those on the same server of messages.
        own: What rings on this machine; all there is to ``local``.
        find_heads: Reads heads from the metadata.

    Raises:
        Misconfigured: Its address cannot be used, or its library is missing.
    """
    if settings.bell == "local":
        return own
    bell = SharedBell(LocalBell(), _make_line(settings.bell, worker), find_heads)
    background.add("bell", bell.run)
    return bell


def make_cache(settings: ServerSettings) -> Cache | None:
    """Returns the cache that the settings name; None: there is none.

    Nothing is connected to yet: a server starts without its cache as it goes on without it.

    Raises:
        Misconfigured: Its address cannot be used, or its library is missing.
    """
    if settings.cache == "none":
        return None
    with library("Valkey", "valkey"):
        from drystone.server.storage import valkey  # noqa: PLC0415
    return valkey.ValkeyCache(valkey.parse_address(settings.cache))


def add_outlet(
    settings: ServerSettings,
    background: Background,
    worker: str,
    *,
    writer: Writer,
    bell: Bell,
    clock: Clock,
) -> ProjectorRunner | None:
    """Adds the outlet that the settings name to what runs in the background; None: there is none.

    Raises:
        Misconfigured: Its address cannot be used, or its library is missing.
    """
    if settings.outlet == "none":
        return None
    with library("NATS", "nats"):
        from drystone.server.storage.nats import NatsStream, parse_address  # noqa: PLC0415
    address = parse_address(settings.outlet)
    stream = NatsStream(address)
    # Under another subject, all is published anew.
    outlet = Outlet(f"outlet {address.subject}", stream)
    runner = ProjectorRunner(outlet, writer, bell, clock, holder=worker)

    async def run() -> None:
        try:
            await runner.run()
        finally:
            await stream.close()

    background.add("outlet", run)
    return runner


def _make_line(url: str, worker: str) -> Line:
    if url.startswith(("nats://", "tls://")):
        with library("NATS", "nats"):
            from drystone.server.storage import nats  # noqa: PLC0415
        return nats.NatsLine(nats.parse_address(url), worker)
    with library("Valkey", "valkey"):
        from drystone.server.storage import valkey  # noqa: PLC0415
    return valkey.ValkeyLine(valkey.parse_address(url), worker)
