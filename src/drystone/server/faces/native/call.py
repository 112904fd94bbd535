# SPDX-License-Identifier: Apache-2.0
"""Call: one request of the native protocol, and Operation: one row of its table."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from drystone.core.errors import Refused
from drystone.core.ids import NamespaceId, parse_namespace_id
from drystone.core.limits import REQUEST_JSON_BYTES_MAX
from drystone.server.faces.http.bodies import read_body
from drystone.server.service.actor import Actor
from drystone.server.service.service import Service
from drystone.wire.codec import JSON_MEDIA_TYPE, decode_body, encode_body
from drystone.wire.messages import Message

M = TypeVar("M", bound=Message)
T = TypeVar("T")

HEAVY_BYTES: Final = 64 * 1024
HEAVY_ITEMS: Final = 200
"""Up to so much is worked on where it stands, for less than a millisecond; what is more, in a
thread, so that the loop goes on meanwhile."""


class BadParameter(Refused):
    """A part of the address, or a header, is missing or cannot be what it should."""

    code = "bad-parameter"


class Call:
    """One request on its way to the service, and its answer on the way back.

    Attributes:
        request: As Starlette has it; for what is not a message.
        service: What may be asked.
        request_id: For logs and problems.
    """

    def __init__(
        self, request: Request, service: Service, actor: Actor | None, request_id: str
    ) -> None:
        self.request = request
        self.service = service
        self.request_id = request_id
        self._actor = actor

    @property
    def actor(self) -> Actor:
        """Who asks. Only in operations that need a signed-in device."""
        assert self._actor is not None
        return self._actor

    @property
    def accepts_zstd(self) -> bool:
        """True if the caller can read a compressed answer."""
        return "zstd" in self.request.headers.get("accept-encoding", "")

    def namespace_id(self) -> NamespaceId:
        """Returns the namespace that the path or the query names.

        Raises:
            MalformedId: It is not an id.
            BadParameter: None is named.
        """
        text = self.request.path_params.get("namespace") or self.query("namespace")
        if not text:
            raise BadParameter("the request names no namespace", advice="Add ?namespace=ID.")
        return parse_namespace_id(text)

    def query(self, name: str) -> str:
        """Returns a parameter of the query; ``""`` if it is not given."""
        return self.request.query_params.get(name, "")

    async def read(self, kind: type[M], bytes_max: int = REQUEST_JSON_BYTES_MAX) -> M:
        """Returns the message in the request's body, at most ``bytes_max`` when decompressed.

        Raises:
            MalformedMessage, MessageTooLarge: As ``wire.codec.decode_body``.
            ClientDisconnect: The caller went away before the end of the body.
        """
        body = await read_body(self.request, bytes_max)
        encoding = self.request.headers.get("content-encoding")
        if len(body) <= HEAVY_BYTES and encoding is None:
            return decode_body(kind, body, encoding, bytes_max=bytes_max)
        return await asyncio.to_thread(decode_body, kind, body, encoding, bytes_max=bytes_max)

    def answer(self, message: Message, status: int = 200) -> Response:
        """Returns a message as the answer. For those of many items see ``answer_many``."""
        body, encoding = encode_body(message, accept_zstd=self.accepts_zstd)
        headers = {"content-encoding": encoding} if encoding else None
        return Response(body, status, headers, JSON_MEDIA_TYPE)

    async def answer_many(self, items_count: int, make: Callable[[], Message]) -> Response:
        """Makes a message of many items, and its answer: in a thread if they are so many that
        the loop would stand still meanwhile.
        """
        return await run_if_heavy(items_count, lambda: self.answer(make()))


async def run_if_heavy(items_count: int, work: Callable[[], T]) -> T:
    """Returns what ``work`` on so many items returns; runs it in a thread if they are many."""
    return work() if items_count <= HEAVY_ITEMS else await asyncio.to_thread(work)


class Parameter(NamedTuple):
    """One parameter of a query, for the documents."""

    name: str
    text: str
    required: bool = False


class Operation(NamedTuple):
    """One row of the protocol's table.

    Attributes:
        method: Of HTTP.
        path: With ``{names}`` of its variable parts.
        run: What answers; ``Call.actor`` is set if ``needs_actor``.
        text: What it does, in a sentence.
        request: The message it takes, if any.
        answer: The message it gives, if any.
        query: Its parameters.
        needs_actor: False if anybody may ask.
        status: Of the answer, if all goes well.
        carries_blocks: True if a body is a bundle, for who counts bytes.
    """

    method: str
    path: str
    run: Callable[[Call], Awaitable[Response]]
    text: str
    request: type[Message] | None = None
    answer: type[Message] | None = None
    query: tuple[Parameter, ...] = ()
    needs_actor: bool = True
    status: int = 200
    carries_blocks: bool = False
