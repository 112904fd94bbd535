# SPDX-License-Identifier: Apache-2.0
"""Watching: puts what measures around engines and services, if anybody is to read it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

from drystone.server.ports.bell import Bell
from drystone.server.ports.measuring import Measures
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects
from drystone.server.service.service import Service
from drystone.server.settings import ServerSettings
from drystone.server.storage.measured import MeasuredBell, MeasuredMetadata, MeasuredObjects


@runtime_checkable
class Pooled(Protocol):
    """An engine with connections that are shared."""

    def pool_stats(self) -> Mapping[str, int]:
        """Returns ``pool_size``, ``pool_available``, ``requests_waiting``; 0 if left out."""
        ...


class Watch:
    """What is put around the parts of one server.

    With the setting ``metrics`` at ``none`` everything stays as it is: the verbs still count,
    which costs less than a microsecond each, and nobody asks.

    Attributes:
        measures: What is counted.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._where = settings.metrics
        self.measures = Measures()

    @property
    def is_on(self) -> bool:
        """True if somebody may ask."""
        return self._where != "none"

    def metadata(self, inner: Metadata) -> Metadata:
        """Returns the metadata to be used."""
        if not self.is_on:
            return inner
        if isinstance(inner, Pooled):
            from drystone.server.bootstrap.metrics import watch_pool  # noqa: PLC0415

            watch_pool(self.measures, inner.pool_stats)
        return MeasuredMetadata(inner, self.measures)

    def objects(self, inner: Objects) -> Objects:
        """Returns the objects to be used."""
        return MeasuredObjects(inner, self.measures) if self.is_on else inner

    def bell(self, inner: Bell) -> Bell:
        """Returns the bell to be used."""
        return MeasuredBell(inner, self.measures) if self.is_on else inner

    @asynccontextmanager
    async def telling(self, service: Service) -> AsyncIterator[str | None]:
        """Answers whoever asks for metrics while the context lasts; yields where, if anywhere.

        Raises:
            CannotListen: The address cannot be had.
        """
        if not self.is_on:
            yield None
            return
        # The library behind it takes memory, which a server without metrics need not have.
        from drystone.server.bootstrap.metrics import (  # noqa: PLC0415
            serving_metrics,
            watch_service,
        )

        watch_service(self.measures, service)
        async with serving_metrics(self._where, self.measures) as url:
            yield url
