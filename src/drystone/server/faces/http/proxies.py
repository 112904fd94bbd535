# SPDX-License-Identifier: Apache-2.0
"""Behind proxies: what a trusted one says of a request is believed, what others say is not."""

import re
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

REQUEST_ID_KEY: Final = "drystone.request_id"
"""Where a request's scope holds the id that a trusted proxy gave it."""

_HEADERS: Final = ("request-id", "x-request-id")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class BehindProxies:
    """An ASGI app around another: callers' addresses, schemes and request ids come from proxies.

    Args:
        app: The app inside.
        trusted: Addresses or networks of proxies; none is trusted if there are none.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._proxied = ProxyHeadersMiddleware(app, trusted_hosts=list(trusted))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        client = scope.get("client")
        if client is None or client[0] not in self._proxied.trusted_hosts:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        for name in _HEADERS:
            given = headers.get(name, "")
            # It goes into logs and back into a header: nothing but a plain word is taken.
            if _ID.fullmatch(given):
                scope[REQUEST_ID_KEY] = given
                break
        await self._proxied(scope, receive, send)  # type: ignore[arg-type]
