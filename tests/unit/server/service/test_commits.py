# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest

from drystone.core import limits
from drystone.core.content.content import EMPTY_CONTENT
from drystone.core.ids import ROOT_ID, NamespaceId, Rev
from drystone.core.journal.change import Accepted, Commit, Create, Delete, Edit, RefusalCode
from drystone.core.journal.decide import Contents
from drystone.core.tree.entry import Entry, Kind
from drystone.server.service.blocks.contents import Verdict
from drystone.server.service.gate import NamespaceNotFound
from drystone.server.service.trees.commits import IdempotencyKeyReused, UnfitIdempotencyKey
from drystone.testing.service import file_id, until

pytestmark = pytest.mark.asyncio


def folder(number, name, parent_id=ROOT_ID):
    return Create(Entry(file_id(number), parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0)))


def file(number, name, content=EMPTY_CONTENT, parent_id=ROOT_ID):
    entry = Entry(file_id(number), parent_id, name, Kind.FILE, content, 0o644, 7, "", Rev(0))
    return Create(entry)


async def test_commit_tells_heads_outcomes_and_a_cursor_at_the_head(server):
    anna = await server.sign_in()
    await server.commit(anna, [folder(1, "a")])
    done = await server.commit(anna, [folder(2, "b", file_id(1)), folder(3, "a")])

    assert (done.head_before, done.head) == (1, 2)
    assert [type(outcome).__name__ for outcome in done.outcomes] == ["Accepted", "Refusal"]
    page = await server.service.changes.read_page(anna, anna.root_namespace_id, done.cursor, None)
    assert page.entries == []


async def test_committed_file_can_be_read_back_with_its_content(server):
    anna = await server.sign_in()
    content = await server.put(anna, b"hello")
    await server.commit(anna, [file(1, "f", content)])
    page = await server.service.namespaces.find_path(anna, anna.root_namespace_id, "/f")

    assert page.entries[0].entry.content == content


async def test_record_says_who_and_when(server):
    anna = await server.sign_in()
    await server.commit(anna, [folder(1, "a")])
    [revision] = await server.service.history.list_revisions(
        anna, anna.root_namespace_id, file_id(1)
    )

    assert revision.account_name == "anna"
    assert revision.device_name == "laptop"
    assert revision.record.at_ns == server.clock.now_ns()


async def test_content_that_was_never_sent_is_refused_with_the_blocks_to_send(server):
    anna, bert = await server.sign_in(), await server.sign_in("bert")
    sent = await server.put(anna, b"mine")
    done = await server.commit(bert, [file(1, "stolen", sent), folder(2, "fine")])

    refusal, accepted = done.outcomes
    assert refusal.code == RefusalCode.BLOCKS_MISSING
    assert refusal.missing == (sent.root,)
    assert isinstance(accepted, Accepted)


async def test_content_that_its_block_contradicts_is_refused(server):
    anna = await server.sign_in()
    content = await server.put(anna, b"hello")
    done = await server.commit(anna, [file(1, "f", content._replace(size_bytes=6))])

    assert done.outcomes[0].code == RefusalCode.INVALID_CHANGE


async def test_block_that_is_lost_between_check_and_commit_is_missing(server):
    anna = await server.sign_in()
    content = await server.put(anna, b"hello")
    lost = content._replace(root=content.root[::-1])

    class TooEarly:
        async def check_contents(self, *args):
            return Verdict(Contents(), [])

    server.service.commits._blocks = TooEarly()
    changes = [file(1, "f", lost), file(2, "g", content), file(3, "empty")]
    done = await server.commit(anna, changes)

    assert done.outcomes[0].code == RefusalCode.BLOCKS_MISSING
    assert done.outcomes[0].missing == (lost.root,)
    assert done.head == 2


async def test_foreign_and_missing_namespaces_look_alike(server):
    anna, bert = await server.sign_in(), await server.sign_in("bert")
    content = await server.put(bert, b"hello")
    for namespace_id in (anna.root_namespace_id, NamespaceId(bytes(16))):
        for changes in ([folder(1, "a")], [file(1, "a", content)]):
            with pytest.raises(NamespaceNotFound) as caught:
                await server.commit(bert, changes, namespace_id=namespace_id)
            assert namespace_id.hex() in str(caught.value)

    assert server.metadata.read(lambda unit: unit.tree.head(anna.root_namespace_id)) == 0


# --- repeats --------------------------------------------------------------------------------------


async def test_repeated_commit_gets_the_same_answer_and_changes_nothing(server):
    anna = await server.sign_in()
    content = await server.put(anna, b"hello")
    changes = [folder(1, "a"), file(2, "f", content), folder(3, "a")]
    first = await server.commit(anna, changes, key="k", seen_seq=0)
    await server.commit(anna, [Delete(file_id(2), Rev(2))])
    again = await server.commit(anna, changes, key="k", seen_seq=0)

    assert again == first
    assert server.metadata.read(lambda unit: unit.tree.head(anna.root_namespace_id)) == 3


