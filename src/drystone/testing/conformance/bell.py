# SPDX-License-Identifier: Apache-2.0
"""What every engine of the port ``Bell`` must do."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import pytest

from drystone.core.ids import NamespaceId
from drystone.server.ports.bell import Bell
from drystone.server.ports.brokers.lines import Line
from drystone.server.storage.bell_local import LocalBell
from drystone.server.storage.bell_shared import SharedBell

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


class SharedBells:
    """Bells of several workers over one server, and the heads that they look at.

    Args:
        make_line: Makes a line of a worker.
    """

    def __init__(self, make_line: Callable[[str], Line]) -> None:
        self._make_line = make_line
        self._running: list[asyncio.Task[None]] = []
        self.heads: dict[NamespaceId, int] = {}
        self.looks_count = 0

    async def add(self, *, sweep_s: float = 3600, check_s: float = 3600) -> SharedBell:
        """Returns the bell of one more worker, with its line up."""
        worker = f"w{len(self._running)}"
        bell = SharedBell(
            LocalBell(),
            self._make_line(worker),
            self.find_heads,
            poll_s=0.02,
            sweep_s=sweep_s,
            check_s=check_s,
        )
        self._running.append(asyncio.create_task(bell.run()))
        await until(lambda: bell.stats().is_up)
        return bell

    async def find_heads(self, namespace_ids: Collection[NamespaceId]) -> Mapping[NamespaceId, int]:
        """Reads heads as the metadata would."""
        self.looks_count += 1
        await asyncio.sleep(0)
        return {n: self.heads.get(n, 0) for n in namespace_ids}

    def commit(self, bell: SharedBell, namespace_id: NamespaceId, head: int) -> None:
        """Moves a head, then rings."""
        self.heads[namespace_id] = head
        bell.ring(namespace_id, head)

    async def close(self) -> None:
        """Ends all."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        assert all(task.cancelled() for task in self._running), self._running


