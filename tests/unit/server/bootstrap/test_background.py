# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest

from drystone.server.bootstrap import background
from drystone.server.bootstrap.background import Background
from drystone.testing.service import until

pytestmark = pytest.mark.asyncio


async def test_jobs_run_until_cancelled_and_a_defect_begins_again(monkeypatch):
    monkeypatch.setattr(background, "AGAIN_S", 0)
    runs = {"good": 0, "bad": 0, "ending": 0}
    ended = []

    async def good():
        runs["good"] += 1
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("good")

    async def bad():
        runs["bad"] += 1
        raise ZeroDivisionError

    async def ending():
        runs["ending"] += 1

    jobs = Background()
    jobs.add("good", good)
    jobs.add("bad", bad)
    jobs.add("ending", ending)
    assert jobs.names() == ["bad", "ending", "good"]
    running = asyncio.ensure_future(jobs.run())
    await until(lambda: runs["bad"] > 2 and runs["ending"] > 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert runs["good"] == 1
    assert ended == ["good"]


async def test_a_job_that_fails_while_it_is_cancelled_does_not_begin_again():
    """As one that cannot let go of its duty any more: the server would never stop."""
    begun = []

    async def stubborn():
        begun.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    jobs = Background()
    jobs.add("stubborn", stubborn)
    running = asyncio.ensure_future(jobs.run())
    await until(lambda: begun)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=5)

    assert done
    assert begun == [1]


async def test_without_jobs_there_is_nothing_to_run():
    await Background().run()


async def test_two_jobs_of_one_name_are_a_defect():
    jobs = Background()
    jobs.add("one", lambda: None)
    with pytest.raises(AssertionError):
        jobs.add("one", lambda: None)
