# SPDX-License-Identifier: Apache-2.0
"""HttpRemote: the ``Remote`` port over HTTP, and the questions about single entries."""

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple

from drystone.client.adapters.remote_http.bell import Bell
from drystone.client.adapters.remote_http.bundles import (
    BundleDecoder,
    Doubts,
    Source,
    encode_bundle,
)
from drystone.client.adapters.remote_http.direct import DirectTransfer
from drystone.client.adapters.remote_http.session import HttpSession, not_drystone
from drystone.client.ports import CommitResult, FetchedBlock, RemotePage, Traffic
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.errors import DrystoneError
from drystone.core.ids import BlockId, FileId, NamespaceId, Seq, format_id
from drystone.core.journal.change import Change, Commit
from drystone.core.journal.record import StoredEntry
from drystone.core.limits import DIRECT_BYTES_MIN
from drystone.wire.block_lists import decode_missing, join_bases, join_ids
from drystone.wire.bundle import MEDIA_TYPE
from drystone.wire.changes import commit_to_wire, outcome_from_wire
from drystone.wire.codec import JSON_MEDIA_TYPE, encode_body
from drystone.wire.entries import stored_from_wire
from drystone.wire.messages import (
    Ask,
    AskAnswer,
    ChangesPage,
    CommitAnswer,
    Fetch,
    Listing,
    OutlineAnswer,
    OutlineAsk,
    PutAnswer,
    RevisionLine,
    Revisions,
)
from drystone.wire.version import IDEMPOTENCY_HEADER

_OUTLINES_PER_REQUEST: Final = 1_000
_LINK_BYTES_MIN: Final = 4 << 20
"""Less than this says more about buffers than about the link."""
_LINK_BYTES_MAX: Final = 64 << 20


class TrashLine(NamedTuple):
    """What was deleted, when, and from which folder; 0 and ``""`` where that is not known."""

    stored: StoredEntry
    at_ns: int
    folder: str