class RingingServer(Protocol):
    """The server below a line, as tests need it."""

    def start(self) -> object:
        """Starts it again where it was."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...

    def pause(self) -> None:
        """Lets it stand still."""
        ...

    def resume(self) -> None:
        """Lets it go on."""
        ...


class SharedBellSuite:
    """Two workers on one server. Give a fixture ``bells`` (``SharedBells``), closed at the end."""

    @pytest.mark.asyncio
    async def test_ring_of_one_worker_is_heard_in_the_other(self, bells: SharedBells) -> None:
        one, two = await bells.add(), await bells.add()
        async with two.listen([ONE]) as rings, one.listen([ONE]) as own:
            bells.commit(one, ONE, 3)
            assert await asyncio.wait_for(anext(rings), 120) == (ONE, 3)
            assert await asyncio.wait_for(anext(own), 120) == (ONE, 3)
            bells.commit(two, ONE, 4)
            assert await asyncio.wait_for(anext(own), 120) == (ONE, 4)

    @pytest.mark.asyncio
    async def test_rings_from_afar_come_in_the_end_as_the_last_head(
        self, bells: SharedBells
    ) -> None:
        one, two = await bells.add(), await bells.add()
        async with two.listen([ONE, OTHER]) as rings:
            for head in range(1, 200):
                bells.commit(one, ONE, head)
                if head % 20 == 0:
                    await asyncio.sleep(0)
            bells.commit(one, OTHER, 7)
            heard: dict[NamespaceId, int] = {}
            while heard != {ONE: 199, OTHER: 7}:
                namespace_id, head = await asyncio.wait_for(anext(rings), 120)
                heard[namespace_id] = head

    @pytest.mark.asyncio
    async def test_others_are_not_heard_from_afar(self, bells: SharedBells) -> None:
        one, two = await bells.add(), await bells.add()
        async with two.listen([ONE]) as rings:
            bells.commit(one, OTHER, 5)
            bells.commit(one, ONE, 1)
            assert await asyncio.wait_for(anext(rings), 120) == (ONE, 1)

    @pytest.mark.asyncio
    async def test_who_listens_to_all_hears_every_worker_once(self, bells: SharedBells) -> None:
        one, two = await bells.add(), await bells.add()
        async with two.listen([ONE]), two.listen_all() as rings:
            while two.stats().heard < 3:  # It begins a moment after it is asked for.
                bells.heads[ONE] = head = bells.heads.get(ONE, 0) + 1
                one.ring(ONE, head)
                await asyncio.wait_for(anext(rings), 120)
            before = two.stats().heard
            bells.commit(one, OTHER, 2)
            assert await asyncio.wait_for(anext(rings), 120) == (OTHER, 2)
            assert two.stats().heard == before + 1

    @pytest.mark.asyncio
    async def test_who_stopped_listening_is_forgotten(self, bells: SharedBells) -> None:
        one, two = await bells.add(), await bells.add()
        for _ in range(3):
            async with two.listen([ONE]) as rings:
                bells.commit(one, ONE, 1)
                await asyncio.wait_for(anext(rings), 120)
        await until(lambda: two.stats().listened == 0)
        async with two.listen([ONE]) as rings:
            bells.commit(one, ONE, 2)
            assert await asyncio.wait_for(anext(rings), 120) == (ONE, 2)

    @pytest.mark.asyncio
    async def test_head_that_nobody_rang_for_is_found(self, bells: SharedBells) -> None:
        """Its worker was killed between commit and ring."""
        bells.heads[OTHER] = 9
        two = await bells.add(sweep_s=0.02)
        async with two.listen([ONE, OTHER]) as rings:
            bells.heads[ONE] = 3
            assert await asyncio.wait_for(anext(rings), 120) == (ONE, 3)
            looks = bells.looks_count
            await until(lambda: bells.looks_count > looks + 3)
            waiting = asyncio.ensure_future(anext(rings))
            await asyncio.sleep(0)
            assert not waiting.done(), "what has not moved does not ring"
            bells.heads[OTHER] = 10
            assert await asyncio.wait_for(waiting, 120) == (OTHER, 10)

    @pytest.mark.asyncio
    async def test_killed_server_costs_delay_only(
        self, bells: SharedBells, server: RingingServer
    ) -> None:
        one, two = await bells.add(), await bells.add()
        async with two.listen([ONE]) as rings:
            server.kill()
            bells.commit(one, ONE, 1)
            assert await asyncio.wait_for(anext(rings), 120) == (ONE, 1)
            async with two.listen([OTHER]) as later:  # Nobody has to wait for the server.
                bells.commit(one, OTHER, 6)
                assert await asyncio.wait_for(anext(later), 120) == (OTHER, 6)
                server.start()
                await until(lambda: one.stats().is_up and two.stats().is_up)
                bells.commit(one, OTHER, 7)
                heard = await asyncio.wait_for(anext(later), 120)
                while heard != (OTHER, 7):  # What was kept while it was down may come first.
                    heard = await asyncio.wait_for(anext(later), 120)
        assert two.stats().losses == 1

    @pytest.mark.asyncio
    async def test_server_that_stands_still_costs_delay_only(
        self, bells: SharedBells, server: RingingServer
    ) -> None:
        one, two = await bells.add(check_s=0.05), await bells.add(check_s=0.05)
        try:
            async with two.listen([ONE]) as rings:
                server.pause()
                bells.commit(one, ONE, 1)
                assert await asyncio.wait_for(anext(rings), 120) == (ONE, 1)
                async with two.listen([OTHER]) as later:
                    bells.commit(one, OTHER, 6)
                    assert await asyncio.wait_for(anext(later), 120) == (OTHER, 6)
        finally:
            server.resume()
        await until(lambda: one.stats().is_up and two.stats().is_up)
        async with two.listen([ONE]) as rings:
            bells.commit(one, ONE, 2)
            heard = await asyncio.wait_for(anext(rings), 120)
            while heard != (ONE, 2):
                heard = await asyncio.wait_for(anext(rings), 120)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition that a server's answers make true."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110  whoever makes it true knows nothing of events
            await asyncio.sleep(0.005)
