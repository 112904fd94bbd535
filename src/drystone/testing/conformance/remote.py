# SPDX-License-Identifier: Apache-2.0
"""What every implementation of the client's port ``Remote`` must do.

Subclass the suites in a test module and give them the fixtures ``objects``, in which a server
keeps its packs, ``join``, which signs a device of an account in and returns its ``Remote``, and
``aim``, which lets a ``Remote`` ask about another namespace. Tests run on an event loop.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from drystone.client.ports import FetchedBlock, Remote
from drystone.core.content.content import Content
from drystone.core.content.frame import Codec, Frame
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.content.patch import make_patch
from drystone.core.errors import Corrupt, DrystoneError, Refused, Unavailable
from drystone.core.ids import ROOT_ID, BlockId, FileId, NamespaceId, Rev, Seq
from drystone.core.journal.change import Accepted, Create, Delete, Edit, Refusal
from drystone.core.tree.entry import Entry, Kind
from drystone.testing.blocks import frames_of, ids_of, make_noise
from drystone.testing.fakes.objects import FaultyObjects
from drystone.testing.service import file_id

Join = Callable[[str], Awaitable[Remote]]
Aim = Callable[[Remote, NamespaceId], Remote]

TEXT = b"a line of text that compresses\n" * 400
NEVER = BlockId(b"\x11" * 32)


async def send(remote: Remote, *portions: Sequence[Frame]) -> int:
    """Sends frames as one bundle that comes in these portions."""

    async def batches() -> AsyncIterator[Sequence[Frame]]:
        for portion in portions:
            yield portion

    return await remote.put_blocks(batches())


async def fetch(
    remote: Remote,
    wanted: Sequence[tuple[BlockId, BlockId | None]],
    known: Sequence[bytes] = (),
) -> list[FetchedBlock]:
    """Fetches blocks; ``known`` are those that the device has."""
    have = {block_id(block): block for block in known}
    found: list[FetchedBlock] = []
    async for group in remote.fetch_blocks(wanted, have.get):
        found += group
    return found


def whole(names: Sequence[BlockId]) -> list[tuple[BlockId, BlockId | None]]:
    """Returns how blocks are asked for without a base."""
    return [(name, None) for name in names]


def content_of(block: bytes) -> Content:
    """Returns the content of a file that is one block."""
    root = block_id(block)
    return Content(len(block), root, False, content_hash_of_block_id(root))  # noqa: FBT003


def new_file(number: int, name: str, block: bytes, parent_id: FileId = ROOT_ID) -> Create:
    """Returns the change that makes a file."""
    content = content_of(block) if block else Content(0, BlockId(b""), False, b"")  # noqa: FBT003
    entry = Entry(file_id(number), parent_id, name, Kind.FILE, content, 0o644, 7, "", Rev(0))
    return Create(entry)


def new_folder(number: int, name: str, parent_id: FileId = ROOT_ID) -> Create:
    """Returns the change that makes a folder."""
    return Create(Entry(file_id(number), parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0)))


async def read_all(remote: Remote, cursor: str = "") -> tuple[dict[str, bool], str]:
    """Returns what changed since a cursor: names, and whether they are deleted."""
    seen: dict[str, bool] = {}
    while True:
        page = await remote.read_changes(cursor, None)
        seen.update({stored.entry.name: stored.is_deleted for stored in page.entries})
        cursor = page.cursor
        if not page.has_more:
            return seen, cursor


class RemoteBlocksSuite:
    """What is done with blocks; each test gets a server without anything on it."""

    # --- ask and put -------------------------------------------------------------------------

    async def test_ask_names_what_is_missing_in_order_and_once(self, join: Join) -> None:
        remote = await join("anna")
        blocks = make_noise(40)
        names = ids_of(blocks)
        assert await remote.ask([]) == []
        assert await remote.ask([*names, *names]) == names
        assert await send(remote, frames_of(blocks[::2])) == 20

        assert await remote.ask([*reversed(names), names[1]]) == names[1::2][::-1]

    async def test_what_one_account_has_sent_is_missing_for_another(self, join: Join) -> None:
        anna, bert = await join("anna"), await join("bert")
        blocks = make_noise(3)
        await send(anna, frames_of(blocks))

        assert await bert.ask(ids_of(blocks)) == ids_of(blocks)

    async def test_nothing_may_be_sent(self, join: Join) -> None:
        remote = await join("anna")

        assert await send(remote) == 0
        assert await send(remote, [], []) == 0

    async def test_frame_that_is_not_its_block_is_refused_and_those_before_count(
        self, join: Join
    ) -> None:
        remote = await join("anna")
        good, bad = make_noise(2)
        liar = Frame(NEVER, len(bad), Codec.RAW, bad)
        with pytest.raises((Refused, Corrupt)) as caught:
            await send(remote, frames_of([good]), [liar])

        assert caught.value.code == "corrupt-block"
        assert NEVER.hex() in caught.value.message
        assert caught.value.advice
        assert await remote.ask([NEVER]) == [NEVER]

    async def test_trouble_at_the_source_of_a_bundle_passes_through(self, join: Join) -> None:
        remote = await join("anna")
        blocks = make_noise(2)

        async def breaking() -> AsyncIterator[Sequence[Frame]]:
            yield frames_of(blocks[:1])
            raise Unavailable("the disk is gone")

        with pytest.raises(Unavailable, match="the disk is gone"):
            await remote.put_blocks(breaking())
        assert await send(remote, frames_of(blocks)) == 2

    async def test_patch_against_a_held_block_makes_the_block(self, join: Join) -> None:
        remote = await join("anna")
        changed = TEXT[:5_000] + b"?" + TEXT[5_000:]
        await send(remote, frames_of([TEXT]))
        [outline, empty] = await remote.fetch_outlines([block_id(TEXT), NEVER])
        frame = make_patch(block_id(changed), changed, block_id(TEXT), outline)
        assert frame is not None
        assert frame.codec == Codec.PATCH
        assert await send(remote, [frame]) == 1

        assert empty == b""
        assert await fetch(remote, whole(ids_of([changed]))) == [(block_id(changed), changed)]

    async def test_frame_against_a_base_that_nobody_has_is_refused(self, join: Join) -> None:
        remote = await join("anna")
        frame = Frame(block_id(TEXT), len(TEXT), Codec.DELTA, b"junk", NEVER)
        with pytest.raises((Refused, Corrupt)) as caught:
            await send(remote, [frame])

        assert caught.value.code == "missing-base"

    # --- fetch -------------------------------------------------------------------------------

    async def test_blocks_come_verified_and_in_the_order_asked_for(self, join: Join) -> None:
        remote = await join("anna")
        blocks = [*make_noise(300), TEXT, *make_noise(3, 900_000, seed=1)]
        await send(remote, frames_of(blocks[:100]), frames_of(blocks[100:]))
        wanted = [blocks[i * 7 % len(blocks)] for i in range(len(blocks))]
        found = await fetch(remote, whole(ids_of(wanted)))

        assert found == list(zip(ids_of(wanted), wanted, strict=True))

    async def test_block_that_is_not_held_refuses_the_whole_request(self, join: Join) -> None:
        remote = await join("anna")
        await send(remote, frames_of([TEXT]))
        with pytest.raises(Refused) as caught:
            await fetch(remote, whole([block_id(TEXT), NEVER]))

        assert caught.value.code == "block-not-found"
        assert NEVER.hex() in caught.value.message

    async def test_base_is_used_if_the_device_really_has_it(self, join: Join) -> None:
        remote = await join("anna")
        changed = TEXT + b"one more line\n"
        await send(remote, frames_of([TEXT, changed]))
        wanted = [(block_id(changed), block_id(TEXT)), (block_id(TEXT), None)]
        [(_, new), (_, old)] = await fetch(remote, wanted, known=[TEXT])
        [(_, lost), (_, still)] = await fetch(remote, wanted)

        assert (new, old, still) == (changed, TEXT, TEXT)
        assert isinstance(lost, Corrupt)
        assert lost.code == "missing-base"

    async def test_damaged_block_is_told_and_others_come(
        self, join: Join, objects: FaultyObjects
    ) -> None:
        remote = await join("anna")
        blocks = make_noise(3)
        names = ids_of(blocks)
        await send(remote, frames_of(blocks))
        [pack] = [stat.name for stat in objects.iter_names()]
        objects.change(pack, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
        for times in range(2):
            found = dict(await fetch(remote, whole(names)))
            lost = found.pop(names[2])

            assert found == dict(zip(names[:2], blocks, strict=False))
            assert isinstance(lost, Corrupt)
            assert lost.code == "corrupt-block"
            # Only the second time is the server told, and looks at its own disk.
            assert ("cannot be read back" in lost.message) == bool(times)
            assert await remote.ask(names) == names[2:] * times

        await send(remote, frames_of(blocks[2:]))
        assert await fetch(remote, whole(names)) == list(zip(names, blocks, strict=True))

    async def test_ask_may_have_blocks_read_back(self, join: Join, objects: FaultyObjects) -> None:
        remote = await join("anna")
        blocks = make_noise(3)
        names = ids_of(blocks)
        await send(remote, frames_of(blocks))
        [pack] = [stat.name for stat in objects.iter_names()]
        objects.change(pack, lambda content: content[:-1] + bytes([content[-1] ^ 1]))

        assert await remote.ask([*names, NEVER]) == [NEVER]
        assert await remote.ask([*names, NEVER], verify=True) == [names[2], NEVER]


class RemoteTreeSuite:
    """Commits, changes and the bell; each test gets a server without anything on it."""

    async def test_commit_is_told_to_other_devices(self, join: Join) -> None:
        one, two = await join("anna"), await join("anna")
        _, start = await read_all(two)
        await send(one, frames_of([TEXT]))
        folder = file_id(1)
        done = await one.commit(
            [new_folder(1, "folder"), new_file(2, "file", TEXT, folder)], Seq(0), "key"
        )

        assert (done.head_before, done.head) == (0, 2)
        assert [type(outcome) for outcome in done.outcomes] == [Accepted, Accepted]
        assert (await read_all(two, start))[0] == {"folder": False, "file": False}
        assert (await read_all(one, done.cursor))[0] == {}, "what it did itself is no news"

        page = await two.read_changes(start, None)
        [stored] = [stored for stored in page.entries if stored.entry.name == "file"]
        assert stored.entry.content == content_of(TEXT)
        assert (stored.entry.parent_id, stored.entry.mtime_ns, stored.seq) == (folder, 7, 2)
        assert page.head == 2
        below, after = await two.list_below(ROOT_ID, "")
        assert [stored.entry.name for stored in below] == ["folder", "file"]
        assert after == ""
        assert [s.entry.name for s in (await two.read_changes("", folder)).entries] == ["file"]

    async def test_commit_that_is_repeated_changes_nothing_more(self, join: Join) -> None:
        remote = await join("anna")
        changes = [new_folder(1, "folder"), new_folder(1, "folder", file_id(9))]
        first = await remote.commit(changes, Seq(0), "key")
        again = await remote.commit(changes, Seq(0), "key")
        with pytest.raises(Refused) as caught:
            await remote.commit(changes[:1], Seq(0), "key")

        assert again.outcomes == first.outcomes
        assert (again.head_before, again.head) == (first.head_before, first.head)
        assert caught.value.code == "idempotency-key-reused"

    async def test_each_change_has_an_outcome_of_its_own(self, join: Join) -> None:
        remote = await join("anna")
        block = make_noise(1)[0]
        done = await remote.commit(
            [
                new_folder(1, "a"),
                new_folder(2, "a"),
                new_file(3, "b", block),
                Delete(file_id(99), Rev(1)),
                Edit(file_id(1), Rev(1), None, 0o700, 0),
            ],
            Seq(0),
            "key",
        )
        made, taken, missing, gone, edited = done.outcomes

        assert isinstance(made, Accepted)
        assert isinstance(taken, Refusal)
        assert (taken.code, taken.occupant) == ("name-taken", file_id(1))
        assert isinstance(missing, Refusal)
        assert (missing.code, missing.missing) == ("blocks-missing", (block_id(block),))
        assert isinstance(gone, Refusal)
        assert gone.code == "not-found"
        assert isinstance(edited, Accepted)
        assert edited.entry.mode == 0o700
        assert all(outcome.message for outcome in (taken, missing, gone))

    async def test_deletion_arrives_as_such(self, join: Join) -> None:
        remote = await join("anna")
        await remote.commit([new_folder(1, "a")], Seq(0), "one")
        _, cursor = await read_all(remote)
        await remote.commit([Delete(file_id(1), Rev(1))], Seq(1), "two")

        assert (await read_all(remote, cursor))[0] == {"a": True}

    @pytest.mark.parametrize("forged", ["junk", "x" * 500, "ä"])
    async def test_forged_cursor_is_refused(self, join: Join, forged: str) -> None:
        remote = await join("anna")
        await remote.commit([new_folder(1, "a")], Seq(0), "one")
        with pytest.raises(Refused) as caught:
            await remote.read_changes(forged, None)

        assert caught.value.code == "cursor-invalid"
        assert caught.value.advice
        # Whoever is told so begins anew.
        assert (await read_all(remote, ""))[0] == {"a": False}

    async def test_cursor_of_another_namespace_says_reset(self, join: Join) -> None:
        anna, bert = await join("anna"), await join("bert")
        await anna.commit([new_folder(1, "a")], Seq(0), "one")
        _, cursor = await read_all(anna)
        page = await bert.read_changes(cursor, None)

        assert page.reset
        assert list(page.entries) == []

    async def test_namespace_of_somebody_else_is_as_none(self, join: Join, aim: Aim) -> None:
        anna, bert = await join("anna"), await join("bert")
        theirs = anna.namespace_id
        for namespace_id in (theirs, NamespaceId(b"\x22" * 16)):
            codes = set()
            stranger = aim(await join("bert"), namespace_id)
            for attempt in (
                stranger.ask([NEVER]),
                fetch(stranger, whole([NEVER])),
                stranger.fetch_outlines([NEVER]),
                send(stranger, frames_of([TEXT])),
                stranger.commit([new_folder(1, "a")], Seq(0), "key"),
                stranger.read_changes("", None),
                stranger.list_below(ROOT_ID, ""),
            ):
                with pytest.raises(DrystoneError) as caught:
                    await attempt
                codes.add(caught.value.code)

            assert codes == {"namespace-not-found"}
        assert await bert.ask([NEVER]) == [NEVER]

    async def test_bell_rings_when_the_head_moves(self, join: Join) -> None:
        one, two = await join("anna"), await join("anna")
        heads = aiter(two.listen())
        assert await anext(heads) == 0, "whatever was before it listened may have been missed"
        await one.commit([new_folder(1, "a")], Seq(0), "key")
        # It may tell the head that it began with, too.
        while await anext(heads) != 1:
            pass
        await heads.aclose()  # type: ignore[attr-defined]  # both are generators

    async def test_traffic_grows_with_each_request(self, join: Join) -> None:
        remote = await join("anna")
        before = remote.traffic()
        await send(remote, frames_of([TEXT]))
        await remote.ask([NEVER])
        after = remote.traffic()

        assert after.requests_count == before.requests_count + 2
        assert after.sent_bytes > before.sent_bytes
        assert remote.link_bytes_per_s() >= 0.0
