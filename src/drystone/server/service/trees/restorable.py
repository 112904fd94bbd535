# SPDX-License-Identifier: Apache-2.0
"""Restorable: what a commit brings back without naming it, and whether it is still there.

A restoration names an entry, perhaps a revision; the content is what the journal says. That may be
gone though history is kept: lost with a pack, or collected before the database was rebuilt. A file
is then not brought back at all, since nobody could read it. A folder comes back unless all of its
files are lost: what is left of it is worth having.
"""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from drystone.core.content.content import Content
from drystone.core.ids import FileId, NamespaceId, Seq
from drystone.core.journal.change import Commit, Restore
from drystone.core.journal.record import StoredEntry
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.metadata import TreeUnit, Unit
from drystone.server.service.blocks.shelf import find_held

_PAGE_ENTRIES: Final = 1_000


class Brought(NamedTuple):
    """What a commit brings back.

    Attributes:
        contents: Those of single files, made of blocks.
        folders: With all that is in them.
    """

    contents: frozenset[Content] = frozenset()
    folders: frozenset[FileId] = frozenset()


def has_restorations(commit: Commit) -> bool:
    """Tells whether a commit brings anything back at all."""
    return any(isinstance(change, Restore) for change in commit.changes)


def find_brought(tree: TreeUnit, namespace_id: NamespaceId, commit: Commit) -> Brought:
    """Returns what a commit brings back, as things stand now. One query, and one for each revision
    that is named.
    """
    changes = [change for change in commit.changes if isinstance(change, Restore)]
    stored = tree.find_entries(namespace_id, {change.file_id for change in changes})
    head = tree.head(namespace_id)
    contents: set[Content] = set()
    folders: set[FileId] = set()
    for change in changes:
        known = stored.get(change.file_id)
        if known is None:
            continue
        if known.entry.kind is Kind.FOLDER:
            folders.add(change.file_id)
            continue
        entry: Entry | None = known.entry
        if change.rev not in (0, known.entry.rev):
            is_one = 0 < change.rev <= head
            record = tree.find_record(namespace_id, Seq(change.rev)) if is_one else None
            entry = None if record is None else record.entry
        if entry is not None and entry.content is not None and entry.content.root:
            contents.add(entry.content)
    return Brought(frozenset(contents), frozenset(folders))


def find_lost_folders(
    unit: Unit, namespace_id: NamespaceId, folders: Collection[FileId]
) -> frozenset[FileId]:
    """Returns which of these folders hold files of which not one can be read any more.

    Cost: a walk below each that ends at the first page with something that can.
    """
    return frozenset(f for f in folders if _is_lost(unit, namespace_id, f))


def _is_lost(unit: Unit, namespace_id: NamespaceId, folder_id: FileId) -> bool:
    has_files = False
    for page in _iter_below(unit.tree, namespace_id, folder_id):
        leaves = [stored.entry.content for stored in page if stored.entry.kind is not Kind.FOLDER]
        roots = {content.root for content in leaves if content is not None and content.root}
        needs_nothing = any(content is None or not content.root for content in leaves)
        if needs_nothing or (roots and find_held(unit, namespace_id, roots)):
            return False
        has_files |= bool(leaves)
    return has_files


def _iter_below(
    tree: TreeUnit, namespace_id: NamespaceId, folder_id: FileId
) -> Iterator[list[StoredEntry]]:
    """Yields pages of what comes back with a folder."""
    ahead = [folder_id]
    while ahead:
        here, after = ahead.pop(), ""
        while page := tree.list_children(namespace_id, here, after, _PAGE_ENTRIES):
            yield page
            after = page[-1].entry.name
            ahead += [stored.file_id for stored in page if stored.entry.kind is Kind.FOLDER]
