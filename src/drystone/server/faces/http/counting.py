# SPDX-License-Identifier: Apache-2.0
"""Counting requests: how many, how they ended, how long they took, what they carried."""

from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.types import Scope

from drystone.server.ports.watching.measuring import Counter, Histogram, Measures

ROUTE_KEY: Final = "drystone.route"
"""Where a request's scope holds the ``CountedRoute`` that answers it."""
RECEIVED_KEY: Final = "drystone.received_bytes"
"""Where it holds how much of its body has been read."""


class CountedRoute(NamedTuple):
    """What answers a request, as it is told: never with what a caller chose.

    Attributes:
        method: Of HTTP; ``WS`` for a WebSocket.
        template: The path with ``{names}`` of its variable parts.
        carries_blocks: True if bodies are blocks, not messages.
    """

    method: str
    template: str
    carries_blocks: bool = False


UNKNOWN: Final = CountedRoute("other", "unknown")
"""Whatever nobody serves."""


class RequestTally:
    """Counts the requests of one face. Lives on the event loop.

    Args:
        measures: Where they are counted.
        count_in_flight: How many have begun and not ended.
    """

    def __init__(self, measures: Measures, count_in_flight: Callable[[], int]) -> None:
        self._measures = measures
        self._requests: dict[tuple[CountedRoute, int], Counter] = {}
        self._seconds: dict[CountedRoute, Histogram] = {}
        self._bytes = {
            (direction, has_blocks): measures.counter(
                "drystone_body_bytes_total",
                "Bytes of the bodies of requests and answers, as they travel.",
                direction=direction,
                kind="blocks" if has_blocks else "messages",
            )
            for direction in ("received", "sent")
            for has_blocks in (False, True)
        }
        measures.watch(
            "drystone_requests_in_flight", "Requests and bells under way.", count_in_flight
        )

    def note(self, scope: Scope, status: int, took_s: float, sent_bytes: int) -> None:
        """Counts one request that has ended.

        Args:
            scope: Of the request.
            status: Of the answer; 0 if there was none: the caller went away.
            took_s: From its first byte to the end of the answer.
            sent_bytes: Of the answer's body.
        """
        route: CountedRoute = scope.get(ROUTE_KEY, UNKNOWN)
        requests = self._requests.get((route, status))
        if requests is None:
            requests = self._requests[route, status] = self._measures.counter(
                "drystone_requests_total",
                "Requests that ended; a status of 0: the caller went away before the answer.",
                method=route.method,
                route=route.template,
                status=str(status),
            )
        requests.add()
        if scope["type"] == "http":  # How long a bell was open tells nothing of the server.
            self._seconds_of(route).note(took_s)
        if received_bytes := scope.get(RECEIVED_KEY, 0):
            self._bytes["received", route.carries_blocks].add(received_bytes)
        if sent_bytes:
            self._bytes["sent", route.carries_blocks].add(sent_bytes)

    def _seconds_of(self, route: CountedRoute) -> Histogram:
        seconds = self._seconds.get(route)
        if seconds is None:
            seconds = self._seconds[route] = self._measures.histogram(
                "drystone_request_seconds",
                "Time of a request, from its first byte to the end of its answer.",
                method=route.method,
                route=route.template,
            )
        return seconds