async def test_repeats_that_race_are_decided_once(server):
    anna = await server.sign_in()
    commits = [server.commit(anna, [folder(1, "a")], key="k", seen_seq=0) for _ in range(5)]
    answers = await asyncio.gather(*commits)

    assert answers == [answers[0]] * 5
    assert answers[0].head == 1


async def test_refusals_are_repeated_as_they_were(server):
    anna = await server.sign_in()
    content = await server.put(anna, b"hello")
    changes = [
        file(1, "f", content._replace(root=content.root[::-1])),
        folder(2, "a"),
        folder(3, "a"),
    ]
    first = await server.commit(anna, changes, key="k", seen_seq=0)
    again = await server.commit(anna, changes, key="k", seen_seq=0)

    assert again == first
    assert first.outcomes[0].missing
    assert first.outcomes[2].occupant == file_id(2)


async def test_key_of_another_commit_is_refused_and_changes_nothing(server):
    anna = await server.sign_in()
    await server.commit(anna, [folder(1, "a")], key="k")
    for changes, seen_seq in ([[folder(2, "b")], 0], [[folder(1, "a")], 7]):
        with pytest.raises(IdempotencyKeyReused):
            await server.commit(anna, changes, key="k", seen_seq=seen_seq)

    assert server.metadata.read(lambda unit: unit.tree.head(anna.root_namespace_id)) == 1


async def test_keys_of_devices_are_their_own(server):
    laptop, phone = await server.sign_in(), await server.sign_in(device="phone")
    await server.commit(laptop, [folder(1, "a")], key="k")
    done = await server.commit(phone, [folder(2, "b")], key="k")

    assert done.head == 2


async def test_key_is_forgotten_after_its_time(server):
    anna = await server.sign_in()
    await server.commit(anna, [folder(1, "a")], key="k")
    server.clock.advance(limits.IDEMPOTENCY_S + 1)
    await server.commit(anna, [folder(2, "b")], key="other")

    assert (await server.commit(anna, [folder(3, "c")], key="k")).head == 3


@pytest.mark.parametrize("key", ["k" * (limits.IDEMPOTENCY_KEY_CHARS_MAX + 1), "kéy"])
async def test_key_that_cannot_be_kept_is_refused(server, key):
    anna = await server.sign_in()
    with pytest.raises(UnfitIdempotencyKey):
        await server.commit(anna, [folder(1, "a")], key=key)


# --- the bell -------------------------------------------------------------------------------------


async def test_bell_rings_once_the_head_has_moved_and_only_then(server):
    anna = await server.sign_in()
    await server.commit(anna, [folder(1, "a")], key="k", seen_seq=0)
    async with server.service.changes.listen(anna, anna.root_namespace_id) as rings:
        await server.commit(anna, [folder(1, "a")], key="k", seen_seq=0)  # a repeat
        await server.commit(anna, [folder(2, "a")])  # refused
        await server.commit(anna, [Edit(file_id(1), Rev(1), None, 0o755, 0)])  # no difference
        await server.commit(anna, [folder(3, "c")])

        assert rings.head == 1
        assert await anext(rings.heads) == (anna.root_namespace_id, 2)


async def test_bell_rings_though_the_committer_went_away(server):
    anna = await server.sign_in()
    before = server.service.writer.stats().works
    async with server.service.changes.listen(anna, anna.root_namespace_id) as rings:
        commit = Commit((folder(1, "a"),), 0)
        going = asyncio.ensure_future(
            server.service.commits.commit(anna, anna.root_namespace_id, commit, "")
        )
        await until(lambda: server.service.writer.stats().works > before)
        going.cancel()

        assert (await anext(rings.heads))[1] == 1


async def test_commit_of_who_has_read_what_a_restored_server_lost_is_refused(server):
    anna = await server.sign_in()
    await server.commit(anna, [folder(1, "a")])
    backup = server.metadata.copy()
    lost = (await server.commit(anna, [folder(2, "b")])).cursor
    server.run_anew(backup)
    kept = (await server.commit(anna, [folder(3, "c")])).cursor
    done = await server.commit(anna, [folder(4, "d"), folder(5, "e")], key="k", cursor=lost)

    assert [outcome.code for outcome in done.outcomes] == [RefusalCode.HISTORY_REWOUND] * 2
    assert (done.head_before, done.head, done.cursor) == (2, 2, "")
    again = await server.commit(anna, [folder(4, "d")], key="k", cursor=kept)
    assert isinstance(again.outcomes[0], Accepted)
