# SPDX-License-Identifier: Apache-2.0
"""Manifests: which blocks contents are made of, for many contents, a few MiB at a time."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from drystone.core.content.content import Content
from drystone.core.content.manifest import Manifest, decode_manifest
from drystone.core.errors import DrystoneError
from drystone.core.ids import BlockId
from drystone.server.ports.blocks import LostBlock, Packs
from drystone.server.ports.metadata import BlockPlace
from drystone.server.service.blocks.shelf import iter_batches, read_plain


class Opened(NamedTuple):
    """A chunked content whose manifest was looked for.

    Attributes:
        content: The content.
        manifest: Which says what it says of itself; None if there is none to be had.
        fault: Why not.
    """

    content: Content
    manifest: Manifest | None
    fault: str = ""


def iter_opened(
    packs: Packs, contents: Collection[Content], places: Mapping[BlockId, BlockPlace]
) -> Iterator[Opened]:
    """Yields each chunked content with its manifest, read and verified.

    Args:
        packs: Where blocks lie.
        contents: Those that are not chunked are left out.
        places: Where the manifests lie; contents whose manifest is not among them are left out.
    """
    by_root: dict[BlockId, list[Content]] = {}
    for content in contents:
        if content.chunked and content.root in places:
            by_root.setdefault(content.root, []).append(content)
    for batch in iter_batches(sorted((places[root] for root in by_root), key=_position_of)):
        for place, block in zip(batch, read_plain(packs, batch), strict=True):
            for content in by_root[place.block_id]:
                yield _open(content, block)


def _open(content: Content, block: bytes | LostBlock) -> Opened:
    if isinstance(block, LostBlock):
        return Opened(content, None, block.message)
    try:
        manifest = decode_manifest(block)
    except DrystoneError as error:
        return Opened(content, None, error.message)
    if (manifest.size_bytes, manifest.content_hash) != (content.size_bytes, content.content_hash):
        return Opened(content, None, "it is of another content")
    return Opened(content, manifest)


def _position_of(place: BlockPlace) -> tuple[bytes, int]:
    return place.pack_id, place.offset_bytes
