# SPDX-License-Identifier: Apache-2.0
"""Arrivals: packs that devices put into the object store themselves, until they are verified.

What a device says of such a pack is a claim. It is kept apart from the block index, under the
namespace of whoever made it, and counts for nobody else.
"""

import re
from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from drystone.core.ids import BlockId, DeviceId, NamespaceId, PackId
from drystone.server.ports.places import BlockPlace

ARRIVING: Final = "arriving/"
"""What the names of all objects begin with that devices put."""

_NAME: Final = re.compile(r"arriving/([0-9a-f]{32})/([0-9a-f]{32})")


class ArrivalState(IntEnum):
    """How far a pack has come. The numbers stand in the database."""

    PROMISED = 0
    """A device may put it until ``due_s``; nobody has looked whether it did."""
    UNVERIFIED = 1
    """It stands, as long as was said; its namespace may read it. Verified from ``due_s`` on."""
    QUARANTINED = 2
    """It is not what was said; the object is kept until ``due_s`` for whoever wants to look."""
    LOST = 3
    """As QUARANTINED, and the object is gone."""
    JOINED = 4
    """Its blocks are common ones and lie elsewhere; whoever still reads the object may until
    ``due_s``.
    """


class Arrival(NamedTuple):
    """A pack that a device puts into the object store itself.

    Attributes:
        namespace_id: For whom.
        arrival_id: 16 bytes by chance: nobody can guess the object's name, and none is used twice.
        device_id: Who was allowed to put it.
        pack_id: SHA-256 that it shall have.
        length_bytes: How long it shall be.
        heads: Headers of its frames, 44 bytes each, in their order.
        state: An ``ArrivalState``.
        due_s: When something is to be done about it; see ``ArrivalState``.
        upload: Of an upload in parts: what the store calls it; else empty.
    """

    namespace_id: NamespaceId
    arrival_id: bytes
    device_id: DeviceId
    pack_id: PackId
    length_bytes: int
    heads: bytes
    state: int
    due_s: int
    upload: str = ""

    @property
    def name(self) -> str:
        """Of the object."""
        return f"{ARRIVING}{self.namespace_id.hex()}/{self.arrival_id.hex()}"


def parse_arrival_name(name: str) -> tuple[NamespaceId, bytes] | None:
    """Returns whose arrival an object is by its name, and its id; None if it is none."""
    match = _NAME.fullmatch(name)
    return match and (NamespaceId(bytes.fromhex(match[1])), bytes.fromhex(match[2]))


class ArrivalsUnit(Protocol):
    """Arrivals and where their blocks lie, inside one unit of work."""

    def add(self, arrival: Arrival) -> None:
        """Adds an arrival; its id is new."""
        ...

    def find(self, namespace_id: NamespaceId, arrival_ids: Collection[bytes]) -> list[Arrival]:
        """Returns those of these that the namespace has, in no order."""
        ...

    def find_promised(
        self, namespace_id: NamespaceId, pack_ids: Collection[PackId]
    ) -> dict[PackId, Arrival]:
        """Returns the arrivals that are promised as these packs; any, if one is several times."""
        ...

    def count_promised(self, namespace_id: NamespaceId) -> int:
        """Returns how many the namespace has that are promised."""
        ...

    def change(self, arrival: Arrival) -> None:
        """Replaces ``state``, ``due_s`` and ``upload`` of an arrival; if it is gone, nothing."""
        ...

    def add_places(self, places: Sequence[BlockPlace]) -> None:
        """Adds where blocks lie in an arrival; ``object_name`` of each tells in which."""
        ...

    def mark(self, places: Collection[BlockPlace], *, is_damaged: bool) -> None:
        """Notes that blocks cannot be read back from these places, or that they can after all.
        Places that are gone are left out.
        """
        ...

    def drop_places(self, namespace_id: NamespaceId, arrival_id: bytes) -> None:
        """Forgets where the blocks of an arrival lie; no error if there are none."""
        ...

    def remove(self, namespace_id: NamespaceId, arrival_id: bytes) -> None:
        """Forgets an arrival and where its blocks lie; no error if there is none."""
        ...

    def locate(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        """Returns where blocks lie in arrivals of this namespace, unverified. Nobody else may be
        given these places, and these are not shown to be the blocks.

        Cost: next to nothing while the namespace has no arrivals.
        """
        ...

    def find_damaged(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        """Returns the same for places that are marked as damaged."""
        ...

    def list_due(self, state: int, until_s: int, limit: int) -> list[Arrival]:
        """Returns arrivals of all namespaces in a state whose ``due_s`` is not after ``until_s``,
        the longest due first. For background work only.
        """
        ...

    def count_blocks(self) -> tuple[int, int]:
        """Returns how many arrivals are unverified, and how many bytes these have together."""
        ...
