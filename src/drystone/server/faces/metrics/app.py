# SPDX-License-Identifier: Apache-2.0
"""``GET /metrics``. Source: Prometheus exposition formats; OpenMetrics 1.0."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from drystone.server.ports.watching.measuring import Family

PATH: Final = "/metrics"


class MetricsApp:
    """The ASGI app of the metrics' listener.

    Args:
        gather: Returns all that is to be told, as it stands now.
    """

    def __init__(self, gather: Callable[[], Awaitable[Sequence[Family]]]) -> None:
        self._gather = gather

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            return  # The server below refuses a WebSocket that is not answered.
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["path"] != PATH:
            return PlainTextResponse(f"Metrics are told at {PATH}.\n", 404)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Ask with GET.\n", 405, {"allow": "GET, HEAD"})
        families = await self._gather()
        accept = Headers(scope=scope).get("accept", "")
        # Thousands of lines of text: beside the loop, so that it goes on meanwhile.
        body, kind = await asyncio.to_thread(write_exposition, families, accept)
        return Response(body, media_type=None, headers={"content-type": kind})


def write_exposition(families: Sequence[Family], accept: str) -> tuple[bytes, str]:
    """Returns families as text, in the format that a scraper's ``Accept`` asks for, and its
    media type.
    """
    encode, kind = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    return encode(registry), kind


class _Collected(Collector):
    """Families as the library takes them."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return [_to_metric(family) for family in self._families]


def _to_metric(family: Family) -> Metric:
    # The library takes a counter's name without the ending that its samples have.
    name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
    metric = Metric(name, family.text, family.kind)
    for sample in family.samples:
        metric.add_sample(*sample)
    return metric
