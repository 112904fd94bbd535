# SPDX-License-Identifier: Apache-2.0
"""RemoteBelow: a folder of a namespace, seen as if it were the whole namespace."""

from collections.abc import AsyncIterator, Callable, Sequence

from drystone.client.ports import CommitResult, FetchedBlock, Remote, RemotePage, Traffic
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer
from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, BlockId, FileId, Seq
from drystone.core.journal.change import Accepted, Change, Create, Move, Outcome, Restore
from drystone.core.journal.record import StoredEntry


class RemoteFolderGone(Refused):
    """The remote folder that is mirrored was deleted. Nothing here was taken for deleted."""

    code = "remote-folder-gone"


class RemoteBelow:
    """Says ``ROOT_ID`` for one folder, both ways, and asks only for what is below it.

    Args:
        remote: The whole namespace; closed by ``close``.
        folder_id: The folder.
        path: Of the folder when it was chosen, for people.
    """

    def __init__(self, remote: Remote, folder_id: FileId, path: str) -> None:
        self.namespace_id = remote.namespace_id
        self._remote = remote
        self._folder_id = folder_id
        self._path = path

    async def ask(self, block_ids: Sequence[BlockId], *, verify: bool = False) -> list[BlockId]:
        return await self._remote.ask(block_ids, verify=verify)

    async def put_blocks(self, batches: AsyncIterator[Sequence[Frame]]) -> int:
        return await self._remote.put_blocks(batches)

    def fetch_blocks(
        self,
        wanted: Sequence[tuple[BlockId, BlockId | None]],
        find_base: Callable[[BlockId], Buffer | None],
        *,
        length_bytes: int = 0,
    ) -> AsyncIterator[list[FetchedBlock]]:
        return self._remote.fetch_blocks(wanted, find_base, length_bytes=length_bytes)

    async def fetch_outlines(self, block_ids: Sequence[BlockId]) -> list[bytes]:
        return await self._remote.fetch_outlines(block_ids)

    async def commit(
        self, changes: Sequence[Change], seen_seq: Seq, key: str, cursor: str = ""
    ) -> CommitResult:
        outwards = [self._outwards(change) for change in changes]
        result = await self._remote.commit(outwards, seen_seq, key, cursor)
        return result._replace(outcomes=[self._outcome_inwards(o) for o in result.outcomes])

    async def read_changes(self, cursor: str, under: FileId | None) -> RemotePage:
        page = await self._remote.read_changes(cursor, under or self._folder_id)
        if self._folder_id in page.gone:
            await self._check_alive()
        gone = [file_id for file_id in page.gone if file_id != self._folder_id]
        return page._replace(entries=self._inwards(page.entries), gone=gone)

    async def list_below(self, folder_id: FileId, after: str) -> tuple[list[StoredEntry], str]:
        wanted = self._folder_id if folder_id == ROOT_ID else folder_id
        entries, after = await self._remote.list_below(wanted, after)
        return self._inwards(entries), after

    def listen(self) -> AsyncIterator[Seq]:
        return self._remote.listen()

    def link_bytes_per_s(self) -> float:
        return self._remote.link_bytes_per_s()

    def silent_s(self) -> float:
        return self._remote.silent_s()

    def traffic(self) -> Traffic:
        return self._remote.traffic()

    async def close(self) -> None:
        await self._remote.close()

    async def _check_alive(self) -> None:
        """The folder itself changed: renamed or moved is fine, deleted is not."""
        try:
            await self._remote.list_below(self._folder_id, "")
        except Refused as error:
            raise RemoteFolderGone(
                f"the remote folder {self._path} was deleted; nothing here was taken for deleted",
                advice="Restore it on the server, or sync with another folder.",
            ) from error

    def _inwards(self, entries: Sequence[StoredEntry]) -> list[StoredEntry]:
        folder_id = self._folder_id
        return [
            stored
            if stored.entry.parent_id != folder_id
            else stored._replace(entry=stored.entry._replace(parent_id=ROOT_ID))
            for stored in entries
            if stored.entry.file_id != folder_id
        ]

    def _outcome_inwards(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Accepted) and outcome.entry.parent_id == self._folder_id:
            return outcome._replace(entry=outcome.entry._replace(parent_id=ROOT_ID))
        return outcome

    def _outwards(self, change: Change) -> Change:
        match change:
            case Create(entry) if entry.parent_id == ROOT_ID:
                return change._replace(entry=entry._replace(parent_id=self._folder_id))
            case Move():
                return change._replace(
                    parent_id=self._out(change.parent_id),
                    base_parent_id=self._out(change.base_parent_id),
                )
            case Restore(parent_id=parent_id) if parent_id == ROOT_ID:
                return change._replace(parent_id=self._folder_id)
            case _:
                return change

    def _out(self, folder_id: FileId) -> FileId:
        return self._folder_id if folder_id == ROOT_ID else folder_id
