# SPDX-License-Identifier: Apache-2.0
"""Ignore rules and whole devices: rules are about what only one disk has, and delete nothing."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from drystone.core.names.ignore import IGNORE_FILE_NAME
from drystone.testing.devices import MemoryDevice, settle
from drystone.testing.service import MemoryServer

pytestmark = pytest.mark.asyncio

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


async def test_rule_takes_nothing_away_from_anybody(pair: Pair) -> None:
    one, two = pair
    one.hand.write("x.log", b"old")
    one.hand.make_folder("build")
    one.hand.write("build/x", b"old")
    await settle([one, two])

    one.hand.write(IGNORE_FILE_NAME, b"*.log\nbuild/\n")
    one.hand.write("y.log", b"new")
    one.hand.write("build/y", b"new")
    await settle([one, two])

    assert set(two.hand.list_tree()) == {IGNORE_FILE_NAME, "build", "build/x", "x.log"}
    assert set(one.hand.list_tree()) == set(two.hand.list_tree()) | {"y.log", "build/y"}


async def test_what_the_server_has_is_carried_whatever_rules_say(pair: Pair) -> None:
    one, two = pair
    one.hand.write("x.log", b"old")
    one.hand.write("z.log", b"old")
    await settle([one, two])
    one.hand.write(IGNORE_FILE_NAME, b"*.log\n")
    await settle([one, two])

    one.hand.write("x.log", b"newer")
    two.hand.remove("z.log")
    await settle([one, two])

    tree = {IGNORE_FILE_NAME: b"*.log\n", "x.log": b"newer"}
    assert one.hand.list_tree() == two.hand.list_tree() == tree


async def test_what_was_left_out_meets_what_comes_under_its_name(pair: Pair) -> None:
    one, two = pair
    one.hand.write("x.log", b"of one")
    one.hand.make_folder("build")
    one.hand.write("build/x", b"of one")
    two.hand.write(IGNORE_FILE_NAME, b"*.log\nbuild/\n")
    two.hand.write("x.log", b"of two")
    two.hand.make_folder("build")
    two.hand.write("build/y", b"of two")
    await two.sync()

    await settle([one, two])

    tree = two.hand.list_tree()
    copies = [path for path in tree if "conflicted copy" in path]
    assert (tree["x.log"], [tree[path] for path in copies]) == (b"of one", [b"of two"])
    assert (tree["build/x"], tree["build/y"]) == (b"of one", b"of two")
    assert "build/y" not in one.hand.list_tree()
    assert not two.state.problems()


async def test_same_content_under_an_ignored_name_is_no_conflict(pair: Pair) -> None:
    one, two = pair
    two.hand.write(IGNORE_FILE_NAME, b"*.log\n")
    two.hand.write("x.log", b"the same")
    await two.sync()
    one.hand.write("x.log", b"the same")

    await settle([one, two])

    assert one.hand.list_tree() == two.hand.list_tree()
    assert not two.notices.conflicts


async def test_what_a_rule_left_out_is_taken_in_when_it_goes(pair: Pair) -> None:
    one, two = pair
    one.hand.write(IGNORE_FILE_NAME, b"*.log\n")
    one.hand.write("x.log", b"hello")
    await settle([one, two])
    assert "x.log" not in two.hand.list_tree()

    two.hand.write(IGNORE_FILE_NAME, b"# none\n")
    await settle([two, one])

    assert one.hand.list_tree() == two.hand.list_tree()
    assert "x.log" in two.hand.list_tree()
