# SPDX-License-Identifier: Apache-2.0
"""Keeping: what collecting and scrubbing ask of the metadata, inside units of work.

A block has a number here, given out upwards as blocks come: what is known of very many blocks is
kept as a bit for each. Numbers mean nothing outside of this port, and the number of a block that
was dropped may be given again.

    held by a namespace  --let_go-->  held, let go since T  --drop_holders-->  not held
    held by nobody       --note_unheld-->  noted            --drop_blocks-->   not in the index
    pack without blocks  --retire-->  quarantine  --begin_removal, end_removal-->  removed

Each step is undone by whoever needs the block or pack in between, in the unit of work in which
that becomes so: ``hold`` and ``renew`` take back ``let_go``, ``hold`` takes back ``note_unheld``,
``add_pack`` takes back ``retire``.
"""

from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from drystone.core.errors import Unavailable
from drystone.core.ids import BlockId, FileId, NamespaceId, PackId, Rev, Seq
from drystone.server.ports.places import BlockPlace


class BlocksRemoved(Unavailable):
    """Blocks that were in the index a moment ago have been collected since."""

    code = "blocks-removed"

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} blocks that nobody used any more were removed just now",
            advice="Send them again.",
            retry_after_s=0.1,
        )


class PackRemoved(Unavailable):
    """A pack with the very same bytes was collected, and its object is removed or about to be.

    Attributes:
        is_over: True if nobody will remove its object any more: whether that is there can be
            found out, and it can be put again.
    """

    code = "pack-removed"

    def __init__(self, pack_id: PackId, *, is_over: bool) -> None:
        super().__init__(
            f"the same pack ({pack_id.hex()}) is just being removed",
            advice="Send its blocks again in a moment.",
            retry_after_s=2.0,
        )
        self.is_over = is_over


class Why(IntEnum):
    """Why a pack was retired."""

    EMPTY = 0
    """No block of the index lay in it any more."""
    THIN = 1
    """What was still in use of it was moved to another pack."""
    ORPHAN = 2
    """The index did not know it: an upload was broken off."""


class RetiredState(IntEnum):
    """Where a retired pack is on its way out."""

    KEPT = 0
    """Its object lies where it always did; it can come back."""
    REMOVING = 1
    """Its object is being removed, or that was broken off."""
    REMOVED = 2
    """Its object is gone. Remembered until nobody can be in the middle of putting the same."""


class RetiredPack(NamedTuple):
    """A pack that was taken out of the index.

    Attributes:
        pack_id: Of it.
        length_bytes: Of its object.
        why: It was retired.
        state: How far that has come.
        since_s: When it came into this state, in seconds.
    """

    pack_id: PackId
    length_bytes: int
    why: Why
    state: RetiredState
    since_s: int


class PackLine(NamedTuple):
    """What the index tells of a pack.

    Attributes:
        number: Its place in the order of ``list_packs``.
        pack_id: Of it.
        length_bytes: Of its object.
        verified_s: When all of its blocks were read and compared last; 0: never.
        blocks_count: Blocks of the index that lie in it, damaged ones too.
        live_bytes: The frames of those that are not damaged.
    """

    number: int
    pack_id: PackId
    length_bytes: int
    verified_s: int
    blocks_count: int
    live_bytes: int


class Root(NamedTuple):
    """A content that a record names: its only block, or its manifest."""

    block_id: BlockId
    is_manifest: bool


class BlockLine(NamedTuple):
    """What the index tells of a block.

    Attributes:
        number: Of the block.
        pack_number: Of the pack in which it lies.
        frame_bytes: What it takes there.
    """

    number: int
    pack_number: int
    frame_bytes: int


