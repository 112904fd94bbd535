# SPDX-License-Identifier: Apache-2.0
"""Contents: what a commit says of files, compared with the blocks that the namespace holds.

A content of one block must be as long as that block; a manifest must say the same size and hash
as the content, and its chunks be as long as their blocks. So every file in a tree can be put
together, and nobody can commit what they have not shown to have. Runs in a thread.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import content_hash_of_block_id
from drystone.core.content.manifest import Manifest, decode_manifest
from drystone.core.errors import DrystoneError
from drystone.core.ids import BlockId, NamespaceId
from drystone.core.journal.decide import Contents
from drystone.server.ports.blocks import LostBlock
from drystone.server.ports.metadata import BlockPlace, Unit
from drystone.server.service.blocks.damage import note_damage, read_again
from drystone.server.service.blocks.shelf import (
    Shelf,
    iter_batches,
    locate_held,
    read_plain,
    renew_leases,
)


class ManifestLine(NamedTuple):
    """A manifest that was found to be what a content says: to be kept with the commit."""

    manifest_id: BlockId
    size_bytes: int
    content_hash: bytes
    chunks_count: int


class Verdict(NamedTuple):
    """What was found out about contents.

    Attributes:
        contents: For the decision: which lack blocks, which their blocks contradict.
        manifests: Of the chunked contents that are fine, each once.
        lost: Where manifests cannot be read back.
        until_s: All blocks of what is fine are held until then, once the leases of ``lapsing``
            are renewed.
        lapsing: Those of them whose lease ends before that.
    """

    contents: Contents
    manifests: list[ManifestLine]
    lost: Sequence[BlockPlace] = ()
    until_s: int = 1 << 40
    lapsing: Collection[BlockId] = frozenset()


async def check_and_lease(
    shelf: Shelf, namespace_id: NamespaceId, contents: Collection[Content]
) -> Verdict:
    """Returns what ``check_contents`` finds, once all that is fine is leased until then, and what
    is damaged is noted.
    """
    while True:
        verdict = await shelf.run(check_contents, shelf, namespace_id, contents)
        await note_damage(shelf, verdict.lost)
        lapsing = verdict.lapsing
        if lapsing == await renew_leases(shelf, namespace_id, lapsing, verdict.until_s):
            return verdict
        # Some were collected since they were looked at; the others have a lease by now.


def check_contents(
    shelf: Shelf, namespace_id: NamespaceId, contents: Collection[Content]
) -> Verdict:
    """Returns what is wrong with contents, if anything is.

    Cost: a read of metadata for all, and one for each few MiB of manifests, which are read
    and decoded. Other blocks are not read: they were verified when they came.

    A manifest that cannot be read back is missing: it has to be sent again.

    Raises:
        Unavailable: The store or the database cannot be read now.
    """
    check = _Check(shelf, namespace_id)
    distinct = dict.fromkeys(contents)
    places = check.locate({content.root for content in distinct if content.root})
    chunked: dict[BlockId, list[Content]] = {}
    for content in distinct:
        place = places.get(content.root)
        if content.root and place is None:
            check.missing[content] = (content.root,)
        elif content.chunked and place is not None:
            chunked.setdefault(content.root, []).append(content)
        elif why := _find_fault(content, place):
            check.faulty[content] = why
    for batch in iter_batches([places[root] for root in chunked]):
        check.check_manifests(batch, chunked)
    found = Contents(check.missing, check.faulty)
    return Verdict(found, check.manifests, check.lost, check.until_s, check.lapsing)


def decode_held_manifest(block: bytes | LostBlock) -> Manifest:
    """Returns the manifest that a block is.

    Raises:
        LostBlock: The block could not be read back.
        MalformedManifest: It is not one.
    """
    if isinstance(block, LostBlock):
        raise block
    return decode_manifest(block)


class _Check:
    """The findings of one check."""

    def __init__(self, shelf: Shelf, namespace_id: NamespaceId) -> None:
        self._shelf = shelf
        self._namespace_id = namespace_id
        self.missing: dict[Content, tuple[BlockId, ...]] = {}
        self.faulty: dict[Content, str] = {}
        self.manifests: list[ManifestLine] = []
        self.lost: list[BlockPlace] = []
        self.lapsing: set[BlockId] = set()
        self.until_s = shelf.now_s() + shelf.leases.commit_s

    def locate(self, block_ids: Collection[BlockId]) -> dict[BlockId, BlockPlace]:
        """Returns where those blocks lie that the namespace holds, and notes whose lease ends."""

        def look_up(unit: Unit) -> dict[BlockId, BlockPlace]:
            leases = unit.blocks.find_leases(self._namespace_id, block_ids)
            self.lapsing.update(b for b, until_s in leases.items() if until_s < self.until_s)
            return locate_held(unit, self._namespace_id, block_ids)

        return self._shelf.metadata.read(look_up)

    def check_manifests(
        self, batch: Sequence[BlockPlace], chunked: Mapping[BlockId, Sequence[Content]]
    ) -> None:
        """Checks the contents whose manifests lie at these places."""
        manifests: dict[BlockId, Manifest] = {}
        for place, block in zip(batch, read_plain(self._shelf.packs, batch), strict=True):
            whole = read_again(self._shelf.packs, block) if isinstance(block, LostBlock) else block
            if whole is None:
                self.lost.append(place)
                self.missing.update((c, (c.root,)) for c in chunked[place.block_id])
                continue
            try:
                manifests[place.block_id] = decode_manifest(whole)
            except DrystoneError as error:
                for content in chunked[place.block_id]:
                    self.faulty[content] = f"its manifest cannot be read: {error.message}"
        chunks = {chunk.block_id for m in manifests.values() for chunk in m.chunks}
        places = self.locate(chunks)
        for root, manifest in manifests.items():
            for content in chunked[root]:
                self._check_manifest(content, manifest, places)

    def _check_manifest(
        self, content: Content, manifest: Manifest, places: Mapping[BlockId, BlockPlace]
    ) -> None:
        if content.size_bytes != manifest.size_bytes:
            self.faulty[content] = f"its manifest is of a file of {manifest.size_bytes:,} bytes"
        elif content.content_hash != manifest.content_hash:
            self.faulty[content] = "its manifest has another content hash"
        elif missing := manifest.missing(places):
            self.missing[content] = missing
        elif any(places[c.block_id].plain_bytes != c.length_bytes for c in manifest.chunks):
            self.faulty[content] = "its manifest gives a block another length than it has"
        else:
            self.manifests.append(
                ManifestLine(
                    content.root,
                    manifest.size_bytes,
                    manifest.content_hash,
                    len(manifest.chunks),
                )
            )


def _find_fault(content: Content, place: BlockPlace | None) -> str:
    """Returns how a content of one block, or none, contradicts itself or its block."""
    if place is None:
        return "" if content == EMPTY_CONTENT else "a file without blocks is empty"
    if content.size_bytes != place.plain_bytes:
        return f"its block has {place.plain_bytes:,} bytes"
    if content.content_hash != content_hash_of_block_id(content.root):
        return "its content hash does not follow from its block"
    return ""
