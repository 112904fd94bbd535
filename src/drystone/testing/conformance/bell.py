# SPDX-License-Identifier: Apache-2.0
"""What every engine of the port ``Bell`` must do."""

import asyncio
from typing import Final

import pytest

from drystone.core.ids import NamespaceId
from drystone.server.ports.bell import Bell

ONE: Final = NamespaceId(b"1" * 16)
OTHER: Final = NamespaceId(b"2" * 16)


class BellSuite:
    """Subclass it and give a fixture ``bell``: a fresh engine."""

    @pytest.mark.asyncio
    async def test_ring_reaches_every_listener_of_the_namespace(self, bell: Bell) -> None:
        async with bell.listen([ONE]) as first, bell.listen([OTHER, ONE]) as second:
            bell.ring(ONE, 7)

            assert await anext(first) == (ONE, 7)
            assert await anext(second) == (ONE, 7)

    @pytest.mark.asyncio
    async def test_rings_not_taken_yet_are_coalesced_into_the_highest_head(
        self, bell: Bell
    ) -> None:
        async with bell.listen([ONE, OTHER]) as rings:
            for head in (1, 3, 2):
                bell.ring(ONE, head)
            bell.ring(OTHER, 9)
            taken = {await anext(rings), await anext(rings)}
            waiting = asyncio.ensure_future(anext(rings))
            await asyncio.sleep(0)

            assert taken == {(ONE, 3), (OTHER, 9)}
            assert not waiting.done()

            bell.ring(ONE, 4)
            assert await waiting == (ONE, 4)

    @pytest.mark.asyncio
    async def test_ring_of_another_namespace_is_not_heard(self, bell: Bell) -> None:
        async with bell.listen([ONE]) as rings:
            bell.ring(OTHER, 5)
            bell.ring(ONE, 1)

            assert await anext(rings) == (ONE, 1)

    @pytest.mark.asyncio
    async def test_ring_before_listening_is_not_heard(self, bell: Bell) -> None:
        bell.ring(ONE, 5)
        async with bell.listen([ONE]) as rings:
            bell.ring(ONE, 6)

            assert await anext(rings) == (ONE, 6)

    @pytest.mark.asyncio
    async def test_same_namespace_twice_is_one_listener(self, bell: Bell) -> None:
        async with bell.listen([ONE, ONE]) as rings:
            bell.ring(ONE, 1)
            assert await anext(rings) == (ONE, 1)

        bell.ring(ONE, 2)

    @pytest.mark.asyncio
    async def test_who_listens_to_all_hears_every_namespace(self, bell: Bell) -> None:
        async with bell.listen_all() as rings:
            bell.ring(ONE, 1)
            bell.ring(ONE, 3)
            bell.ring(OTHER, 2)

            assert {await anext(rings), await anext(rings)} == {(ONE, 3), (OTHER, 2)}

        bell.ring(ONE, 4)
