# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest
import pytest_asyncio

from drystone.core.content.content import EMPTY_CONTENT
from drystone.core.ids import ROOT_ID, NamespaceId, Rev
from drystone.core.journal.change import Create, Delete, Edit, Move, Restore
from drystone.core.journal.cursor import Cursor, ForgedCursor, encode_cursor
from drystone.core.journal.eras import NO_PAST
from drystone.core.journal.record import Action
from drystone.core.tree.entry import Entry, Kind
from drystone.server.service.gate import EntryNotFound, NamespaceNotFound
from drystone.server.service.identity.listeners import CloseReason
from drystone.server.service.trees.changes import Changes, FolderGone
from drystone.server.service.trees.cursors import Cursors
from drystone.testing.service import file_id, until

pytestmark = pytest.mark.asyncio

A, B, C, D = (file_id(number) for number in (1, 2, 3, 4))


def folder(number_id, name, parent_id=ROOT_ID):
    return Create(Entry(number_id, parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0)))


def file(number_id, name, parent_id=ROOT_ID):
    entry = Entry(number_id, parent_id, name, Kind.FILE, EMPTY_CONTENT, 0o644, 7, "", Rev(0))
    return Create(entry)


@pytest_asyncio.fixture
async def anna(server):
    return await server.sign_in()


async def read(server, actor, cursor="", under=None):
    return await server.service.changes.read_page(actor, actor.root_namespace_id, cursor, under)


def names(page):
    return [stored.entry.name for stored in page.entries]


async def test_without_a_cursor_the_whole_tree_is_told_then_only_what_is_new(server, anna):
    await server.commit(anna, [folder(A, "a"), file(B, "b", A)])
    first = await read(server, anna)
    await server.commit(anna, [file(C, "c"), Delete(B, Rev(2))])
    second = await read(server, anna, first.cursor)
    third = await read(server, anna, second.cursor)

    assert (names(first), first.head, first.has_more) == (["a", "b"], 2, False)
    assert [(x.entry.name, x.is_deleted) for x in second.entries] == [("c", False), ("b", True)]
    assert (third.entries, third.cursor, third.head) == ([], second.cursor, 4)


async def test_pages_follow_each_other_without_gap_or_overlap(server, anna):
    await server.commit(anna, [file(file_id(n), f"f{n}") for n in range(1, 8)])
    service = server.service
    changes = Changes(
        service.writer,
        service.changes._bell,
        service.listeners,
        Cursors(b"k" * 32, b"the only"),
        page_entries_max=3,
    )
    cursor, seen, more = "", [], []
    for _ in range(3):
        page = await changes.read_page(anna, anna.root_namespace_id, cursor, None)
        seen += names(page)
        more.append(page.has_more)
        cursor = page.cursor

    assert seen == [f"f{n}" for n in range(1, 8)]
    assert more == [True, True, False]


async def test_full_last_page_says_that_there_is_no_more(server, anna):
    await server.commit(anna, [file(A, "a"), file(B, "b")])
    service = server.service
    changes = Changes(
        service.writer,
        service.changes._bell,
        service.listeners,
        Cursors(b"k" * 32, b"the only"),
        page_entries_max=2,
    )
    page = await changes.read_page(anna, anna.root_namespace_id, "", None)

    assert not page.has_more


async def test_foreign_and_missing_namespaces_look_alike(server, anna):
    bert = await server.sign_in("bert")
    for namespace_id in (anna.root_namespace_id, NamespaceId(bytes(16))):
        with pytest.raises(NamespaceNotFound):
            await server.service.changes.read_page(bert, namespace_id, "", None)
        with pytest.raises(NamespaceNotFound):
            await server.service.changes.wait(bert, namespace_id, "", 0)


async def test_folder_that_was_restored_and_changed_again_is_told_as_restored(server, anna):
    await server.commit(anna, [folder(A, "a"), file(B, "b", A), folder(C, "c")])
    await server.commit(anna, [Delete(A, Rev(1))])
    cursor = (await read(server, anna)).cursor
    restored = [Restore(A), Edit(A, Rev(1), None, 0o700, 0), Move(A, ROOT_ID, "z", ROOT_ID, "a")]
    await server.commit(anna, [*restored, Move(C, ROOT_ID, "d", ROOT_ID, "c")])
    page = await read(server, anna, cursor)
    later = await read(server, anna, page.cursor)

    told = [(stored.entry.name, stored.action) for stored in page.entries]
    assert told == [("z", Action.RESTORE), ("d", Action.MOVE)]
    assert later.entries == []


