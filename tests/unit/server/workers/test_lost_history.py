# SPDX-License-Identifier: Apache-2.0
"""History whose content is gone though nothing says that it was let go of: a rebuilt server does
not know what was collected, and a pack may be lost.
"""

import pytest
import pytest_asyncio

from drystone.core.ids import ROOT_ID, Seq
from drystone.core.journal.change import Create, Delete, Edit, Restore
from drystone.core.tree.entry import Kind
from drystone.testing.blocks import BlockDevice, frames_of, ids_of, make_noise
from drystone.testing.service import AT_ONCE, file_id
from tests.unit.server.workers.test_collecting import (
    chunked,
    commit,
    file,
    folder,
    put_file,
    single,
)

pytestmark = pytest.mark.asyncio

DAY_S = 86_400
RULES = AT_ONCE._replace(history_s=30 * DAY_S)
GONE = ["content-collected"]


@pytest_asyncio.fixture
async def anna(server):
    return BlockDevice(server, await server.sign_in())


def collect_and_forget(anna, keeper):
    """Collects what went away until now, and forgets that it did, as a rebuild does."""
    anna.server.clock.advance(31 * DAY_S)
    keeper.collect(RULES, runs=3)
    anna.server.metadata.write(
        lambda unit: unit.history.set_kept_after(anna.namespace_id, Seq(0)),
    )


async def test_file_that_nobody_could_read_is_not_brought_back(keeper, anna):
    old, new = make_noise(2)
    first = await put_file(anna, 1, old)
    await anna.put(frames_of([new]))
    [second] = await commit(anna, Edit(file_id(1), first, single(new), 0o644, 8))
    await put_file(anna, 2, make_noise(1, seed=2)[0])
    await commit(anna, Delete(file_id(2), 3))
    collect_and_forget(anna, keeper)

    assert await commit(anna, Restore(file_id(1), first)) == GONE
    assert await commit(anna, Restore(file_id(2))) == GONE
    assert await commit(anna, Restore(file_id(2), parent_id=ROOT_ID, name="g")) == GONE
    # What is there now is the same as before: there is nothing to bring back.
    assert await commit(anna, Restore(file_id(1), second)) == [second]
    # Whoever still has it sends it; then it comes back.
    await anna.put(frames_of([old]))
    assert await commit(anna, Restore(file_id(1), first)) == [5]
    assert await anna.fetch(ids_of([old])) == [old]


async def test_file_of_which_a_block_is_lost_is_not_brought_back(server, anna):
    blocks = make_noise(3)
    content, encoded = chunked(blocks)
    await anna.put(frames_of([*blocks, encoded]))
    [rev] = await commit(anna, file(1, content))
    await commit(anna, Delete(file_id(1), rev))
    places = server.metadata.read(lambda unit: unit.blocks.locate(ids_of(blocks[1:2])))
    server.metadata.write(lambda unit: unit.blocks.mark(places.values(), is_damaged=True))

    assert await commit(anna, Restore(file_id(1))) == GONE
    await anna.put(frames_of(blocks[1:2]))
    assert await commit(anna, Restore(file_id(1))) == [rev]


async def test_folder_comes_back_unless_all_of_its_files_are_lost(keeper, anna):
    blocks = make_noise(3)
    revs = await commit(anna, folder(1), folder(2), folder(3), folder(4))
    below = folder(5).entry._replace(parent_id=file_id(1))
    await commit(anna, Create(below))
    await put_file(anna, 6, blocks[0], file_id(5))
    await put_file(anna, 7, blocks[1], file_id(2))
    await put_file(anna, 8, blocks[2], file_id(2))
    link = file(9, None, file_id(4)).entry._replace(kind=Kind.SYMLINK, target="there")
    await commit(anna, Create(link))
    await put_file(anna, 10, make_noise(1, seed=3)[0], file_id(4))
    for number, rev in enumerate(revs, 1):
        await commit(anna, Delete(file_id(number), rev))
    collect_and_forget(anna, keeper)
    await anna.put(frames_of([blocks[2]]))

    outcomes = [(await commit(anna, Restore(file_id(number))))[0] for number in range(1, 5)]
    assert outcomes == [*GONE, *revs[1:]]
    # Out of a deleted folder nothing comes back that is lost, either.
    assert await commit(anna, Restore(file_id(5), parent_id=ROOT_ID, name="d")) == GONE


async def test_what_is_something_else_by_now_is_looked_at_anew(server, anna, monkeypatch):
    old, new = make_noise(2)
    first = await put_file(anna, 1, old)
    await anna.put(frames_of([new]))
    await commit(anna, Delete(file_id(1), first))
    look_back, looks = server.service.commits._look_back, []

    async def look_too_early(*args):
        found = await look_back(*args)
        looks.append([content.root for content in found[0].contents])
        if len(looks) == 1:
            await commit(anna, Restore(file_id(1)))
            [newer] = await commit(anna, Edit(file_id(1), first, single(new), 0o644, 8))
            await commit(anna, Delete(file_id(1), newer))
        return found

    monkeypatch.setattr(server.service.commits, "_look_back", look_too_early)
    assert await commit(anna, Restore(file_id(1))) == [4]
    # The second one is that of the restoration in between.
    assert [look for look in looks if look] == [ids_of([old]), ids_of([old]), ids_of([new])]


async def test_history_marks_what_cannot_be_brought_back(server, keeper, anna):
    blocks = make_noise(4)
    revs = [await put_file(anna, 1, blocks[0])]
    for number, block in enumerate(blocks[1:]):
        await anna.put(frames_of([block]))
        server.clock.advance(20 * DAY_S)
        revs += await commit(anna, Edit(file_id(1), revs[-1], single(block), 0o644, number))
    await put_file(anna, 2, make_noise(1, seed=2)[0])
    await commit(anna, Delete(file_id(2), 5))

    async def list_gone(number):
        history = server.service.history
        found = await history.list_revisions(anna.actor, anna.namespace_id, file_id(number))
        return [revision.is_gone for revision in found]

    assert await list_gone(1) == [False] * 4
    server.clock.advance(11 * DAY_S)
    keeper.collect(RULES, runs=3)
    # Replaced 51 and 31 days ago, 11 days ago, and not at all.
    assert await list_gone(1) == [False, False, True, True]
    told = await list_gone(1)
    for rev, is_gone in zip(reversed(revs), told, strict=True):
        outcome = await commit(anna, Restore(file_id(1), rev))
        assert (outcome == GONE) == is_gone
    server.clock.advance(31 * DAY_S)
    keeper.collect(RULES, runs=3)
    assert await list_gone(2) == [True, True]
    anna.server.metadata.write(lambda unit: unit.history.set_kept_after(anna.namespace_id, Seq(0)))
    assert await list_gone(2) == [True, True]
    await anna.put(frames_of(make_noise(1, seed=2)))
    assert await list_gone(2) == [False, False]
