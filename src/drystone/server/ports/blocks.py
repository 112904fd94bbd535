# SPDX-License-Identifier: Apache-2.0
"""Packs: blocks at rest, many in one immutable object.

The port knows bytes and places, not who may see them: callers ask the metadata first.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from drystone.core.content.coding import CorruptBlock
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.ids import BlockId, PackId
from drystone.server.ports.metadata import BlockPlace


class Pack(NamedTuple):
    """A durable pack and what the block index is told of it.

    Attributes:
        pack_id: SHA-256 of all its bytes.
        length_bytes: Of the whole object.
        places: One per frame, in the order in which they lie.
    """

    pack_id: PackId
    length_bytes: int
    places: list[BlockPlace]


class StoredPack(NamedTuple):
    """What a listing tells of a pack's object.

    Attributes:
        pack_id: By its name.
        length_bytes: Of it.
        written_ns: When it was put last.
    """

    pack_id: PackId
    length_bytes: int
    written_ns: int


class Run(NamedTuple):
    """Frames that lie back to back, as they lie.

    Attributes:
        frames_count: How many there are.
        frames: Headers and payloads.
    """

    frames_count: int
    frames: Buffer


class LostBlock(CorruptBlock):
    """A stored block cannot be read back: its pack is missing, cut off or damaged.

    Only this block is concerned; others go on. Its ``code`` is ``corrupt-block``.

    Attributes:
        place: Where it should lie.
        block_id: The block.
        pack_id: The pack that should hold it.
    """

    def __init__(self, place: BlockPlace, reason: str) -> None:
        super().__init__(
            f"block {place.block_id.hex()} cannot be read back: {reason}"
            f" (pack {place.pack_id.hex()})",
            advice="Restore the pack from a backup of the server's data directory, or send the"
            " block again from a device that has it: drystone doctor --repair",
        )
        self.place = place
        self.block_id: BlockId = place.block_id
        self.pack_id: PackId = place.pack_id


class CorruptPack(CorruptBlock):
    """The bytes of a whole pack do not match its name, or are not those of a pack.

    Attributes:
        name: Of the object.
        readable: Those of its blocks that are whole all the same, each verified by itself;
            None if there are none.
    """

    code = "corrupt-pack"

    def __init__(self, name: str, reason: str, readable: Pack | None = None) -> None:
        count = len(readable.places) if readable else 0
        super().__init__(
            f"the pack {name} is damaged: {reason}; {count} of its blocks are whole",
            advice="Restore it from a backup of the server's data directory.",
        )
        self.name = name
        self.readable = readable


class Packs(Protocol):
    """Keeps frames in packs and finds them again.

    Methods block; callers run them in a thread. Safe to call from several threads. What the
    store of objects raises (``ObjectStoreFull``, ``Unavailable``) passes through.
    """

    def store(self, frames: Sequence[Frame]) -> Pack:
        """Stores frames as one pack, in this order; durable when it returns.

        Args:
            frames: At least one; RAW and ZSTD only, already verified, each block once, no
                more than fit in ``limits.PACK_BYTES_TARGET`` and one block. Anything else is
                an ``AssertionError``.

        Cost: hashes and writes every byte once; copies none but those of short payloads.
        """
        ...

    def read(self, places: Sequence[BlockPlace]) -> list[Frame | LostBlock]:
        """Returns what lies at each place, in order: the frame as it was stored.

        A frame's header has been compared with the place; its payload is *not* verified
        against the block id. A block that cannot be read is a value: others go on.

        Cost: places that are neighbours in a pack are one read; memory is that of the
        payloads, so callers ask for a few MiB at a time.
        """
        ...

    def read_runs(self, places: Sequence[BlockPlace]) -> list[Run | LostBlock]:
        """Returns the same frames as ``read``, undivided where neighbours are asked for in
        the order in which they lie: for who passes them on as they are.

        Cost: that of one system call per run of neighbours, and a glance at each header.
        """
        ...

    def load(self, pack_id: PackId) -> Pack | CorruptPack:
        """Returns one pack, read and verified against its name; a missing one is a value, too."""
        ...

    def iter_stored(self) -> Iterator[StoredPack]:
        """Yields what objects of packs there are, in no order; none is read."""
        ...

    def remove(self, pack_id: PackId) -> None:
        """Removes a pack's object for good; no error if there is none."""
        ...

    def object_name(self, place: BlockPlace) -> str:
        """Returns the name of the object in which a place is. Frames lie there as they travel."""
        ...

    def iter_packs(self) -> Iterator[Pack | CorruptPack]:
        """Yields every pack of the store, in no order, read and verified against its name.

        The block index is rebuilt from these. Memory: one pack at a time.
        """
        ...
