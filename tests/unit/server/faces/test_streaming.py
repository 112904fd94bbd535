# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest

from drystone.core.errors import Unavailable
from drystone.server.faces.http import streaming
from drystone.server.faces.http.streaming import StreamedResponse

pytestmark = pytest.mark.asyncio


class Caller:
    """The other side of a request: takes what is sent; may go away."""

    def __init__(self, *, gone_after=None):
        self.sent = []
        self.gone = asyncio.Event()
        self._gone_after = gone_after

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event):
        self.sent.append(event)
        if len(self.sent) == self._gone_after:
            self.gone.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def get(self, response):
        await response({"type": "http"}, self.receive, self.send)
        return b"".join(event.get("body", b"") for event in self.sent)


class Pieces:
    """Makes pieces, counts them, and knows whether it was closed."""

    def __init__(self, *pieces):
        self.made_count = 0
        self.is_closed = False
        self._pieces = pieces

    async def make(self):
        try:
            for made in self._pieces:
                if isinstance(made, Exception):
                    raise made
                self.made_count += 1
                yield made
        finally:
            self.is_closed = True


async def test_pieces_are_sent_in_order_with_an_end():
    caller, pieces = Caller(), Pieces(b"ab", b"cd", b"e")
    response = StreamedResponse(pieces.make(), "application/x", {"x-a": "b"})

    assert await caller.get(response) == b"abcde"
    assert caller.sent[0]["status"] == 200
    assert dict(caller.sent[0]["headers"])[b"content-type"] == b"application/x"
    assert dict(caller.sent[0]["headers"])[b"x-a"] == b"b"
    assert b"content-length" not in dict(caller.sent[0]["headers"])
    assert [event.get("more_body", False) for event in caller.sent[1:]] == [True, True, True, False]
    assert pieces.is_closed


async def test_nothing_is_an_answer_too():
    caller = Caller()

    assert await caller.get(StreamedResponse(Pieces().make(), "application/x")) == b""
    assert len(caller.sent) == 2


async def test_error_before_the_first_piece_can_still_be_told():
    caller, pieces = Caller(), Pieces(Unavailable("busy"))

    with pytest.raises(Unavailable):
        await caller.get(StreamedResponse(pieces.make(), "application/x"))
    assert caller.sent == []


async def test_error_later_ends_the_body_without_its_own_end():
    caller, pieces = Caller(), Pieces(b"ab", Unavailable("lost"), b"never")

    assert await caller.get(StreamedResponse(pieces.make(), "application/x")) == b"ab"
    assert caller.sent[-1].get("more_body", False) is False
    assert pieces.is_closed


async def test_bug_later_is_not_hidden():
    caller, pieces = Caller(), Pieces(b"ab", ValueError("bug"))

    with pytest.raises(ValueError, match="bug"):
        await caller.get(StreamedResponse(pieces.make(), "application/x"))
    assert pieces.is_closed


async def test_nothing_more_is_made_for_who_went_away():
    caller, pieces = Caller(gone_after=3), Pieces(*[b"x"] * 100)
    await caller.get(StreamedResponse(pieces.make(), "application/x"))

    assert pieces.made_count <= 4
    assert pieces.is_closed


async def test_nothing_more_is_made_for_who_takes_nothing(monkeypatch):
    monkeypatch.setattr(streaming, "BODY_STALL_S", 0.001)
    pieces = Pieces(*[b"x"] * 100)
    sent = []

    async def send(event):
        sent.append(event)
        if len(sent) == 3:
            await asyncio.Event().wait()

    await StreamedResponse(pieces.make(), "application/x")({}, Caller().receive, send)

    # Not ended properly: the server closes such a connection.
    assert sent[-1]["more_body"]
    assert pieces.made_count == 2
    assert pieces.is_closed


async def test_nothing_is_left_running():
    before = asyncio.all_tasks()
    await Caller().get(StreamedResponse(Pieces(b"a").make(), "application/x"))
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before
