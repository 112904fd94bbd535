# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest
from starlette.requests import Request

from drystone.server.faces.http import bodies
from drystone.server.faces.http.bodies import (
    BodyTooLarge,
    ConnectionBroken,
    iter_body,
    read_body,
)

pytestmark = pytest.mark.asyncio


def piece(body, *, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


def request_of(*events, length=None):
    """Returns a request whose body comes as these events; then nothing comes any more."""
    left = list(events)

    async def receive():
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    headers = [] if length is None else [(b"content-length", length)]
    return Request({"type": "http", "method": "PUT", "headers": headers}, receive)


async def test_body_is_read_to_its_end():
    request = request_of(piece(b"ab"), piece(b""), piece(b"c"), piece(b"d", more=False))

    assert await read_body(request, 4) == b"abcd"


@pytest.mark.parametrize(
    "events", [[piece(b"", more=False)], [{"type": "http.request"}]], ids=["empty", "bare"]
)
async def test_body_may_be_empty(events):
    assert await read_body(request_of(*events), 0) == b""


async def test_pieces_come_as_they_arrive_and_none_is_empty():
    request = request_of(piece(b"ab"), piece(b""), piece(b"c"), piece(b"", more=False))

    assert [found async for found in iter_body(request, 9)] == [b"ab", b"c"]


@pytest.mark.parametrize("events", [[GONE], [piece(b"whole frames"), GONE]], ids=["begin", "later"])
async def test_body_of_who_went_away_is_never_taken_for_complete(events):
    with pytest.raises(ConnectionBroken):
        await read_body(request_of(*events), 99)


async def test_body_that_stands_still_is_broken(monkeypatch):
    monkeypatch.setattr(bodies, "BODY_STALL_S", 0.001)

    with pytest.raises(ConnectionBroken, match="after 2 bytes"):
        await read_body(request_of(piece(b"ab")), 99)


async def test_body_longer_than_allowed_is_refused_where_it_passes_the_bound():
    request = request_of(piece(b"abc"), piece(b"de"), piece(b"never read"))

    with pytest.raises(BodyTooLarge):
        await read_body(request, 4)
    assert (await request.receive())["body"] == b"never read"


async def test_body_that_says_it_is_too_long_is_refused_unread():
    request = request_of(piece(b"abc"), length=b"5")

    with pytest.raises(BodyTooLarge) as caught:
        await read_body(request, 4)
    assert (await request.receive())["body"] == b"abc"
    assert "4 bytes" in caught.value.message


@pytest.mark.parametrize("length", [b"4", b"x", b"-1", "²".encode("latin-1")])
async def test_length_that_is_none_is_not_believed(length):
    assert await read_body(request_of(piece(b"abcd", more=False), length=length), 4) == b"abcd"
