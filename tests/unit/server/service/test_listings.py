# SPDX-License-Identifier: Apache-2.0

import pytest
import pytest_asyncio

from drystone.core.content.content import EMPTY_CONTENT
from drystone.core.ids import ROOT_ID, Rev
from drystone.core.journal.change import Create, Delete, Edit, Move
from drystone.core.journal.record import Action
from drystone.core.names.path import InvalidName, InvalidPath
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.metadata import MalformedPage
from drystone.server.service.gate import EntryNotFound, NamespaceNotFound
from drystone.server.service.trees.history import History
from drystone.server.service.trees.namespaces import Namespaces, NotListable
from drystone.server.service.trees.pages import Pages
from drystone.testing.service import file_id

pytestmark = pytest.mark.asyncio

A, B, F, G = (file_id(number) for number in (1, 2, 3, 4))


def create(number_id, name, parent_id=ROOT_ID, kind=Kind.FILE):
    content = EMPTY_CONTENT if kind is Kind.FILE else None
    return Create(Entry(number_id, parent_id, name, kind, content, 0o644, 0, "", Rev(0)))


@pytest_asyncio.fixture
async def anna(server):
    anna = await server.sign_in()
    changes = [
        create(A, "a", kind=Kind.FOLDER),
        create(B, "b", A, kind=Kind.FOLDER),
        create(F, "f", B),
        create(G, "g"),
    ]
    await server.commit(anna, changes)
    return anna


@pytest.fixture
def namespaces(server):
    return Namespaces(Pages(server.service.writer), page_entries_max=2)


async def test_entry_is_found_by_its_path(namespaces, anna):
    page = await namespaces.find_path(anna, anna.root_namespace_id, "/a/b/f")

    assert [stored.file_id for stored in page.entries] == [F]
    assert page.head == 4


@pytest.mark.parametrize("path", ["", "/", "/x", "/a/x", "/g/f"])
async def test_path_of_nothing_is_refused(namespaces, anna, path):
    with pytest.raises(EntryNotFound):
        await namespaces.find_path(anna, anna.root_namespace_id, path)


@pytest.mark.parametrize("path", ["/a//b", "a", "/a/", "/.."])
async def test_path_that_cannot_be_is_refused(namespaces, anna, path):
    with pytest.raises((InvalidName, InvalidPath)):
        await namespaces.find_path(anna, anna.root_namespace_id, path)


async def test_folder_is_listed_by_name_page_by_page(server, namespaces, anna):
    more = [create(file_id(n), name) for n, name in enumerate("zcb", 10)]
    await server.commit(anna, more)
    found, after, pages = [], "", 0
    while pages == 0 or after:
        page = await namespaces.list_folder(anna, anna.root_namespace_id, ROOT_ID, after)
        found += [stored.entry.name for stored in page.entries]
        after = page.after
        pages += 1

    assert found == ["a", "b", "c", "g", "z"]


async def test_all_below_is_listed_parents_first(namespaces, anna):
    found, after = [], "first"
    while after:
        after = "" if after == "first" else after
        page = await namespaces.list_below(anna, anna.root_namespace_id, A, after)
        found += [stored.entry.name for stored in page.entries]
        after = page.after

    assert found == ["b", "f"]


async def test_what_is_deleted_or_no_folder_is_not_listed(server, namespaces, anna):
    with pytest.raises(NotListable):
        await namespaces.list_folder(anna, anna.root_namespace_id, G, "")
    await server.commit(anna, [Delete(A, Rev(1))])
    for listing in (namespaces.list_folder, namespaces.list_below):
        for folder_id in (A, B, file_id(99)):
            with pytest.raises(EntryNotFound):
                await listing(anna, anna.root_namespace_id, folder_id, "")


async def test_others_see_nothing(server, namespaces, anna):
    bert = await server.sign_in("bert")
    history = server.service.history
    for asking in (
        namespaces.find_path(bert, anna.root_namespace_id, "/a"),
        namespaces.list_folder(bert, anna.root_namespace_id, ROOT_ID, ""),
        namespaces.list_below(bert, anna.root_namespace_id, A, ""),
        history.list_revisions(bert, anna.root_namespace_id, A),
        history.list_deleted(bert, anna.root_namespace_id, ""),
    ):
        with pytest.raises(NamespaceNotFound):
            await asking


async def test_history_tells_all_that_was_done_to_an_entry(server, anna):
    phone = await server.sign_in(device="phone")
    await server.commit(phone, [Move(G, A, "h", ROOT_ID, "g")])
    await server.commit(anna, [Edit(G, Rev(4), EMPTY_CONTENT, 0o600, 9)])
    await server.commit(anna, [Delete(G, Rev(6))])
    found = await server.service.history.list_revisions(anna, anna.root_namespace_id, G)

    actions = [revision.record.action for revision in found]
    assert actions == [Action.DELETE, Action.EDIT, Action.MOVE, Action.CREATE]
    assert [revision.device_name for revision in found] == ["laptop", "laptop", "phone", "laptop"]
    with pytest.raises(EntryNotFound):
        await server.service.history.list_revisions(anna, anna.root_namespace_id, file_id(99))


async def test_deleted_entries_are_listed_newest_first_page_by_page(server, anna):
    await server.commit(anna, [Delete(A, Rev(1)), Delete(G, Rev(4)), create(file_id(9), "x")])
    await server.commit(anna, [Delete(file_id(9), Rev(7))])
    history = History(server.service.writer, page_entries_max=2)
    first = await history.list_deleted(anna, anna.root_namespace_id, "")
    second = await history.list_deleted(anna, anna.root_namespace_id, first.after)

    assert [stored.entry.name for stored in first.entries] == ["x", "g"]
    assert [stored.entry.name for stored in second.entries] == ["a"]
    assert second.after == ""
    for after in ("x", "-1", "1" * 30, "\u0663"):
        with pytest.raises(MalformedPage):
            await history.list_deleted(anna, anna.root_namespace_id, after)
