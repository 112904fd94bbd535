# SPDX-License-Identifier: Apache-2.0
"""Watching: puts what measures around engines and services, if anybody is to read it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, runtime_checkable

from drystone.server.bootstrap.background import Background
from drystone.server.bootstrap.data_dir import ServerHome
from drystone.server.bootstrap.libraries import library
from drystone.server.bootstrap.storing.direct import DirectJobs
from drystone.server.bootstrap.watching import upkeep
from drystone.server.ports.bell import Bell
from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects
from drystone.server.ports.watching.measuring import Measures
from drystone.server.ports.watching.tracing import NO_TRACING, Tracing
from drystone.server.service.service import Service
from drystone.server.service.writer import Writer
from drystone.server.settings import ServerSettings
from drystone.server.storage.bell_shared import SharedBell
from drystone.server.storage.measured import (
    MeasuredBell,
    MeasuredCache,
    MeasuredMetadata,
    MeasuredObjects,
)
from drystone.server.workers.journals.keeper import JournalKeeper
from drystone.server.workers.projector import ProjectorRunner


@runtime_checkable
class Pooled(Protocol):
    """An engine with connections that are shared."""

    def pool_stats(self) -> Mapping[str, int]:
        """Returns ``pool_size``, ``pool_available``, ``requests_waiting``; 0 if left out."""
        ...


class Watch:
    """What is put around the parts of one server.

    With the settings ``metrics`` and ``tracing`` at ``none`` everything stays as it is: the verbs
    still count, which costs less than a microsecond each, and nobody asks.

    Attributes:
        measures: What is counted.
        tracing: Where spans go.

    Raises:
        LibraryMissing: Traces are wanted, and their library is not installed.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._where = settings.metrics
        self._data_dir = settings.data_dir
        self.measures = Measures()
        self.tracing = _open_tracing(settings.tracing)
        self._is_on = self._where != "none" or self.tracing.is_on
        self._bell: MeasuredBell | None = None

    def metadata(self, inner: Metadata, engine: Metadata) -> Metadata:
        """Returns the metadata to be used: ``inner``, which stands around ``engine``."""
        if not self._is_on:
            return inner
        if isinstance(engine, Pooled):
            from drystone.server.bootstrap.watching.metrics import watch_pool  # noqa: PLC0415

            watch_pool(self.measures, engine.pool_stats)
        return MeasuredMetadata(inner, self.measures, self.tracing)

    def objects(self, inner: Objects) -> Objects:
        """Returns the objects to be used."""
        if not self._is_on:
            return inner
        return MeasuredObjects(inner, self.measures, self.tracing)

    def bell(self, inner: Bell, clock: Clock) -> Bell:
        """Returns the bell to be used."""
        if not self._is_on:
            return inner
        self._bell = MeasuredBell(inner, self.measures, clock, self.tracing)
        return self._bell

    def cache(self, inner: Cache | None) -> Cache | None:
        """Returns the cache to be used, if there is one."""
        if inner is None or not self._is_on:
            return inner
        if isinstance(inner, upkeep.CountsFailures):
            upkeep.watch_cache_failures(self.measures, inner)
        return MeasuredCache(inner, self.measures, self.tracing)

    def working(
        self,
        background: Background,
        writer: Writer,
        clock: Clock,
        data_dir: ServerHome,
        *,
        direct: DirectJobs | None,
        journals: JournalKeeper | None,
    ) -> None:
        """Tells what goes on beside the requests."""
        if self._where == "none":
            return
        measures, bell = self.measures, self._bell
        if bell is not None:
            hearing = partial(upkeep.watch_heard, measures, writer, bell.take_heard)
            background.add("measure bell", hearing)
        upkeep.watch_backups(measures, data_dir.find_backup_s)
        background.add("measure scrub", lambda: upkeep.watch_scrubbing(measures, writer, clock))
        if direct is not None:
            upkeep.watch_verifier(measures, direct.verifier.stats)
            upkeep.watch_strays(measures, direct.strays.stats)
            looking = partial(upkeep.watch_arrivals, measures, writer, clock)
            background.add("measure arrivals", looking)
        if journals is not None:
            upkeep.watch_journals(measures, journals.stats)

    def beside(self, background: Background, bell: Bell, runner: ProjectorRunner | None) -> None:
        """Tells how the bell between servers and a projector do, if there are any."""
        if self._where == "none":
            return
        from drystone.server.bootstrap.watching import metrics  # noqa: PLC0415

        if isinstance(bell, SharedBell):
            metrics.watch_shared_bell(self.measures, bell.stats)
        if runner is not None:
            job = partial(metrics.watch_projector, self.measures, runner)
            background.add(f"measure {runner.name}", job)

    def close(self) -> None:
        """Sends the last traces, for a few seconds at most. Idempotent."""
        self.tracing.close()

    @asynccontextmanager
    async def telling(self, service: Service) -> AsyncIterator[str | None]:
        """Answers whoever asks for metrics while the context lasts; yields where, if anywhere.

        Raises:
            CannotListen: The address cannot be had.
        """
        if self._where == "none":
            yield None
            return
        # The library behind it takes memory, which a server without metrics need not have.
        from drystone.server.bootstrap.watching.metrics import (  # noqa: PLC0415
            serving_metrics,
            watch_service,
        )

        watch_service(self.measures, service)
        async with serving_metrics(self._where, self._data_dir, self.measures) as url:
            yield url


def _open_tracing(url: str) -> Tracing:
    if url == "none":
        return NO_TRACING
    with library("traces", "tracing"):
        from drystone.server.storage.tracing_otlp import OtlpTracing  # noqa: PLC0415
    return OtlpTracing(url)
