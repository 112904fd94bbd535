# SPDX-License-Identifier: Apache-2.0
"""What a signed address holds is told to nobody, whatever the store does with it."""

import asyncio

import pytest

from drystone.client.adapters.remote_http import stores
from drystone.client.adapters.remote_http.stores import StoreAway, StoreSession, TicketVoid
from drystone.wire.messages import Ticket

pytestmark = pytest.mark.asyncio

QUERY = "X-Amz-Credential=AKIA-of-us&X-Amz-Signature=0123456789abcdef"
ANSWERS = (
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"A: " + b"a" * 20_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    b"",
)


async def say_of(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns all that is said when a range is read there."""
    monkeypatch.setattr(stores, "_DELAY_S", 0.0)
    session = StoreSession(needs_tls=False, chance=lambda: 0.0, connections_max=1)
    try:
        with pytest.raises((StoreAway, TicketVoid)) as caught:
            await session.read(Ticket("GET", url, 1 << 40), 100)
    finally:
        await session.close()
    return f"{caught.value} {caught.value.message} {caught.value.advice}"


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
async def test_a_store_that_answers_nonsense_does_not_bring_out_the_signature(answer, monkeypatch):
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(nonsense, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        said = await say_of(f"http://127.0.0.1:{port}/bucket/pack?{QUERY}", monkeypatch)

    assert "Signature" not in said
    assert "0123456789abcdef" not in said
    assert "AKIA-of-us" not in said


@pytest.mark.parametrize("where", ["http://127.0.0.1:1", "http://", "http://h:99999", "http://h:x"])
async def test_an_address_that_is_none_does_not_bring_it_out_either(where, monkeypatch):
    said = await say_of(f"{where}/bucket/pack?{QUERY}", monkeypatch)

    assert "0123456789abcdef" not in said
    assert "AKIA-of-us" not in said