async def test_folder_that_changed_very_often_is_told_as_restored_for_safety(server, anna):
    await server.commit(anna, [folder(A, "a"), file(B, "b")])
    cursor = (await read(server, anna)).cursor
    names_now = [f"a{number}" for number in range(60)]
    for before, after in zip(["a", *names_now], names_now, strict=False):
        await server.commit(anna, [Move(A, ROOT_ID, after, ROOT_ID, before)])
    [told] = (await read(server, anna, cursor)).entries

    assert (told.entry.name, told.action) == ("a59", Action.RESTORE)


# --- cursors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["junk", "A" * 80, "\u00e9"])
async def test_forged_cursor_is_refused(server, anna, text):
    with pytest.raises(ForgedCursor):
        await read(server, anna, text)


async def test_cursor_signed_with_another_key_is_refused(server, anna):
    forged = encode_cursor(Cursor(anna.account_id), b"x" * 32)
    with pytest.raises(ForgedCursor):
        await read(server, anna, forged)


async def test_cursor_that_cannot_be_gone_on_from_is_reset(server, anna):
    await server.commit(anna, [folder(A, "a")])
    bert = await server.sign_in("bert")
    key = b"k" * 32
    ahead = Cursor(anna.account_id, ((anna.root_namespace_id, 2),))
    foreign = Cursor(bert.account_id)
    unseen = Cursor(anna.account_id, ((bert.root_namespace_id, 0),))
    confined = Cursor(anna.account_id, ((anna.root_namespace_id, 1),), A)
    for cursor in (ahead, foreign, unseen, confined):
        page = await read(server, anna, encode_cursor(cursor, key))

        assert (page.reset, page.entries, page.cursor) == (True, [], "")


async def test_cursor_of_an_unknown_version_is_reset(server, anna, monkeypatch):
    monkeypatch.setattr("drystone.core.journal.cursor._VERSION", 99)
    namespace_id = anna.root_namespace_id
    cursor = Cursor(anna.account_id, ((namespace_id, 0),), None, ((namespace_id, NO_PAST),))
    newer = encode_cursor(cursor, b"k" * 32)
    monkeypatch.undo()
    page = await read(server, anna, newer)

    assert (page.reset, page.rewound_to) == (True, 0)


# --- confined to a folder -------------------------------------------------------------------------


@pytest_asyncio.fixture
async def tree(server, anna):
    """A folder /a to be watched, a folder /b beside it, a folder and a file in each."""
    await server.commit(
        anna,
        [
            folder(A, "a"),
            folder(B, "b"),
            folder(C, "in-a", A),
            file(file_id(5), "f", C),
            folder(D, "in-b", B),
            file(file_id(6), "g", D),
        ],
    )


async def test_under_a_folder_only_what_is_below_is_told(server, anna, tree):
    page = await read(server, anna, under=A)

    assert (names(page), page.gone) == (["in-a", "f"], [])


async def test_what_changed_elsewhere_is_told_as_gone(server, anna, tree):
    cursor = (await read(server, anna, under=A)).cursor
    edit = Edit(file_id(6), Rev(6), EMPTY_CONTENT, 0o600, 7)
    await server.commit(anna, [Move(C, B, "out", A, "in-a"), edit, file(file_id(7), "new", B)])
    page = await read(server, anna, cursor, under=A)

    # Just created elsewhere: it was never below, so that nobody needs to hear of it.
    assert (names(page), page.gone) == ([], [C, file_id(6)])


async def test_folder_that_moves_in_is_told(server, anna, tree):
    cursor = (await read(server, anna, under=A)).cursor
    await server.commit(anna, [Move(D, A, "moved", B, "in-b")])
    page = await read(server, anna, cursor, under=A)

    assert (names(page), page.gone) == (["moved"], [])


async def test_cursor_of_a_whole_tree_serves_for_a_folder(server, anna, tree):
    done = await server.commit(anna, [file(file_id(7), "new", A)], seen_seq=6)
    page = await read(server, anna, done.cursor, under=A)

    assert (page.reset, page.entries) == (False, [])


async def test_renaming_the_watched_folder_is_no_change_below_it(server, anna, tree):
    cursor = (await read(server, anna, under=A)).cursor
    await server.commit(anna, [Move(A, ROOT_ID, "renamed", ROOT_ID, "a")])
    page = await read(server, anna, cursor, under=A)

    assert (page.entries, page.gone) == ([], [])


async def test_watched_folder_that_is_deleted_is_refused_until_it_is_restored(server, anna, tree):
    cursor = (await read(server, anna, under=C)).cursor
    await server.commit(anna, [Delete(A, Rev(1))])
    with pytest.raises(FolderGone):
        await read(server, anna, cursor, under=C)

    await server.commit(anna, [Restore(A)])
    page = await read(server, anna, cursor, under=C)
    assert (page.entries, page.gone) == ([], [A])


