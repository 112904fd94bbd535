# SPDX-License-Identifier: Apache-2.0
"""What a loop knows of its folder, for "is everything safe?"."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from drystone.client.loop.running import Loop
from drystone.client.loop.tally import Pace
from drystone.core.safety import Answer, Safety, judge
from drystone.testing.devices import MemoryDevice
from drystone.testing.fakes.watcher import FakeWatcher
from drystone.testing.service import MemoryServer

Pair = tuple[MemoryDevice, MemoryDevice]


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    server = MemoryServer()
    one = MemoryDevice(server, await server.sign_in(device="one"), "one")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two")
    yield one, two
    one.close()
    two.close()
    server.close()


async def wait_until(is_so: Callable[[Safety], bool], loop: Loop) -> Safety:
    for _ in range(10_000):
        safety = judge(await loop.survey())
        if is_so(safety):
            return safety
        await asyncio.sleep(0)
    raise AssertionError(f"it never comes to that: {safety}")


def codes(safety: Safety) -> set[str]:
    return {reason.code for reason in safety.reasons}


@pytest.mark.asyncio
async def test_the_answer_follows_what_happens(pair: Pair) -> None:
    device, _ = pair
    device.hand.write("a", b"content")
    loop, watcher = Loop(device.make_world()), FakeWatcher()
    assert codes(judge(await loop.survey())) >= {"not-looked-at", "behind"}
    keeping = asyncio.create_task(loop.run_forever(watcher))
    try:
        safety = await wait_until(lambda s: codes(s) == {"unflushed"}, loop)
        assert safety.answer == Answer.NOT_YET
        device.clock.advance(6)
        loop.hint_all()
        assert (await wait_until(lambda s: s.answer == Answer.YES, loop)).as_of_ns

        # A server that is away, and somebody who works on.
        device.remote.faults.is_away = True
        device.hand.write("b", b"more")
        watcher.tell("")
        safety = await wait_until(lambda s: "server-away" in codes(s), loop)
        assert (safety.answer, safety.files_left, safety.bytes_left) == (Answer.NO, 1, 4)
        device.remote.faults.is_away = False
        loop.hint_all()
        await wait_until(lambda s: not codes(s) - {"unflushed"}, loop)

        # What cannot be watched wholly counts as long as it was looked at of late.
        device.clock.advance(6)
        loop.hint_all()
        await wait_until(lambda s: s.answer == Answer.YES, loop)
        watcher.is_whole = False
        device.clock.advance(181)
        assert codes(judge(await loop.survey())) == {"not-looked-at"}

        watcher.is_whole = True
        await loop.pause()
        assert codes(judge(await loop.survey())) == {"paused"}
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await loop.close()


@pytest.mark.asyncio
async def test_nothing_is_looked_at_before_it_is_watched(pair: Pair) -> None:
    device, _ = pair
    device.hand.write("a", b"content")
    may_begin = asyncio.Event()

    class SlowWatcher(FakeWatcher):
        async def hints(self):  # type: ignore[no-untyped-def]
            await may_begin.wait()
            async for hints in super().hints():
                yield hints

    loop = Loop(device.make_world())
    keeping = asyncio.create_task(loop.run_forever(SlowWatcher()))
    try:
        for _ in range(50):
            await asyncio.sleep(0)
        assert (await loop.survey()).scanned_ns == 0
        # What is written now would be told by nobody if the folder had been listed before.
        device.hand.write("b", b"meanwhile")
        may_begin.set()
        await wait_until(lambda s: not codes(s) - {"unflushed"}, loop)
        assert device.state.count_synced() == 2
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await loop.close()


def test_pace_is_that_of_the_last_quarter_of_a_minute() -> None:
    now_s = 0.0
    pace = Pace(lambda: now_s)
    assert pace.find(0, 0) == (0.0, 0.0)
    for second in range(40):
        now_s = float(second)
        pace.note(second * 2, second * 1_000)

    assert pace.find(80, 40_000) == pytest.approx((2.0, 1_000.0), rel=0.1)
    now_s = 100.0
    assert pace.find(80, 40_000) == (0.0, 0.0), "what is long ago says nothing"
