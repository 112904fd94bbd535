# SPDX-License-Identifier: Apache-2.0
"""The ASGI app of the native protocol: what every request gets, whatever it asks.

A request gets an id, the protocol's version checked, its bearer token turned into an actor, and
its errors told as problems. While the server stops, requests in flight are finished and new ones
are told to come again.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import Message as Event
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from structlog.contextvars import bind_contextvars, bound_contextvars, unbind_contextvars

from drystone.core.errors import DrystoneError, Refused, Unavailable
from drystone.server.faces.http.auth import find_bearer_token
from drystone.server.faces.http.counting import ROUTE_KEY, UNKNOWN, CountedRoute, RequestTally
from drystone.server.faces.http.proxies import REQUEST_ID_KEY
from drystone.server.faces.native import bell, health
from drystone.server.faces.native.advice import advise_request_s
from drystone.server.faces.native.call import Call, Operation
from drystone.server.faces.native.operations import OPERATIONS
from drystone.server.service.actor import Actor
from drystone.server.service.identity.devices import SignInRequired
from drystone.server.service.readiness import NotReady
from drystone.server.service.service import Service
from drystone.wire.codec import encode
from drystone.wire.messages import Problem
from drystone.wire.problem import PROBLEM_MEDIA_TYPE, problem_from_bug, problem_from_error
from drystone.wire.version import (
    DIRECT,
    PROTOCOL_HEADER,
    REQUEST_ID_HEADER,
    TRANSFER_HEADER,
    check_protocol,
)

log = structlog.get_logger()

_HEX_ID = re.compile(r"[0-9a-f]{32}")
_BOUND_LATER: Final = ("account", "device")
"""What log lines of a request tell once it is known who asks."""

_BELL: Final = CountedRoute("WS", bell.PATH)


class ServerStopping(Unavailable):
    """The server is being stopped; this request was not begun."""

    code = "server-stopping"

    def __init__(self) -> None:
        super().__init__("the server is stopping", retry_after_s=advise_request_s())


class UnknownRoute(Refused):
    """There is nothing at this address."""

    code = "unknown-route"


class MethodNotAllowed(Refused):
    """There is something at this address, but it cannot be asked this way."""

    code = "method-not-allowed"


class NativeApp:
    """Answers HTTP requests and bells. One per server; lives on its event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._router = Router(self._routes(OPERATIONS), redirect_slashes=False)
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_stopping = False
        self._tally = RequestTally(service.measures, lambda: self._in_flight)

    @property
    def in_flight_count(self) -> int:
        """Requests and bells that have begun and not ended."""
        return self._in_flight

    def begin_stop(self) -> None:
        """From now on new requests are told to come again, and bells are closed."""
        self._is_stopping = True
        self._service.listeners.close_all()

    async def wait_idle(self) -> None:
        """Returns once nothing is in flight."""
        await self._idle.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        self._in_flight += 1
        self._idle.clear()
        try:
            await self._answer(scope, receive, send)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Routes one request and turns whatever goes wrong into a problem."""
        request_id = scope.get(REQUEST_ID_KEY) or secrets.token_hex(8)
        scope["app"] = self
        scope[REQUEST_ID_KEY] = request_id
        answer = _Answer(send, request_id, is_direct=self._service.direct.is_on)
        with bound_contextvars(request_id=request_id):
            if scope["type"] != "http" or not self._service.tracing.is_on:
                await self._answer_as(request_id, scope, receive, answer)
                return
            with self._service.tracing.span("request", HTTPConnection(scope).headers) as span:
                await self._answer_as(request_id, scope, receive, answer)
                route: CountedRoute = scope.get(ROUTE_KEY, UNKNOWN)
                told = {
                    "http.request.method": route.method,
                    "http.route": route.template,
                    "http.response.status_code": answer.status,
                    "drystone.request_id": request_id,
                }
                name = f"{route.method} {route.template}"
                span.note(told, name=name, is_failed=answer.status >= 500)

    async def _answer_as(
        self, request_id: str, scope: Scope, receive: Receive, wrapped: "_Answer"
    ) -> None:
        began_s = asyncio.get_running_loop().time()
        try:
            if self._is_stopping and scope["path"] != health.LIVE_PATH:
                raise ServerStopping
            check_protocol(HTTPConnection(scope).headers.get(PROTOCOL_HEADER))
            await self._router(scope, receive, wrapped)
        except ClientDisconnect:
            log.debug("request.gone")
        except HTTPException as error:
            await wrapped.tell(scope, receive, _problem_of_router(scope, error, request_id))
        except DrystoneError as error:
            self._log(scope, error)
            await wrapped.tell(scope, receive, problem_from_error(error, request_id))
        except Exception:
            log.exception("request.failed", **_shown(scope))
            await wrapped.tell(scope, receive, problem_from_bug(request_id))
        finally:
            took_s = asyncio.get_running_loop().time() - began_s
            self._tally.note(scope, wrapped.status, took_s, wrapped.sent_bytes)
            log.debug(
                "request.ended",
                **_shown(scope),
                status=wrapped.status,
                took_s=round(took_s, 4),
            )
            unbind_contextvars(*_BOUND_LATER)

    def _routes(self, operations: Iterable[Operation]) -> list[BaseRoute]:
        paths: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            by_method = paths.setdefault(operation.path, {})
            by_method[operation.method] = operation
            if operation.method == "GET":
                by_method["HEAD"] = operation
        routes: list[BaseRoute] = [
            Route(path, self._endpoint(by_method), methods=list(by_method))
            for path, by_method in paths.items()
        ]
        return [*routes, WebSocketRoute(bell.PATH, self._listen)]

    def _endpoint(
        self, by_method: dict[str, Operation]
    ) -> Callable[[Request], Awaitable[Response]]:
        routes = {
            method: CountedRoute(method, operation.path, operation.carries_blocks)
            for method, operation in by_method.items()
        }

        async def endpoint(request: Request) -> Response:
            operation = by_method[request.method]
            request.scope[ROUTE_KEY] = routes[request.method]
            actor = await self._authenticate(request) if operation.needs_actor else None
            call = Call(request, self._service, actor, request.scope[REQUEST_ID_KEY])
            return await operation.run(call)

        return endpoint

    async def _listen(self, websocket: WebSocket) -> None:
        websocket.scope[ROUTE_KEY] = _BELL
        actor = await self._authenticate(websocket)
        await bell.listen(websocket, self._service, actor)

    async def _authenticate(self, connection: HTTPConnection) -> Actor:
        token = find_bearer_token(connection)
        if token is None:
            raise SignInRequired
        actor = await self._service.devices.authenticate(token)
        bind_contextvars(account=actor.account_id.hex(), device=actor.device_id.hex())
        return actor

    def _log(self, scope: Scope, error: DrystoneError) -> None:
        """Writes down what the operator should know of; refusals are the caller's business."""
        if isinstance(error, Refused | NotReady):
            # A refusal's message repeats what the caller sent, which is nobody else's business.
            # That a part is missing was logged when it was found out.
            log.debug("request.refused", **_shown(scope), code=error.code)
            return
        tell = log.info if isinstance(error, Unavailable) else log.error
        # What is for the operator alone, as where the database is.
        what = getattr(error, "what", "")
        more = {"what": what} if what else {}
        tell("request.refused", **_shown(scope), code=error.code, reason=error.message, **more)