class HttpRemote:
    """See ``client.ports.Remote``.

    Args:
        session: To the server; closed by ``close``.
        namespace_id: The namespace all requests are about.
        executor: Where blocks are decoded; None: the loop's own threads.
        is_direct: Large blocks may go straight to the server's object store, if it offers that.
        tell: Is told, in a sentence, if that does not work from here.
    """

    def __init__(
        self,
        session: HttpSession,
        namespace_id: NamespaceId,
        executor: Executor | None = None,
        *,
        is_direct: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.namespace_id = namespace_id
        self.session = session
        self._executor = executor
        self._doubts = Doubts()
        self._cursor = ""
        self._link_bytes = 0
        self._link_s = 0.0
        self._path = f"/v1/namespaces/{format_id(namespace_id)}"
        self._direct = (
            DirectTransfer(session, namespace_id, executor, tell, self._note_link)
            if is_direct
            else None
        )

    # --- blocks ------------------------------------------------------------------------------

    async def ask(self, block_ids: Sequence[BlockId], *, verify: bool = False) -> list[BlockId]:
        message = Ask(self.namespace_id, join_ids(block_ids), verify)
        answer = await self.session.post(AskAnswer, "/v1/blocks/ask", message)
        return decode_missing(block_ids, answer.missing)

    async def put_blocks(self, batches: AsyncIterator[Sequence[Frame]]) -> int:
        if self._direct is None or not self._direct.is_usable:
            return await self._relay(batches)

        async def relay(frames: Sequence[Frame]) -> int:
            return await self._relay(_iter_once(frames))

        return await self._direct.put(batches, relay)

    async def fetch_blocks(
        self,
        wanted: Sequence[tuple[BlockId, BlockId | None]],
        find_base: Callable[[BlockId], Buffer | None],
        *,
        length_bytes: int = 0,
    ) -> AsyncIterator[list[FetchedBlock]]:
        rest = wanted
        if self._direct and self._direct.is_usable and length_bytes >= DIRECT_BYTES_MIN:
            doubted = self._doubts.pick([block_id for block_id, _ in wanted])
            whole = [name for name, base in wanted if base is None and name not in doubted]
            came: set[BlockId] = set()
            async for group in self._direct.iter_blocks(whole) if whole else _iter_nothing():
                came.update(name for name, _ in group)
                yield group
            rest = [(name, base) for name, base in wanted if name not in came]
        if rest:
            async for group in self._fetch_relayed(rest, find_base):
                yield group

    async def _relay(self, batches: AsyncIterator[Sequence[Frame]]) -> int:
        def count(length: int, taken_s: float) -> None:
            self.session.count(sent_bytes=length)
            self._note_link(length, taken_s)

        source = Source(batches)
        try:
            async with self.session.request(
                "PUT",
                "/v1/blocks",
                query={"namespace": format_id(self.namespace_id)},
                body=encode_bundle(source.iter_batches(), count),
                headers={"Content-Type": MEDIA_TYPE},
            ) as response:
                answer = await self.session.read_message(PutAnswer, response)
        except DrystoneError:
            if source.error is not None:
                raise source.error from None
            raise
        return answer.blocks

    async def _fetch_relayed(
        self,
        wanted: Sequence[tuple[BlockId, BlockId | None]],
        find_base: Callable[[BlockId], Buffer | None],
    ) -> AsyncIterator[list[FetchedBlock]]:
        def count(length: int) -> None:
            self.session.count(received_bytes=length)

        block_ids = [block_id for block_id, _ in wanted]
        message = Fetch(
            self.namespace_id,
            join_ids(block_ids),
            join_bases([base for _, base in wanted]),
            join_ids(self._doubts.pick(block_ids)),
        )
        body, encoding = encode_body(message, accept_zstd=False)
        headers = {"Content-Type": JSON_MEDIA_TYPE}
        if encoding:
            headers["Content-Encoding"] = encoding
        decoder = BundleDecoder(block_ids, find_base)
        async with self.session.request(
            "POST", "/v1/blocks/fetch", body=body, headers=headers
        ) as response:
            if not response.headers.get("Content-Type", "").startswith(MEDIA_TYPE):
                raise not_drystone(self.session.url)
            async for group in decoder.iter_groups(response.content, self._executor, count):
                self._doubts.note(group)
                yield group

    async def fetch_outlines(self, block_ids: Sequence[BlockId]) -> list[bytes]:
        outlines: list[bytes] = []
        for start in range(0, len(block_ids), _OUTLINES_PER_REQUEST):
            part = block_ids[start : start + _OUTLINES_PER_REQUEST]
            message = OutlineAsk(self.namespace_id, join_ids(part))
            answer = await self.session.post(OutlineAnswer, "/v1/blocks/outline", message)
            if len(answer.outlines) != len(part):
                raise not_drystone(self.session.url)
            outlines += answer.outlines
        return outlines

    # --- the tree ----------------------------------------------------------------------------

    async def commit(
        self, changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        message = commit_to_wire(Commit(tuple(changes), seen_seq), cursor)
        answer = await self.session.post(
            CommitAnswer, f"{self._path}/commits", message, {IDEMPOTENCY_HEADER: key}
        )
        if len(answer.outcomes) != len(changes):
            raise not_drystone(self.session.url)
        outcomes = [
            outcome_from_wire(outcome, change)
            for outcome, change in zip(answer.outcomes, changes, strict=True)
        ]
        return CommitResult(Seq(answer.head_before), Seq(answer.head), answer.cursor, outcomes)

    async def read_changes(self, cursor: str, under: FileId | None) -> RemotePage:
        query = {"namespace": format_id(self.namespace_id)}
        if cursor:
            query["cursor"] = cursor
        if under is not None:
            query["under"] = format_id(under)
        page = await self.session.get(ChangesPage, "/v1/changes", query)
        self._cursor = page.cursor
        return RemotePage(
            [stored_from_wire(entry) for entry in page.entries],
            [FileId(gone) for gone in page.gone],
            page.cursor,
            Seq(page.head),
            page.has_more,
            page.reset,
            None if page.rewound_to is None else Seq(page.rewound_to),
        )

    async def list_below(self, folder_id: FileId, after: str) -> tuple[list[StoredEntry], str]:
        return await self._list({"below": format_id(folder_id), "after": after})

    def listen(self) -> AsyncIterator[Seq]:
        return Bell(self.session, self.namespace_id, lambda: self._cursor).listen()

    # --- single entries (browsing) -----------------------------------------------------------

    async def find_entry(self, path: str) -> StoredEntry:
        """Returns the living entry at a remote path; ``Refused`` if there is none."""
        entries, _ = await self._list({"path": path})
        if not entries:
            raise not_drystone(self.session.url)
        return entries[0]

    async def find_head(self) -> Seq:
        """Returns the namespace's head. Cost: one small request."""
        path = f"{self._path}/deleted"
        return Seq((await self.session.get(Listing, path, {"after": "1"})).head)

    async def list_folder(self, folder_id: FileId) -> list[StoredEntry]:
        """Returns all entries of a folder, by name."""
        found: list[StoredEntry] = []
        after = ""
        while True:
            page, after = await self._list({"parent": format_id(folder_id), "after": after})
            found += page
            if not after:
                return found
            if not page:
                # It would lead us on for ever.
                raise not_drystone(self.session.url)

    async def list_deleted(self, after: str) -> tuple[list[StoredEntry], str]:
        """Returns a page of what was deleted, newest first, and where to go on."""
        listing = await self.session.get(Listing, f"{self._path}/deleted", {"after": after})
        return [stored_from_wire(entry) for entry in listing.entries], listing.next

    async def list_trash(self, after: str) -> tuple[list[TrashLine], str]:
        """As ``list_deleted``, with when and where each was deleted."""
        listing = await self.session.get(Listing, f"{self._path}/deleted", {"after": after})
        # A server of an earlier version tells neither.
        times_ns = listing.times_ns or [0] * len(listing.entries)
        folders = listing.folders or [""] * len(listing.entries)
        if not len(listing.entries) == len(times_ns) == len(folders):
            raise not_drystone(self.session.url)
        entries = map(stored_from_wire, listing.entries)
        return list(map(TrashLine, entries, times_ns, folders)), listing.next

    async def list_revisions(self, file_id: FileId) -> list[tuple[StoredEntry, RevisionLine]]:
        """Returns an entry's records, newest first, each with who and when."""
        found = await self.session.get(
            Revisions, f"{self._path}/entries/{format_id(file_id)}/revisions"
        )
        return [(stored_from_wire(line.entry), line) for line in found.revisions]

    # --- others ------------------------------------------------------------------------------

    def link_bytes_per_s(self) -> float:
        return self._link_bytes / self._link_s if self._link_bytes >= _LINK_BYTES_MIN else 0.0

    def silent_s(self) -> float:
        return self.session.silent_s()

    def traffic(self) -> Traffic:
        return self.session.traffic()

    async def close(self) -> None:
        if self._direct is not None:
            await self._direct.close()
        await self.session.close()

    def _note_link(self, length: int, taken_s: float) -> None:
        # Halved now and then, so that the last few dozen MiB count.
        if self._link_bytes > _LINK_BYTES_MAX:
            self._link_bytes //= 2
            self._link_s /= 2
        self._link_bytes += length
        self._link_s += taken_s + 1e-6

    async def _list(self, query: dict[str, str]) -> tuple[list[StoredEntry], str]:
        told = {key: value for key, value in query.items() if value}
        listing = await self.session.get(Listing, f"{self._path}/entries", told)
        return [stored_from_wire(entry) for entry in listing.entries], listing.next


async def _iter_once(frames: Sequence[Frame]) -> AsyncIterator[Sequence[Frame]]:
    yield frames


async def _iter_nothing() -> AsyncIterator[list[FetchedBlock]]:
    for nothing in list[list[FetchedBlock]]():
        yield nothing
