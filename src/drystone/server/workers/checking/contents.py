# SPDX-License-Identifier: Apache-2.0
"""Contents: whether every block of every version is in the index, held, and of the right length."""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from functools import partial
from typing import Final, NamedTuple

from drystone.core.content.content import Content
from drystone.core.ids import ROOT_ID, BlockId, FileId, NamespaceId
from drystone.core.journal.record import Record
from drystone.core.limits import DEPTH_MAX
from drystone.server.ports.blocks import Packs
from drystone.server.ports.metadata import BlockPlace, Metadata, Unit
from drystone.server.ports.survey import NamespaceLine
from drystone.server.workers.checking.findings import Finding, make_finding
from drystone.server.workers.manifests import iter_opened

_REMEMBERED: Final = 200_000
"""Contents that were checked and need not be again in the same namespace: some 60 MB at most."""

_BLOCKS_AT_ONCE: Final = 20_000

_PATHS_MAX: Final = 10_000
"""Findings of one namespace whose path is looked up: more of one kind than are told."""


class _Standing(NamedTuple):
    """Where blocks of a namespace are, as one unit of work had it."""

    places: dict[BlockId, BlockPlace]
    held: set[BlockId]
    damaged: Collection[BlockId]


class ContentCheck:
    """The check of one namespace's contents, a page of records at a time.

    Args:
        metadata: What is checked.
        packs: Where manifests are read.
        line: The namespace.
    """

    def __init__(self, metadata: Metadata, packs: Packs, line: NamespaceLine) -> None:
        self._metadata = metadata
        self._packs = packs
        self._namespace_id = line.namespace_id
        self._checked: OrderedDict[Content, None] = OrderedDict()
        self._told_count = 0

    def iter_findings(self, records: Collection[Record]) -> Iterator[Finding]:
        """Yields what is wrong with the contents of these records, each content once."""
        by_content: dict[Content, Record] = {}
        for record in self._metadata.read(partial(self._leave_out_history, records)):
            content = record.entry.content
            if content is not None and content.root and content not in self._checked:
                by_content.setdefault(content, record)
        standing = self._find({content.root for content in by_content})
        for content, record in by_content.items():
            self._remember(content)
            if (code := self._judge(content.root, standing)) is not None:
                what = _SENTENCES[code].format(content.root.hex())
                yield self._tell(code, what, record)
            elif not content.chunked:
                place = standing.places[content.root]
                if place.plain_bytes != content.size_bytes:
                    what = (
                        f"a file of {content.size_bytes:,} bytes has the block"
                        f" {content.root.hex()} of {place.plain_bytes:,}"
                    )
                    yield self._tell("content-differs", what, record)
        for opened in iter_opened(self._packs, by_content, standing.places):
            record = by_content[opened.content]
            if opened.manifest is None:
                what = f"the manifest {opened.content.root.hex()} is of no use: {opened.fault}"
                yield self._tell("manifest-unreadable", what, record)
                continue
            lengths = {c.block_id: c.length_bytes for c in opened.manifest.chunks}
            yield from self._check_chunks(lengths, record)

    def _leave_out_history(self, records: Collection[Record], unit: Unit) -> list[Record]:
        """Returns those of these records whose content must still be there: all, where history is
        kept for ever.
        """
        kept_after = unit.history.kept_after(self._namespace_id)
        old = {r.entry.file_id for r in records if r.seq <= kept_after}
        lineage = unit.tree.find_lineage(self._namespace_id, old) if old else {}

        def is_needed(record: Record) -> bool:
            if record.seq > kept_after:
                return True
            file_id = record.entry.file_id
            stored = lineage.get(file_id)
            if stored is None or stored.seq != record.seq:
                rev = record.entry.rev
                seq = unit.history.find_superseding(self._namespace_id, file_id, rev)
                # Moved and otherwise as it was: a later record has the same content.
                return seq > kept_after
            while stored is not None:
                if stored.is_deleted and stored.seq <= kept_after:
                    return False
                stored = lineage.get(stored.entry.parent_id)
            return True

        return [record for record in records if is_needed(record)]

    def _check_chunks(self, lengths: dict[BlockId, int], record: Record) -> Iterator[Finding]:
        names = list(lengths)
        for start in range(0, len(names), _BLOCKS_AT_ONCE):
            some = names[start : start + _BLOCKS_AT_ONCE]
            standing = self._find(set(some))
            for block_id in some:
                if (code := self._judge(block_id, standing)) is not None:
                    yield self._tell(code, _SENTENCES[code].format(block_id.hex()), record)
                elif standing.places[block_id].plain_bytes != lengths[block_id]:
                    what = f"the block {block_id.hex()} has another length than its manifest says"
                    yield self._tell("content-differs", what, record)

    def _find(self, block_ids: set[BlockId]) -> _Standing:
        def work(unit: Unit) -> _Standing:
            namespace_id = self._namespace_id
            located = unit.blocks.locate(block_ids)
            held = unit.blocks.find_held(namespace_id, block_ids)
            damaged = unit.blocks.find_damaged(namespace_id, block_ids)
            # What a device put into the store itself and nobody has verified yet.
            arrived = unit.arrivals.locate(namespace_id, block_ids - held)
            doubted = unit.arrivals.find_damaged(namespace_id, block_ids - held - arrived.keys())
            # What lies in a pack that is not known is told with the index.
            known = {block_id: place for block_id, place in located.items() if place.pack_id}
            damaged = {**damaged, **doubted}
            return _Standing(
                known | arrived, held | arrived.keys(), damaged.keys() - arrived.keys()
            )

        return self._metadata.read(work)

    def _judge(self, block_id: BlockId, standing: _Standing) -> str | None:
        """Returns the code of what is wrong with a block, or None."""
        if block_id in standing.damaged:
            return "block-damaged"
        if block_id not in standing.places:
            return "block-unknown"
        return None if block_id in standing.held else "block-not-held"

    def _remember(self, content: Content) -> None:
        self._checked[content] = None
        if len(self._checked) > _REMEMBERED:
            self._checked.popitem(last=False)

    def _tell(self, code: str, what: str, record: Record) -> Finding:
        where = f"namespace {self._namespace_id.hex()}, seq {record.seq:,}"
        self._told_count += 1
        if self._told_count <= _PATHS_MAX:
            path = self._metadata.read(lambda u: find_path(u, self._namespace_id, record))
            where = f"{where}: {path}"
        return make_finding(code, what, where)


def find_path(unit: Unit, namespace_id: NamespaceId, record: Record) -> str:
    """Returns where a record's entry stood, below the folders as they are now."""
    names = [record.entry.name]
    above = unit.tree.find_lineage(namespace_id, [record.entry.parent_id])
    parent_id: FileId = record.entry.parent_id
    while parent_id != ROOT_ID and parent_id in above and len(names) <= DEPTH_MAX:
        names.append(above[parent_id].entry.name)
        parent_id = above[parent_id].entry.parent_id
    return "/" + "/".join(reversed(names))


_SENTENCES: Final = {
    "block-damaged": "the block {} is known to be damaged",
    "block-unknown": "the block {} is not in the index",
    "block-not-held": "the block {} is in the index, and not noted as held by the namespace",
}
