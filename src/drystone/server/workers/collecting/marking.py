# SPDX-License-Identifier: Apache-2.0
"""Marking: what one namespace refers to, as a bit for each block.

First the entries that have not changed for long, then the records after: what is changed while
this goes on gets a record that is still to come. Whatever is committed later than the last one that
is looked at has its blocks leased, and is none of this module's business.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Final

from drystone.core.content.manifest import MalformedManifest, decode_manifest
from drystone.core.errors import Corrupt
from drystone.core.ids import ROOT_ID, BlockId, FileId, NamespaceId, Seq
from drystone.core.journal.record import StoredEntry
from drystone.server.ports.blocks import LostBlock, Packs
from drystone.server.ports.collecting import Root
from drystone.server.ports.metadata import BlockPlace, Metadata, Unit
from drystone.server.service.blocks.shelf import iter_batches, read_plain
from drystone.server.workers.collecting.bits import Bits

PAGE_RECORDS: Final = 2_000
"""Looked at in one unit of work."""


class UnreadableManifest(Corrupt):
    """A manifest that is referred to cannot be read: what belongs to its file is not known.

    It is never taken for one that refers to nothing.
    """

    code = "manifest-unreadable"

    def __init__(self, namespace_id: NamespaceId, root: Root, reason: str) -> None:
        super().__init__(
            f"a manifest of namespace {namespace_id.hex()} cannot be read ({reason}):"
            f" block {root.block_id.hex()}",
            advice="Nothing of this namespace is collected until it can. `drystone doctor --repair`"
            " on a device that has the file sends it again.",
        )


class Marking:
    """Finds out what a namespace refers to.

    Args:
        metadata: Read in pages; other works go on in between.
        packs: Where manifests are read.
        namespace_id: Which namespace.
        kept_after: See ``HistoryUnit.kept_after``; 0: everything that ever was.

    Attributes:
        marks: The blocks, by number; complete when ``run`` has come to its end.
        missing_count: Blocks that are referred to and not in the index.
    """

    def __init__(
        self, metadata: Metadata, packs: Packs, namespace_id: NamespaceId, kept_after: Seq
    ) -> None:
        self._metadata = metadata
        self._packs = packs
        self._namespace_id = namespace_id
        self._kept_after = kept_after
        # A block may be a file of its own and another one's manifest.
        self._expanded = Bits()
        self.marks = Bits()
        self.missing_count = 0

    def run(self) -> Iterator[int]:
        """Marks, page by page; yields the bytes that each cost to read.

        Raises:
            UnreadableManifest: The marks are of no use.
        """
        seq = Seq(0)
        while seq < self._kept_after:
            page = partial(_list_living, self._namespace_id, seq, self._kept_after)
            roots, seq = self._metadata.read(page)
            yield from self._mark(roots)
        is_more = True
        while is_more:
            roots, seq = self._metadata.read(partial(_list_roots, self._namespace_id, seq))
            yield from self._mark(roots)
            is_more = seq > 0

    def _mark(self, roots: Sequence[Root]) -> Iterator[int]:
        """Marks roots, and what those refer to that are manifests."""
        found = self._mark_blocks({root.block_id for root in roots})
        manifests = [
            root
            for root in roots
            if root.is_manifest and found.get(root.block_id, -1) not in self._expanded
        ]
        yield 0
        if manifests:
            yield from self._expand(manifests)
            self._expanded.update(found[r.block_id] for r in manifests if r.block_id in found)

    def _mark_blocks(self, block_ids: Collection[BlockId]) -> dict[BlockId, int]:
        """Marks blocks, and counts those that are nowhere; returns numbers."""

        def work(unit: Unit) -> tuple[dict[BlockId, int], int]:
            found = unit.holders.number(block_ids)
            rest = [block_id for block_id in block_ids if block_id not in found]
            # What a device has put into the store itself is no part of the index yet.
            claimed = unit.arrivals.locate(self._namespace_id, rest) if rest else {}
            return found, len(rest) - len(claimed)

        found, missing_count = self._metadata.read(work)
        self.missing_count += missing_count
        self.marks.update(found.values())
        return found

    def _expand(self, manifests: Sequence[Root]) -> Iterator[int]:
        wanted = {root.block_id: root for root in manifests}

        def locate(unit: Unit) -> dict[BlockId, BlockPlace]:
            places = unit.blocks.locate(wanted)
            rest = wanted.keys() - places.keys()
            return places | unit.arrivals.locate(self._namespace_id, rest) if rest else places

        places = self._metadata.read(locate)
        for block_id in wanted.keys() - places.keys():
            reason = "it is damaged or lost"
            raise UnreadableManifest(self._namespace_id, wanted[block_id], reason)
        in_order = sorted(places.values(), key=lambda p: (p.pack_id, p.offset_bytes))
        for batch in iter_batches(in_order):
            self._expand_batch(batch, wanted)
            yield sum(place.stored_bytes for place in batch)

    def _expand_batch(self, batch: Sequence[BlockPlace], wanted: dict[BlockId, Root]) -> None:
        for place, block in zip(batch, read_plain(self._packs, batch), strict=True):
            root = wanted[place.block_id]
            if isinstance(block, LostBlock):
                raise UnreadableManifest(self._namespace_id, root, block.message)
            try:
                chunks = {chunk.block_id for chunk in decode_manifest(block).chunks}
            except MalformedManifest as error:
                raise UnreadableManifest(self._namespace_id, root, error.message) from error
            self._mark_blocks(chunks)


def _list_roots(namespace_id: NamespaceId, after: Seq, unit: Unit) -> tuple[list[Root], Seq]:
    return unit.history.list_roots(namespace_id, after, PAGE_RECORDS)


def _list_living(
    namespace_id: NamespaceId, after: Seq, upto: Seq, unit: Unit
) -> tuple[list[Root], Seq]:
    """Returns the contents of a page of entries that last changed up to a seq and can still be
    read or restored, and where to go on.
    """
    page = unit.tree.list_changes(namespace_id, after, PAGE_RECORDS)
    if not page:
        return [], upto
    old = [s for s in page if s.seq <= upto and not s.is_deleted and _root_of(s) is not None]
    parents = {stored.entry.parent_id for stored in old}
    lineage = unit.tree.find_lineage(namespace_id, parents)
    gone: dict[FileId, bool] = {ROOT_ID: False}

    def is_gone(folder_id: FileId) -> bool:
        if folder_id not in gone:
            folder = lineage.get(folder_id)
            gone[folder_id] = folder is not None and (
                (folder.is_deleted and folder.seq <= upto) or is_gone(folder.entry.parent_id)
            )
        return gone[folder_id]

    roots = [_root_of(stored) for stored in old if not is_gone(stored.entry.parent_id)]
    return [root for root in roots if root is not None], min(page[-1].seq, upto)


def _root_of(stored: StoredEntry) -> Root | None:
    content = stored.entry.content
    return Root(content.root, content.chunked) if content is not None and content.root else None