async def test_watched_folder_must_be_one(server, anna, tree):
    for other in (file_id(5), file_id(99)):
        with pytest.raises(EntryNotFound):
            await read(server, anna, under=other)
    assert names(await read(server, anna, under=ROOT_ID))[0] == "a"


# --- waiting --------------------------------------------------------------------------------------


async def wait(server, actor, cursor, timeout_s=60.0):
    return await server.service.changes.wait(actor, actor.root_namespace_id, cursor, timeout_s)


async def test_wait_ends_at_once_if_there_is_more(server, anna):
    cursor = (await read(server, anna)).cursor
    await server.commit(anna, [folder(A, "a")])

    assert await wait(server, anna, cursor) is True


async def test_wait_ends_when_something_is_committed(server, anna):
    cursor = (await read(server, anna)).cursor
    waiting = asyncio.ensure_future(wait(server, anna, cursor))
    await until(lambda: server.service.listeners.count() == 1)
    await server.commit(anna, [folder(A, "a")])

    assert await waiting is True
    assert server.service.listeners.count() == 0


async def test_wait_ends_when_its_time_is_over(server, anna):
    cursor = (await read(server, anna)).cursor

    assert await wait(server, anna, cursor, 0.0) is False


async def test_wait_ends_when_the_device_is_revoked_or_the_server_stops(server, anna):
    cursor = (await read(server, anna)).cursor
    other = await server.sign_in(device="other")
    waiting = asyncio.ensure_future(wait(server, anna, cursor))
    staying = asyncio.ensure_future(wait(server, other, cursor))
    await until(lambda: server.service.listeners.count() == 2)
    await server.service.devices.revoke(other, anna.device_id)
    assert await waiting is CloseReason.REVOKED

    server.service.listeners.close_all()
    assert await staying is CloseReason.STOPPING


async def test_wait_with_a_cursor_ahead_of_the_journal_ends_at_once(server, anna):
    ahead = encode_cursor(Cursor(anna.account_id, ((anna.root_namespace_id, 9),)), b"k" * 32)

    assert await wait(server, anna, ahead) is True


# --- a server that was put back -------------------------------------------------------------------


@pytest_asyncio.fixture
async def lost(server, anna):
    """Cursors of what the server no longer knows: it was put back to seq 2, and runs anew."""
    await server.commit(anna, [folder(A, "a"), file(B, "b", A)])
    backup = server.metadata.copy()
    await server.commit(anna, [file(C, "c")])
    first = (await read(server, anna)).cursor
    server.run_anew()
    await server.commit(anna, [file(D, "d"), file(file_id(5), "e")])
    second = (await read(server, anna)).cursor
    server.run_anew(backup)
    return first, second


async def test_reader_of_what_a_restored_server_lost_is_told_how_far_it_was_put_back(
    server, anna, lost
):
    for cursor in lost:
        page = await read(server, anna, cursor)

        assert (page.reset, page.rewound_to, page.cursor, page.head) == (True, 2, "", 2)


async def test_reader_is_told_so_when_the_restored_journal_has_grown_beyond_the_cursor(
    server, anna, lost
):
    await server.commit(anna, [file(file_id(n), f"n{n}") for n in range(10, 20)])
    for cursor in lost:
        page = await read(server, anna, cursor)

        assert (page.reset, page.rewound_to) == (True, 2)
        assert await wait(server, anna, cursor) is True


async def test_reader_of_what_the_restored_server_still_has_goes_on(server, anna):
    await server.commit(anna, [folder(A, "a")])
    cursor = (await read(server, anna)).cursor
    server.run_anew(server.metadata.copy())
    await server.commit(anna, [folder(B, "b")])
    page = await read(server, anna, cursor)

    assert (page.reset, names(page)) == (False, ["b"])


async def test_wait_ends_at_once_if_another_journal_has_the_same_head(server, anna, lost):
    await server.commit(anna, [file(file_id(10), "new")])

    assert await wait(server, anna, lost[0]) is True


async def test_machine_put_back_with_all_that_ran_on_it_is_told_from_its_marks(server, anna):
    await server.commit(anna, [folder(A, "a")])
    backup = server.metadata.copy()
    await server.commit(anna, [folder(B, "b")])
    cursor = (await read(server, anna)).cursor
    server.metadata.become(backup, is_same_run=True)
    server.clock.advance(1)
    await server.commit(anna, [folder(B, "b")])
    page = await read(server, anna, cursor)

    assert (page.reset, page.rewound_to) == (True, 0)
