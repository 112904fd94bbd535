# SPDX-License-Identifier: Apache-2.0
"""Loose files: single files that go to the server, or come from it, without being synced.

Memory is bounded by a few blocks whatever a file's size. A fetched file is built beside its
place and renamed over it once every block is verified.
"""

import os
import stat as modes
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from drystone.client.ports import ChangedMeanwhile, DiskFull, DiskProblem, Remote
from drystone.core.content.chunk import Chunk
from drystone.core.content.coding import encode_block
from drystone.core.content.content import Content
from drystone.core.content.digest import Digest, Digester, new_chunker
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import ContentHasher, block_id
from drystone.core.content.manifest import chunks_of, decode_manifest
from drystone.core.errors import Corrupt
from drystone.core.ids import BlockId
from drystone.core.limits import ASK_BLOCKS_MAX, BUNDLE_BLOCKS_MAX, MIB

_PIECE_BYTES: Final = 8 * MIB
_BUNDLE_BYTES: Final = 256 * MIB
_FETCH_BYTES: Final = 64 * MIB

Progress = Callable[[int], None]
"""Is told how many more content bytes are done."""


class NotARegularFile(DiskProblem):
    """A local path that should be a file is a folder, a device, or nothing."""

    code = "not-a-file"


async def send_file(remote: Remote, path: Path, progress: Progress) -> tuple[Content, int, int]:
    """Brings a file's content to the server; returns it with the file's mode and mtime.

    Raises:
        NotARegularFile: It is no file.
        ChangedMeanwhile: It changed while it was read.
        DiskProblem: It cannot be read.
        Unavailable, Refused: The server is away, or does not want it.
    """
    with _translated(path), path.open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        if not modes.S_ISREG(before.st_mode):
            raise NotARegularFile(f"{path} is not a file", advice="Name a file.")
        digest = _digest(file.fileno())
        await _send_missing(remote, path, file.fileno(), digest, progress)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ChangedMeanwhile(
            f"{path} changed while it was being sent", advice="Try again once it is at rest."
        )
    return digest.content, before.st_mode & 0o777, before.st_mtime_ns


async def fetch_file(
    remote: Remote, content: Content, path: Path, progress: Progress, *, mode: int, mtime_ns: int
) -> None:
    """Puts a content from the server into a local file, whole or not at all.

    Raises:
        Corrupt: The server has lost or damaged a block.
        DiskFull, DiskProblem: It cannot be written; nothing is left behind.
        Unavailable: The server is away.
    """
    chunks = await _fetch_chunks(remote, content)
    with _translated(path):
        descriptor, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                os.truncate(file.fileno(), content.size_bytes)
                for part in _cut(chunks, _FETCH_BYTES):
                    await _fetch_part(remote, part, file.fileno(), progress)
                os.fchmod(file.fileno(), (mode or 0o644) | 0o600)
                os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
                os.fsync(file.fileno())
            os.replace(staged, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(staged)
            raise


def hash_file(path: Path, progress: Progress) -> bytes:
    """Returns the content hash of a file, read wholly; a link is not followed.

    Raises:
        NotARegularFile: It is no file.
        ChangedMeanwhile: It changed while it was read.
        DiskProblem: It cannot be read.
    """
    hasher = ContentHasher()
    with _translated(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            if not modes.S_ISREG(before.st_mode):
                raise NotARegularFile(f"{path} is not a file", advice="Name a file.")
            while piece := os.read(descriptor, _PIECE_BYTES):
                hasher.feed(piece)
                progress(len(piece))
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    stamps = [(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in (before, after)]
    if stamps[0] != stamps[1]:
        raise ChangedMeanwhile(
            f"{path} changed while it was read", advice="Try again once it is at rest."
        )
    return hasher.finish()


def _digest(descriptor: int) -> Digest:
    digester = Digester(new_chunker())
    while piece := os.read(descriptor, _PIECE_BYTES):
        digester.feed(piece)
    return digester.finish()


async def _send_missing(
    remote: Remote, path: Path, descriptor: int, digest: Digest, progress: Progress
) -> None:
    manifest = digest.manifest
    names = list(dict.fromkeys(chunk.block_id for chunk in digest.chunks))
    if manifest is not None:
        names.append(digest.content.root)
    missing: set[BlockId] = set()
    for start in range(0, len(names), ASK_BLOCKS_MAX):
        missing.update(await remote.ask(names[start : start + ASK_BLOCKS_MAX]))
    distinct = {chunk.block_id: chunk for chunk in reversed(digest.chunks)}
    wanted = [chunk for name, chunk in distinct.items() if name in missing]
    wanted.sort()

    async def frames(part: Sequence[Chunk]) -> AsyncIterator[Sequence[Frame]]:
        for chunk in part:
            data = os.pread(descriptor, chunk.length_bytes, chunk.offset_bytes)
            if block_id(data) != chunk.block_id:
                raise ChangedMeanwhile(f"{path} changed while it was being sent")
            yield [encode_block(chunk.block_id, data)]
            progress(chunk.length_bytes)

    async def listing(encoded: bytes) -> AsyncIterator[Sequence[Frame]]:
        yield [encode_block(digest.content.root, encoded)]

    for part in _cut(wanted, _BUNDLE_BYTES):
        await remote.put_blocks(frames(part))
    if manifest is not None and digest.content.root in missing:
        await remote.put_blocks(listing(manifest))
    progress(digest.content.size_bytes - sum(chunk.length_bytes for chunk in wanted))


async def _fetch_chunks(remote: Remote, content: Content) -> Sequence[Chunk]:
    if not content.chunked:
        return chunks_of(content, None)
    found: bytes | Corrupt = b""
    async for blocks in remote.fetch_blocks([(content.root, None)], lambda _: None):
        found = blocks[0][1]
    if isinstance(found, Corrupt):
        raise found
    return chunks_of(content, decode_manifest(found))


async def _fetch_part(
    remote: Remote, part: Sequence[Chunk], descriptor: int, progress: Progress
) -> None:
    places: dict[BlockId, list[Chunk]] = {}
    for chunk in part:
        places.setdefault(chunk.block_id, []).append(chunk)
    wanted: list[tuple[BlockId, BlockId | None]] = [(name, None) for name in places]
    length_bytes = sum(found[0].length_bytes for found in places.values())
    async for blocks in remote.fetch_blocks(wanted, lambda _: None, length_bytes=length_bytes):
        for name, data in blocks:
            if isinstance(data, Corrupt):
                raise data
            for chunk in places[name]:
                os.pwrite(descriptor, data, chunk.offset_bytes)
                progress(chunk.length_bytes)


def _cut(chunks: Sequence[Chunk], bytes_max: int) -> Iterator[list[Chunk]]:
    part: list[Chunk] = []
    length = 0
    for chunk in chunks:
        if part and (length + chunk.length_bytes > bytes_max or len(part) >= BUNDLE_BLOCKS_MAX):
            yield part
            part, length = [], 0
        part.append(chunk)
        length += chunk.length_bytes
    if part:
        yield part


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotARegularFile(
            f"{path}: no such file or folder", advice="Check the path."
        ) from error
    except IsADirectoryError as error:
        raise NotARegularFile(f"{path} is a folder", advice="Name a file.") from error
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"{path}: {error.strerror}; nothing was left behind", advice="Make room."
            ) from error
        raise DiskProblem(f"{path}: {error.strerror}", advice="Check its permissions.") from error


_FULL: Final = {28, 122}
"""ENOSPC and EDQUOT of Linux."""
