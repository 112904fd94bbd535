# SPDX-License-Identifier: Apache-2.0
"""Channels between the supervisor and its workers."""

import asyncio

import pytest
import pytest_asyncio

from drystone.core.ids import NamespaceId
from drystone.server.bootstrap.channel import Channel, make_pair, receive_note

pytestmark = pytest.mark.asyncio

ONE, OTHER = NamespaceId(b"1" * 16), NamespaceId(b"2" * 16)


class Side:
    """One end, and what came out of it."""

    def __init__(self, end, made):
        made.append(self)
        self.rings, self.notes = [], []
        self.ended = asyncio.Event()
        self.came = asyncio.Event()
        self.channel = Channel(
            end, on_ring=self._ring, on_note=self.notes.append, on_end=self.ended.set
        )

    def _ring(self, namespace_id, head):
        self.rings.append((namespace_id, head))
        self.came.set()

    async def until_heads(self, heads):
        while dict(self.rings) != heads:
            self.came.clear()
            await self.came.wait()


@pytest_asyncio.fixture
async def made():
    """All sides of a test, which are closed at its end."""
    made = []
    yield made
    for side in made:
        side.channel.close()


@pytest_asyncio.fixture
async def sides(made):
    return [Side(end, made) for end in make_pair()]


async def test_rings_and_notes_come_in_their_order(sides):
    ours, theirs = sides
    ours.channel.note({"up": True})
    ours.channel.ring(ONE, 7)
    ours.channel.ring(OTHER, 2**40)
    await theirs.until_heads({ONE: 7, OTHER: 2**40})

    assert theirs.notes == [{"up": True}]
    assert theirs.rings == [(ONE, 7), (OTHER, 2**40)]


async def test_what_the_other_side_is_too_busy_to_take_is_coalesced_and_not_lost(made):
    end, other_end = make_pair()
    ours = Side(end, made)
    for head in range(1, 20_001):
        ours.channel.ring(ONE if head % 2 else OTHER, head)
    theirs = Side(other_end, made)
    await theirs.until_heads({ONE: 19_999, OTHER: 20_000})

    assert len(theirs.rings) < 20_000


async def test_that_the_other_side_has_gone_is_told_once(sides):
    ours, theirs = sides
    theirs.channel.close()
    theirs.channel.close()
    await ours.ended.wait()
    ours.channel.ring(ONE, 1)
    ours.channel.note({})

    assert not theirs.rings


async def test_first_note_is_waited_for_and_an_end_is_an_empty_one(made):
    end, other_end = make_pair()
    ours = Side(end, made)
    ours.channel.note({"run": "r"})
    ours.channel.close()

    assert receive_note(other_end) == {"run": "r"}
    assert receive_note(other_end) == {}
    other_end.close()