class HistoryUnit(Protocol):
    """How much of each namespace's past is kept, and what that refers to."""

    def list_namespaces(self, after: NamespaceId, limit: int) -> list[NamespaceId]:
        """Returns a page of all namespaces by id, those greater than ``after``."""
        ...

    def kept_after(self, namespace_id: NamespaceId) -> Seq:
        """Returns the seq up to which history may have lost its content: what a record up to
        there has replaced or deleted need not be readable any more. 0: all of it is.
        """
        ...

    def find_horizon(self, namespace_id: NamespaceId, before_ns: int) -> Seq:
        """Returns what ``kept_after`` is to be if content is to be let go of that was replaced or
        deleted before an instant: the seq before the first younger record. Never less than now.
        """
        ...

    def set_kept_after(self, namespace_id: NamespaceId, kept_after: Seq) -> None:
        """Sets ``kept_after``: forward before anything is let go of, back once all of it is there
        again.
        """
        ...

    def find_superseding(self, namespace_id: NamespaceId, file_id: FileId, rev: Rev) -> Seq:
        """Returns the seq of the record that replaced a revision of an entry, 0 if none did.
        Cost: a walk over the entry's records back to there.
        """
        ...

    def list_roots(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> tuple[list[Root], Seq]:
        """Returns what records refer to, and where to go on (0: the journal's end was reached).

        A page has the contents of ``limit`` records after ``after_seq``, and of those that they
        replaced if these are not after ``after_seq`` themselves.
        """
        ...


class HoldersUnit(Protocol):
    """Who holds which block, and which are held by nobody."""

    def number(self, block_ids: Collection[BlockId]) -> dict[BlockId, int]:
        """Returns the numbers of those of these blocks that are in the index, damaged or not."""
        ...

    def list_holders(
        self, namespace_id: NamespaceId, after: int, limit: int
    ) -> list[tuple[int, int]]:
        """Returns a page of the blocks that a namespace holds, by number, those greater than
        ``after``: each number, and until when it is leased, in seconds; minus that if it was let
        go of then.
        """
        ...

    def let_go(self, namespace_id: NamespaceId, numbers: Collection[int], now_s: int) -> int:
        """Notes that nothing in a namespace refers to these blocks, unless their lease goes on or
        that was noted before; returns how many were noted. They are still held.
        """
        ...

    def drop_holders(self, namespace_id: NamespaceId, numbers: Collection[int], upto_s: int) -> int:
        """Lets a namespace no longer hold those of these blocks that were let go of up to then
        and not touched since; returns how many.
        """
        ...

    def take_back(self, namespace_id: NamespaceId, numbers: Collection[int], until_s: int) -> int:
        """Lets a namespace hold those of these blocks again that it does not, leased until then;
        returns how many.
        """
        ...

    def list_blocks(self, after: int, limit: int) -> list[BlockLine]:
        """Returns a page of all blocks of the index by number, those greater than ``after``."""
        ...

    def note_unheld(self, numbers: Collection[int], now_s: int) -> int:
        """Notes that nobody was seen to hold these blocks; what is noted stays as it is. Returns
        how many are new.
        """
        ...

    def forget_unheld(self, numbers: Collection[int]) -> None:
        """Somebody holds these blocks after all."""
        ...

    def list_unheld(self, after: int, upto_s: int, limit: int) -> list[int]:
        """Returns a page of the blocks noted as unheld up to then, by number."""
        ...

    def list_taking(self) -> Collection[str]:
        """Returns a name for each unit of work that is about to hold blocks and may not have seen
        what is noted as unheld: it began to before that, and has not ended. None where units of
        work come one after the other.
        """
        ...

    def drop_blocks(self, numbers: Collection[int], upto_s: int) -> tuple[int, int]:
        """Takes those of these blocks out of the index that are still noted as unheld, and were so
        up to then; returns how many, and the bytes of their frames.

        The caller has looked at all holders since they were noted, after whoever was about to
        hold blocks then (``list_taking``) had come to an end.
        """
        ...


class PacksUnit(Protocol):
    """Which packs there are, what lies in them, and which are on their way out."""

    def list_packs(self, after: int, limit: int) -> list[PackLine]:
        """Returns a page of all packs of the index by number, those greater than ``after``."""
        ...

    def list_unverified(self, upto_s: int, limit: int) -> list[PackLine]:
        """Returns packs that were verified last up to then, longest ago first."""
        ...

    def measure_verified(self, upto_s: int) -> tuple[int, int]:
        """Returns how many packs were verified last up to then, or never; and when that was for
        the one for which it is longest ago, of those that ever were: 0 if none was.
        """
        ...

    def note_verified(self, pack_id: PackId, at_s: int) -> None:
        """All blocks of a pack were read and compared."""
        ...

    def list_pack_blocks(self, pack_id: PackId) -> list[BlockPlace]:
        """Returns where the blocks lie that lie in a pack, damaged ones too, in their order."""
        ...

    def list_damaged(self, limit: int) -> list[BlockPlace]:
        """Returns where damaged blocks lie; at most ``limit``."""
        ...

    def find_unknown(self, pack_ids: Collection[PackId]) -> set[PackId]:
        """Returns those packs that are neither in the index nor retired."""
        ...

    def move_blocks(
        self,
        pack_id: PackId,
        length_bytes: int,
        moves: Sequence[tuple[BlockPlace, BlockPlace]],
    ) -> int:
        """Adds a durable pack and lets blocks lie in it that lay elsewhere; returns how many.

        A block that does not lie in its old place any more, or is damaged there, stays as it is.

        Args:
            pack_id: The new pack.
            length_bytes: Of it.
            moves: The old and the new place of each.

        Raises:
            PackRemoved: As ``add_pack``.
        """
        ...

    def retire(self, pack_id: PackId, length_bytes: int, why: Why, now_s: int) -> bool:
        """Takes a pack out of the index, if it is there, and puts it on the list of the retired;
        returns False, and does nothing, if a block of the index lies in it.
        """
        ...

    def list_retired(self, after: PackId, limit: int) -> list[RetiredPack]:
        """Returns a page of retired packs by id, those greater than ``after``."""
        ...

    def begin_removal(self, pack_id: PackId, upto_s: int, now_s: int) -> bool:
        """Lets the object of a pack be removed that was retired up to then; False if it has come
        back or waits still. True again if that was begun before.
        """
        ...

    def end_removal(self, pack_id: PackId, now_s: int) -> None:
        """The object of a pack whose removal was begun is gone."""
        ...

    def forget_removed(self, upto_s: int) -> int:
        """Forgets packs that were removed up to then; returns how many."""
        ...
