# SPDX-License-Identifier: Apache-2.0
"""Resending: have the server read back what the synced files are made of, and send what it lacks.

    folders = [(ROOT_ID, "")]
    while folders:
        files, below = list_files(state, *folders.pop())   # State
        folders += below
        await resend.check(files)                          # disk and server

For when a server's disk lost something: a device that still has a file is as good as a backup.
Files that differ from what was synced are left out: the next sync sends them anyway.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from drystone.client.ports import Remote, State
from drystone.client.steps.upload import Outgoing, Upload
from drystone.core.content.manifest import chunks_of, decode_manifest
from drystone.core.errors import Corrupt, DrystoneError
from drystone.core.ids import BlockId, FileId
from drystone.core.limits import VERIFIED_BYTES_MAX
from drystone.core.names.quoting import quoted
from drystone.core.tree.entry import Kind

_ASKED_BYTES: Final = VERIFIED_BYTES_MAX // 4
"""What the server reads back for one request: it must answer before it seems to be away."""
_ASKED_BLOCKS: Final = 4_000


def _ignore(_files_count: int, _bytes_count: int) -> None:
    pass


class ManifestUnknown(Corrupt):
    """A large file's manifest is not known on this device, so its blocks are not either."""

    code = "manifest-unknown"


class Unsent(NamedTuple):
    """A file that the server cannot give, and that could not be sent again from here."""

    path: str
    error: DrystoneError


class Resend:
    """Checks files, many in one request.

    Args:
        remote: The server.
        upload: What sends files to it.
        progress: Is told how many files and bytes the server has read back so far.

    Attributes:
        files_count: Files that were looked at.
        blocks_count: Blocks of theirs that the server was asked about.
        lacking_count: Blocks that it lacked, or found to be damaged.
        sent_count: How many of those it has now.
        failures: Files of which it still lacks blocks.
    """

    def __init__(
        self, remote: Remote, upload: Upload, progress: Callable[[int, int], None] = _ignore
    ) -> None:
        self._remote = remote
        self._upload = upload
        self._progress = progress
        self._bytes_count = 0
        self.files_count = self.blocks_count = self.lacking_count = self.sent_count = 0
        self.failures: list[Unsent] = []

    async def check(self, files: Sequence[Outgoing]) -> None:
        """Has the server read files back, and sends what it lacks of them.

        Raises:
            Unavailable: The server is away.
            Refused, Corrupt: It does not want the blocks at all.
        """
        known: list[Outgoing] = []
        for file in files:
            if file.content.chunked and not file.manifest:
                self.failures.append(Unsent(file.path, _unknown(file.path)))
            else:
                known.append(file)
        lacking: set[BlockId] = set()
        lengths = dict(chain.from_iterable(map(_iter_blocks, known)))
        for part in cut_asked(lengths.items()):
            self.blocks_count += len(part)
            lacking.update(await self._remote.ask(part, verify=True))
            self._bytes_count += sum(lengths[name] for name in part)
            self._progress(self.files_count, self._bytes_count)
        self.files_count += len(files)
        self._progress(self.files_count, self._bytes_count)
        if lacking:
            await self._send([file for file in known if not lacking.isdisjoint(_ids_of(file))])
            still = set(await self._remote.ask(list(lacking)))
            self.lacking_count += len(lacking)
            self.sent_count += len(lacking) - len(still)

    async def _send(self, files: Sequence[Outgoing]) -> None:
        failed = await self._upload.send(files)
        paths = {file.file_id: file.path for file in files}
        self.failures += [Unsent(paths[file_id], error) for file_id, error in failed.items()]


def list_files(
    state: State, folder_id: FileId, path: str
) -> tuple[list[Outgoing], list[tuple[FileId, str]]]:
    """Returns the files of a folder that are as they were synced, and the folders in it with
    their paths. Uses State.
    """
    files: list[Outgoing] = []
    folders: list[tuple[FileId, str]] = []
    for name, entry in state.local.children(folder_id).items():
        place = f"{path}/{name}" if path else name
        content = entry.content
        if entry.kind == Kind.FOLDER:
            folders.append((entry.file_id, place))
        elif content is not None and content.root and entry.file_id not in state.local_changes:
            manifest = (state.find_manifest(content.root) or b"") if content.chunked else b""
            files.append(Outgoing(entry.file_id, place, content, manifest, None, b"", None))
    return files, folders


def _iter_blocks(file: Outgoing) -> Iterator[tuple[BlockId, int]]:
    """Yields the blocks of a file with their lengths, its manifest with them."""
    manifest = decode_manifest(file.manifest) if file.content.chunked else None
    for chunk in chunks_of(file.content, manifest):
        yield chunk.block_id, chunk.length_bytes
    if manifest is not None:
        yield file.content.root, len(file.manifest)


def _ids_of(file: Outgoing) -> set[BlockId]:
    return {name for name, _ in _iter_blocks(file)}


def cut_asked(blocks: Iterable[tuple[BlockId, int]]) -> Iterator[list[BlockId]]:
    """Yields blocks, given with their lengths, each once, as many as one request may have read
    back.
    """
    seen: set[BlockId] = set()
    part: list[BlockId] = []
    part_bytes = 0
    for name, length_bytes in blocks:
        if name in seen:
            continue
        seen.add(name)
        if part and (part_bytes + length_bytes > _ASKED_BYTES or len(part) >= _ASKED_BLOCKS):
            yield part
            part, part_bytes = [], 0
        part.append(name)
        part_bytes += length_bytes
    if part:
        yield part


def _unknown(path: str) -> ManifestUnknown:
    return ManifestUnknown(
        f"the blocks of {quoted(path)} are not known on this device",
        advice="Repair from another device that has the file.",
    )