class _Answer:
    """Sends what the app sends, with the request's id, and knows whether it has begun."""

    def __init__(self, send: Send, request_id: str, *, is_direct: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._is_direct = is_direct
        self._has_begun = False
        self.status = 0
        self.sent_bytes = 0

    async def __call__(self, event: Event) -> None:
        if event["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=event)
            headers[REQUEST_ID_HEADER] = self._request_id
            if self._is_direct:
                headers[TRANSFER_HEADER] = DIRECT
            self.status = event["status"]
        elif event["type"] == "websocket.accept":
            self.status = 101
        else:
            self.sent_bytes += len(event.get("body") or event.get("text") or b"")
        self._has_begun = True
        await self._send(event)

    async def tell(self, scope: Scope, receive: Receive, problem: Problem) -> None:
        """Sends a problem as the answer.

        Once an answer has begun it can only be broken off: the server below closes the
        connection of an answer without an end, so that nobody takes what came for the whole.
        """
        if self._has_begun:
            if scope["type"] == "websocket":
                await self._send({"type": "websocket.close", "code": 1011})
            return
        headers = {}
        if problem.retry_after_s:
            headers["retry-after"] = str(max(1, round(problem.retry_after_s)))
        if problem.code == ServerStopping.code:
            # The next one is for whoever takes new connections then.
            headers["connection"] = "close"
        if problem.status == 401:
            headers["www-authenticate"] = "Bearer"
        response = Response(encode(problem), problem.status, headers, PROBLEM_MEDIA_TYPE)
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, self).send_denial_response(response)
        else:
            await response(scope, receive, self)


def _problem_of_router(scope: Scope, error: HTTPException, request_id: str) -> Problem:
    shown = f"{scope.get('method', 'WebSocket')} {scope['path'][:200]}"
    if error.status_code == 405:
        method = MethodNotAllowed(f"{shown}: this address does not know that method")
        return problem_from_error(method, request_id)
    route = UnknownRoute(
        f"{shown}: there is nothing at this address",
        advice="Check the URL; an older server may not have it yet.",
    )
    return problem_from_error(route, request_id)


def _shown(scope: Scope) -> MutableMapping[str, Any]:
    """Returns what a log line may tell of a request: the template of its route, and ids.

    Never its path or its query as they came: either may hold names and secrets.
    """
    route: CountedRoute = scope.get(ROUTE_KEY, UNKNOWN)
    shown: dict[str, Any] = {"method": route.method, "route": route.template}
    namespace = scope.get("path_params", {}).get("namespace", "")
    if _HEX_ID.fullmatch(namespace):
        shown["namespace"] = namespace
    return shown
