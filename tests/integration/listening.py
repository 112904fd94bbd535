# SPDX-License-Identifier: Apache-2.0
"""A bell that is open while something happens."""

import asyncio
from collections.abc import Callable

from drystone.client.adapters.remote_http import HttpRemote, HttpSession, sign_in


async def listen_while(url: str, password: str, work: Callable[[], object]) -> None:
    """Has a bell of anna's open while something is done that rings it."""
    session = HttpSession(url)
    signed_in = await sign_in(session, "anna", password, "listener")
    await session.close()
    session = HttpSession(url, signed_in.token)
    rings = HttpRemote(session, signed_in.namespace_id).listen()
    await anext(rings)
    working = asyncio.get_running_loop().run_in_executor(None, work)
    await anext(rings)
    await working
    await rings.aclose()
    await session.close()
