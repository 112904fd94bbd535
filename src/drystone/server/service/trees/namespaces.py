# SPDX-License-Identifier: Apache-2.0
"""Namespaces: what lies in a tree now."""

from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, FileId, NamespaceId
from drystone.core.journal.record import StoredEntry
from drystone.core.limits import CHANGES_PAGE_ENTRIES_MAX
from drystone.core.names.path import show_name, split_path
from drystone.core.tree.entry import Kind
from drystone.server.ports.metadata import Unit
from drystone.server.service.actor import Actor
from drystone.server.service.gate import EntryNotFound, require_entry, require_namespace
from drystone.server.service.trees.lineage import Lineage
from drystone.server.service.trees.pages import EntryPage, Pages


class NotListable(Refused):
    """What was asked to be listed is not a folder."""

    code = "not-listable"


class Namespaces:
    """Lists entries. Every answer is true at one moment; pages of one listing at several."""

    def __init__(self, pages: Pages, *, page_entries_max: int = CHANGES_PAGE_ENTRIES_MAX) -> None:
        self._pages = pages
        self._page_max = page_entries_max

    async def find_path(self, actor: Actor, namespace_id: NamespaceId, path: str) -> EntryPage:
        """Returns the living entry at a path, as a page of one.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
            InvalidName, InvalidPath: No entry can have this path.
            EntryNotFound: None has it; or it is that of the root, which is no entry.
        """
        names = split_path(path)

        def work(unit: Unit) -> EntryPage:
            require_namespace(unit, actor, namespace_id)
            found: StoredEntry | None = None
            parent_id = ROOT_ID
            for name in names:
                found = unit.tree.find_child(namespace_id, parent_id, name)
                if found is None:
                    break
                parent_id = found.file_id
            if found is None:
                raise EntryNotFound(f"entry {show_name(path)}")
            return EntryPage([found], "", unit.tree.head(namespace_id))

        return await self._pages.read(actor, namespace_id, ("path", path), work)

    async def list_folder(
        self, actor: Actor, namespace_id: NamespaceId, folder_id: FileId, after_name: str
    ) -> EntryPage:
        """Returns a page of what is directly in a living folder, by name.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
            EntryNotFound: There is no such entry, or it does not live.
            NotListable: It is not a folder.
        """

        def work(unit: Unit) -> EntryPage:
            _require_living_folder(unit, actor, namespace_id, folder_id)
            head = unit.tree.head(namespace_id)
            entries = unit.tree.list_children(namespace_id, folder_id, after_name, self._page_max)
            is_full = len(entries) == self._page_max
            return EntryPage(entries, entries[-1].entry.name if is_full else "", head)

        what = ("folder", folder_id, after_name, self._page_max)
        return await self._pages.read(actor, namespace_id, what, work)

    async def list_below(
        self, actor: Actor, namespace_id: NamespaceId, folder_id: FileId, after: str
    ) -> EntryPage:
        """Returns a page of all that lives below a folder, parents before children.

        An entry that is moved between two pages may be missed or told twice; it is then also
        in the changes after the first page's ``head``. Raises as ``list_folder``.
        """

        def work(unit: Unit) -> EntryPage:
            _require_living_folder(unit, actor, namespace_id, folder_id)
            head = unit.tree.head(namespace_id)
            entries, following = unit.tree.list_below(
                namespace_id, folder_id, after, self._page_max
            )
            return EntryPage(entries, following, head)

        what = ("below", folder_id, after, self._page_max)
        return await self._pages.read(actor, namespace_id, what, work)


def _require_living_folder(
    unit: Unit, actor: Actor, namespace_id: NamespaceId, folder_id: FileId
) -> None:
    if folder_id == ROOT_ID:
        return require_namespace(unit, actor, namespace_id)
    stored = require_entry(unit, actor, namespace_id, folder_id)
    lineage = Lineage(unit.tree, namespace_id)
    lineage.learn([stored])
    if not lineage.is_living(stored):
        raise EntryNotFound(f"living entry {folder_id.hex()}")
    if stored.entry.kind is not Kind.FOLDER:
        raise NotListable(f"{show_name(stored.entry.name)} is not a folder")
    return None
