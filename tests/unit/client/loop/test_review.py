# SPDX-License-Identifier: Apache-2.0
"""What a guard keeps back is shown, and a human agrees to it or has it undone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from drystone.client.loop.planning import Answers
from drystone.client.loop.running import Loop
from drystone.client.loop.troubles import Halted
from drystone.core import limits
from drystone.core.errors import Unavailable
from drystone.core.planning import guards
from drystone.core.planning.review import Review
from drystone.testing.devices import MemoryDevice
from drystone.testing.service import MemoryServer

MANY = limits.MASS_REWRITE_ENTRIES_MIN


def noise(number: int, length: int = 700) -> bytes:
    return Random(number).randbytes(length)


def text(number: int) -> bytes:
    return b"line %d of what somebody wrote\n" % number * 20


@asynccontextmanager
async def two_devices(
    folder: Path, files_count: int = 100
) -> AsyncIterator[tuple[MemoryDevice, MemoryDevice]]:
    """Gives two devices that hold the same files: ``0.txt`` and so on, half of them in ``sub``."""
    server = MemoryServer()
    one = MemoryDevice(server, await server.sign_in(device="one"), "one", folder / "one.db")
    two = MemoryDevice(server, await server.sign_in(device="two"), "two", folder / "two.db")
    try:
        one.hand.make_folder("sub")
        for number in range(files_count):
            one.hand.write(path_of(number), text(number))
        await one.sync()
        await two.sync()
        assert two.hand.list_tree() == one.hand.list_tree()
        yield one, two
    finally:
        one.close()
        two.close()
        server.close()


def path_of(number: int) -> str:
    return f"sub/{number}.txt" if number % 2 else f"{number}.txt"


async def halts(device: MemoryDevice) -> Review:
    with pytest.raises(Halted) as caught:
        await device.sync()
    assert caught.value.code == caught.value.review.code
    return caught.value.review


async def answer(device: MemoryDevice, choose: Callable[[Answers], Awaitable[object]]) -> None:
    """As a program does that is started for it: nothing is known but what was saved."""
    device.crash()
    loop = Loop(device.make_world())
    try:
        assert await choose(loop.answers) is not None
        await loop.run_once()
    finally:
        await loop.close()


def encrypt(device: MemoryDevice, count: int, seed: int = 0) -> None:
    for number in range(count):
        device.hand.write(path_of(number), noise(seed + number))


def test_files_that_became_noise_are_kept_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, two):
            before = two.hand.list_tree()
            encrypt(one, 60)

            review = await halts(one)
            await two.sync()

            assert review.code == guards.LOCAL_MASS_REWRITE
            assert (review.entries_count, review.synced_count) == (60, 101)
            assert review.counts == {"rewritten": 60}
            assert review.lines[0].look == "rewritten"
            assert {line.path for line in review.lines} == {path_of(n) for n in range(60)}
            assert two.hand.list_tree() == before

    asyncio.run(run())


def test_noise_that_is_undone_is_in_the_trash_and_the_files_are_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, two):
            before = two.hand.list_tree()
            encrypt(one, 60)
            one.hand.write("new.txt", b"of today")
            await halts(one)

            await answer(one, Answers.undo)
            await two.sync()

            assert one.hand.list_tree() == before | {"new.txt": b"of today"}
            assert two.hand.list_tree() == one.hand.list_tree()
            trashed = {content for _, content in one.hand.list_trash()}
            assert {noise(number) for number in range(60)} <= trashed

    asyncio.run(run())


def test_noise_that_is_agreed_to_goes_to_the_others_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, two):
            encrypt(one, 60)
            await halts(one)

            await answer(one, Answers.accept)
            await two.sync()
            assert two.hand.list_tree() == one.hand.list_tree()

            one.hand.write(path_of(3), noise(1000))
            await one.sync()  # What was agreed to is not held against the next one.
            encrypt(one, 60, seed=2000)
            assert (await halts(one)).entries_count == 60

    asyncio.run(run())


def test_more_than_was_agreed_to_asks_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, _):
            encrypt(one, 60)
            await halts(one)
            encrypt(one, 61)

            with pytest.raises(Halted) as caught:
                await answer(one, Answers.accept)
            assert caught.value.review.entries_count == 61

    asyncio.run(run())


def test_noise_a_few_at_a_time_adds_up_also_over_restarts(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, _):
            for start in range(0, MANY - 5, 5):
                for number in range(start, start + 5):
                    one.hand.write(path_of(number), noise(number))
                await one.sync()
                one.clock.advance(1800)
            encrypt(one, MANY)
            review = await halts(one)
            assert review.entries_count < MANY
            assert "of late" in review.message

            one.clock.advance(limits.MASS_REWRITE_WINDOW_S + 3600)
            await one.sync()

    asyncio.run(run())


def test_files_replaced_by_noise_of_another_name_come_back(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with two_devices(tmp_path, files_count=200) as (one, two):
            before = two.hand.list_tree()
            locked = {}
            for number in range(50):
                one.hand.remove(path_of(number))
                locked[f"{path_of(number)}.locked"] = noise(number)
                one.hand.write(f"{path_of(number)}.locked", noise(number))

            review = await halts(one)
            await two.sync()
            assert review.code == guards.LOCAL_MASS_REWRITE
            assert review.counts == {"replaced": 50}
            # What is new destroys nothing, and goes.
            assert two.hand.list_tree() == before | locked

            await answer(one, Answers.undo)
            assert one.hand.list_tree() == before | locked

    asyncio.run(run())


def test_files_renamed_and_then_encrypted_go_back_to_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise Unavailable("the network is down")

    async def run() -> None:
        async with two_devices(tmp_path) as (one, two):
            before = two.hand.list_tree()
            for number in range(50):
                one.hand.rename(path_of(number), f"{path_of(number)}.locked")
            loop = Loop(one.make_world())
            with monkeypatch.context() as patch:
                patch.setattr(one.remote, "commit", refuse)
                with pytest.raises(Unavailable):
                    await loop.run_once()  # It has seen the new names before it sees the noise.
            for number in range(50):
                one.hand.write(f"{path_of(number)}.locked", noise(number))
            with pytest.raises(Halted) as caught:
                await loop.run_once()
            await loop.answers.undo()
            await loop.run_once()
            await loop.close()
            await two.sync()

            lines = caught.value.review.lines
            assert all(line.new_path == line.path + ".locked" for line in lines)
            assert one.hand.list_tree() == before
            assert two.hand.list_tree() == before

    asyncio.run(run())


@pytest.mark.parametrize("is_emptied", [False, True])
def test_deletions_here_are_undone(tmp_path: Path, *, is_emptied: bool) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, two):
            before = two.hand.list_tree()
            for name in list(one.hand.list_tree()) if is_emptied else ["sub"]:
                if "/" not in name:
                    one.hand.remove(name)
            for number in range(0, 0 if is_emptied else 20, 2):
                one.hand.remove(path_of(number))

            review = await halts(one)
            assert review.code == (
                guards.LOCAL_EMPTIED if is_emptied else guards.LOCAL_MASS_DELETION
            )
            await answer(one, Answers.undo)
            await two.sync()

            assert one.hand.list_tree() == before
            assert two.hand.list_tree() == before

    asyncio.run(run())


def test_deletions_on_the_server_are_undone_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, two):
            before = two.hand.list_tree()
            one.hand.remove(path_of(1))
            await one.sync()
            one.hand.remove("sub")
            for number in range(0, 40, 2):
                one.hand.remove(path_of(number))
            one.allows_deletions = True
            await one.sync()

            review = await halts(two)
            assert review.code == guards.REMOTE_MASS_DELETION
            await answer(two, Answers.undo)
            one.allows_deletions = False
            await one.sync()

            assert two.hand.list_tree() == before
            assert one.hand.list_tree() == before

    asyncio.run(run())


def test_mass_edits_of_every_day_do_not_ask(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path, files_count=400) as (one, two):
            for number in range(400):
                one.hand.write(path_of(number), text(number).replace(b"somebody", b"nobody"))
            await one.sync()
            for number in range(400):  # A codec's work: dense, but it says what it is.
                one.hand.write(path_of(number), b"\xff\xd8\xff\xe0" + noise(number))
            await one.sync()
            for number in range(400):  # Somebody's encrypted archive, new.
                one.hand.write(f"new {number}", noise(number))
            await one.sync()
            await two.sync()
            assert two.hand.list_tree() == one.hand.list_tree()

    asyncio.run(run())


def test_permission_for_deletions_is_none_for_noise(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, _):
            encrypt(one, 60)
            one.allows_deletions = True
            assert (await halts(one)).code == guards.LOCAL_MASS_REWRITE

    asyncio.run(run())


def test_review_is_forgotten_when_nothing_is_kept_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with two_devices(tmp_path) as (one, _):
            encrypt(one, 60)
            await halts(one)
            for number in range(60):
                one.hand.write(path_of(number), text(number))
            await one.sync()

            loop = Loop(one.make_world())
            assert await loop.answers.find_review() is None
            assert await loop.answers.accept() is None
            await loop.close()

    asyncio.run(run())
