# SPDX-License-Identifier: Apache-2.0
"""Laws of the cache: whatever is committed, listed, taken away and put back, and whatever becomes
of what was kept, every answer is the one that there is without a cache."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, Rev
from drystone.core.journal.change import Create, Delete, Edit, Move
from drystone.core.tree.entry import Entry, Kind
from drystone.server.service.actor import Actor
from drystone.server.service.trees.namespaces import Namespaces
from drystone.server.service.trees.pages import Pages
from drystone.server.storage.cache_memory import MemoryCache
from drystone.testing.service import MemoryServer, file_id

IDS = range(1, 5)
PATHS = ["/a", "/b", "/a/b", "/a/a", "/b/a/a"]

places = st.tuples(st.sampled_from([0, *IDS]), st.sampled_from("ab"))
deeds = st.lists(
    st.tuples(st.just("create"), st.sampled_from(IDS), places)
    | st.tuples(st.just("move"), st.sampled_from(IDS), places)
    | st.tuples(st.just("delete"), st.sampled_from(IDS))
    | st.sampled_from([("list",), ("list",), ("back up",), ("put back",), ("spoil",), ("forget",)]),
    max_size=25,
)


class SpoiledCache(MemoryCache):
    """Others write into it: values are cut, changed and exchanged."""

    def spoil(self) -> None:
        values = [value for value, _ in self._values.values()]
        for number, name in enumerate(list(self._values)):
            value = values[number - 1]
            changed = (value, value[:-1], value[:20] + b"\xff" + value[21:], b"")[number % 4]
            self.put(name, changed, 600)


class Story:
    """One server; its listings with a cache and without."""

    def __init__(self) -> None:
        self.cache = SpoiledCache()
        self.server = MemoryServer(cache=self.cache)
        self.backup = self.server.metadata.copy()

    async def begin(self) -> None:
        self.anna = await self.server.sign_in("anna")
        self.bert = await self.server.sign_in("bert")
        self.backup = self.server.metadata.copy()

    async def do(self, deed: str, *args: Any) -> None:
        match deed:
            case "list":
                await self.compare()
                await self.compare()
            case "back up":
                self.backup = self.server.metadata.copy()
            case "put back":
                self.server.metadata.become(self.backup)
            case "spoil":
                self.cache.spoil()
            case "forget":
                self.cache.close()
            case _:
                try:
                    await self.server.commit(self.anna, [self.change(deed, *args)])
                except DrystoneError:
                    return

    def change(self, deed: str, number: int, place: tuple[int, str] = (0, "")) -> Any:
        parent, name = place
        parent_id = file_id(parent) if parent else ROOT_ID
        found = self.server.metadata.read(
            lambda unit: unit.tree.find_entries(self.anna.root_namespace_id, [file_id(number)])
        ).get(file_id(number))
        if deed == "create":
            entry = Entry(file_id(number), parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(0))
            return Create(entry)
        if found is None:
            return Edit(file_id(number), Rev(1), None, 0, 0)  # type: ignore[arg-type]
        if deed == "move":
            return Move(file_id(number), parent_id, name, found.entry.parent_id, found.entry.name)
        return Delete(file_id(number), found.entry.rev)

    async def compare(self) -> None:
        writer = self.server.service.writer
        kept = Namespaces(Pages(writer, self.cache, self.server.key), page_entries_max=2)
        read = Namespaces(Pages(writer), page_entries_max=2)
        for actor in (self.anna, self.bert):
            for with_cache, without in zip(
                self.questions(kept, actor), self.questions(read, actor), strict=True
            ):
                assert await answer(with_cache) == await answer(without)

    def questions(self, namespaces: Namespaces, actor: Actor) -> list[Coroutine[Any, Any, Any]]:
        of = self.anna.root_namespace_id
        asked: list[Coroutine[Any, Any, Any]] = []
        for folder_id in (ROOT_ID, file_id(1), file_id(2)):
            for after in ("", "a", "nonsense"):
                asked.append(namespaces.list_folder(actor, of, folder_id, after))
                asked.append(namespaces.list_below(actor, of, folder_id, after))
        asked += [namespaces.find_path(actor, of, path) for path in PATHS]
        return asked


async def answer(asking: Coroutine[Any, Any, Any]) -> object:
    try:
        return await asking
    except DrystoneError as error:
        return type(error), str(error)


@given(deeds)
# Put back, and written on to the same seq by the same device at the same time: only the era tells.
@example(
    [
        ("create", 1, (0, "a")),
        ("list",),
        ("put back",),
        ("create", 1, (0, "b")),
        ("list",),
    ]
)
# Put back, and written on by nobody: what was kept of that seq is true again.
@example([("create", 1, (0, "a")), ("back up",), ("delete", 1), ("list",), ("put back",)])
# Another page under its name.
@example([("create", 1, (0, "a")), ("create", 2, (1, "b")), ("list",), ("spoil",), ("list",)])
def test_every_answer_is_the_one_without_a_cache(story_of) -> None:
    async def tell() -> None:
        story = Story()
        try:
            await story.begin()
            for deed in (*story_of, ("list",)):
                await story.do(*deed)
        finally:
            await asyncio.to_thread(story.server.close)

    asyncio.run(tell())
