# SPDX-License-Identifier: Apache-2.0
"""Remote: one namespace on the server, as the client sees it."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol

from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId, FileId, NamespaceId, Seq
from drystone.core.journal.change import Change, Outcome
from drystone.core.journal.record import StoredEntry


class RemotePage(NamedTuple):
    """A page of changes; see ``wire.messages.ChangesPage``.

    ``rewound_to`` is set if the journal was put back to an earlier state since the cursor was given
    out: up to which seq it is as it was.
    """

    entries: Sequence[StoredEntry]
    gone: Sequence[FileId]
    cursor: str
    head: Seq
    has_more: bool
    reset: bool
    rewound_to: Seq | None = None


class CommitResult(NamedTuple):
    """What became of a commit; see ``wire.messages.CommitAnswer``."""

    head_before: Seq
    head: Seq
    cursor: str
    outcomes: Sequence[Outcome]


FetchedBlock = tuple[BlockId, bytes | Corrupt]
"""A block that was asked for: its verified bytes, or why it cannot be had."""


class Traffic(NamedTuple):
    """What went over the wire since the start, headers included as far as we see them."""

    requests_count: int
    sent_bytes: int
    received_bytes: int


class Remote(Protocol):
    """One namespace on the server. Async; safe for several calls at once.

    Raises ``Unavailable`` (server away, asked to wait: try later), ``Refused`` (with the
    server's code), ``Corrupt`` (bytes did not match their name).
    """

    namespace_id: NamespaceId

    async def ask(self, block_ids: Sequence[BlockId], *, verify: bool = False) -> list[BlockId]:
        """Returns those the server lacks, in order, each once.

        With ``verify`` it reads back those it has, at most ``limits.VERIFIED_BYTES_MAX``; what
        is damaged there it lacks.
        """
        ...

    async def put_blocks(self, batches: AsyncIterator[Sequence[Frame]]) -> int:
        """Sends one bundle as it is made; returns how many blocks were taken.

        If it raises, some of them may be held all the same: ask before sending again.
        """
        ...

    def fetch_blocks(
        self,
        wanted: Sequence[tuple[BlockId, BlockId | None]],
        find_base: Callable[[BlockId], Buffer | None],
        *,
        length_bytes: int = 0,
    ) -> AsyncIterator[list[FetchedBlock]]:
        """Yields the wanted blocks, a few MiB at a time, as they come: in order, unless
        ``length_bytes`` tells how long they are together, about. Much may then come by several
        ways at once.

        With each goes a base that the server may use, whose bytes ``find_base`` gives when
        they are needed (from another thread). Raises ``Unavailable`` if the rest does not
        come; what was yielded is whole. A block that arrived damaged is verified by the server
        when it is wanted again, so that damage on its disk is told from damage on the way.
        """
        ...

    async def fetch_outlines(self, block_ids: Sequence[BlockId]) -> list[bytes]:
        """Returns one outline per block, in order; empty for those the namespace does not hold."""
        ...

    async def commit(
        self, changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        """Commits changes; repeated with the same key it changes nothing more.

        All are refused (``history-rewound``) if the cursor cannot be gone on from because the
        journal was put back to an earlier state since.
        """
        ...

    async def read_changes(self, cursor: str, under: FileId | None) -> RemotePage:
        """Returns a page of what changed since the cursor (`""`: everything)."""
        ...

    async def list_below(self, folder_id: FileId, after: str) -> tuple[list[StoredEntry], str]:
        """Returns a page of all that lives below a folder, and where to go on (`""`: end)."""
        ...

    def listen(self) -> AsyncIterator[Seq]:
        """Yields heads as the bell rings (WebSocket, else long poll), reconnecting for ever
        with jittered delays; yields 0 after each reconnection: something may be missed.
        """
        ...

    def link_bytes_per_s(self) -> float:
        """Returns how fast bundles were sent of late, as far as the link held them up; 0 as
        long as nothing is known.
        """
        ...

    def silent_s(self) -> float:
        """Returns the seconds since the server last gave a sign of life: an answer, or a bell that
        is open (0 then; a server that is gone without a word is noticed within two minutes).
        Infinite if it never did.
        """
        ...

    def traffic(self) -> Traffic:
        """Returns what went over the wire so far."""
        ...

    async def close(self) -> None:
        """Ends all connections and files. Idempotent."""
        ...
