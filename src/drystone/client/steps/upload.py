# SPDX-License-Identifier: Apache-2.0
"""Upload: what a commit will refer to is at the server before the commit.

A batch of files goes through two calls:

    outgoing = upload.prepare(steps, held)     # State: who, where, and what it replaces
    failures = await upload.send(outgoing)     # disk and server

``send`` asks which blocks the server lacks and sends those, in bundles encoded by threads
while the one before is on its way. A block that replaces another one the server holds is
sent as a patch against it; the new manifest of a changed file as a delta against the old.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple

from drystone.client.ports import ChangedMeanwhile, Disk, DiskProblem, ReadFile, Remote, State
from drystone.core.content.assembly import pick_bases
from drystone.core.content.chunk import Chunk
from drystone.core.content.coding import (
    FAST,
    RAW_ONLY,
    BlockEncoder,
    CompressionPolicy,
    choose_policy,
    encode_delta,
)
from drystone.core.content.content import Content
from drystone.core.content.frame import Frame
from drystone.core.content.hashing import Buffer, block_id
from drystone.core.content.manifest import chunks_of, decode_manifest
from drystone.core.content.patch import make_patch
from drystone.core.errors import Corrupt, DrystoneError, Refused, Unavailable
from drystone.core.ids import BlockId, FileId
from drystone.core.journal.change import Create, Edit
from drystone.core.limits import ASK_BLOCKS_MAX, BLOCK_BYTES_MAX
from drystone.core.names.quoting import quoted
from drystone.core.planning.plan import Submit
from drystone.core.tree.entry import Entry

_BUNDLE_BYTES: Final = 80 * 1024 * 1024
"""Plain bytes of one bundle: what a broken connection can cost at most."""
_BUNDLE_BLOCKS: Final = 8_192
_BUNDLES_AT_ONCE: Final = 2
"""While the server makes one durable, the next is on its way."""
_GROUP_BYTES: Final = 1024 * 1024
_GROUP_BLOCKS: Final = 256
_GROUPS_AHEAD: Final = 3
_PATCHED_BYTES_MIN: Final = 3_072
"""A shorter block is hardly longer than what would be said to patch it."""
_LINK_BYTES_PER_S_GUESSED: Final = 50e6
"""Until something was sent."""
_UNASKED_BYTES_MAX: Final = 16 * 1024
"""So little is sent without asking: a round trip costs more."""


class Outgoing(NamedTuple):
    """A file whose content the server must have.

    Attributes:
        file_id: Who.
        path: Where its bytes are read again, unless ``data`` has them.
        content: What it holds.
        manifest: The encoding of its manifest if ``content.chunked``; else empty.
        base: What the server has of it so far; None for a new file.
        base_manifest: As ``manifest``, of ``base``; empty if it is not known (any more).
        data: Its bytes, if they are at hand.
    """

    file_id: FileId
    path: str
    content: Content
    manifest: bytes
    base: Content | None
    base_manifest: bytes
    data: bytes | None


class _Source(NamedTuple):
    """Where a block that may have to be sent comes from."""

    block_id: BlockId
    length_bytes: int
    file: Outgoing
    offset_bytes: int
    """In the file; -1: it is the file's manifest."""


class _Patching(NamedTuple):
    """The block that a block replaces, and its outline as the server gave it."""

    base: BlockId
    outline: bytes


class Upload:
    """Brings contents to the server.

    Args:
        disk: Where the bytes are read.
        state: Its trees, for ``prepare``.
        remote: The server.
        executor: Threads for reading and encoding; two keep two cores busy.
        progress: Is told content bytes as they are sent. Called from the loop's thread.
    """

    def __init__(
        self,
        disk: Disk,
        state: State,
        remote: Remote,
        executor: Executor,
        progress: Callable[[int], None],
    ) -> None:
        self._disk = disk
        self._state = state
        self._remote = remote
        self._executor = executor
        self._progress = progress
        self._threads = threading.local()
        self._turns = asyncio.Semaphore(_BUNDLES_AT_ONCE)

    # --- State -------------------------------------------------------------------------------

    def prepare(self, steps: Sequence[Submit], held: Mapping[FileId, bytes]) -> list[Outgoing]:
        """Returns the files among ``steps`` whose contents the server may lack.

        Args:
            steps: Of a plan.
            held: Bytes of files read a moment ago.
        """
        known: dict[FileId, str | None] = {}
        found: list[Outgoing] = []
        for step in steps:
            entry, change = step.entry, step.change
            if entry is None or entry.content is None or not isinstance(change, Create | Edit):
                continue
            outgoing = self._prepare(change, entry, known, held.get(entry.file_id))
            if outgoing is not None:
                found.append(outgoing)
        return found

    # --- disk and server ---------------------------------------------------------------------

    async def send(
        self, files: Sequence[Outgoing], *, ask: bool = True
    ) -> dict[FileId, DrystoneError]:
        """Sends what the server lacks; returns which files could not be sent, and why.

        Args:
            files: As prepared.
            ask: False lets a few small blocks be sent without asking for them.

        Raises:
            Unavailable: The server is away. What it acknowledged it will not ask for again.
            Refused, Corrupt: It does not want the blocks at all.
        """
        sources = _list_sources(files)
        if not sources:
            return {}
        failures: dict[FileId, DrystoneError] = {}
        wanted = list(sources)
        if ask or sum(source.length_bytes for source in sources.values()) > _UNASKED_BYTES_MAX:
            wanted = await self._ask(wanted)
        bases = _find_bases(files, wanted)
        try:
            async with asyncio.TaskGroup() as tasks:
                for bundle in _cut_bundles(sources[name] for name in wanted):
                    tasks.create_task(self._send_bundle(bundle, bases, failures))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return failures

    # --- inside ------------------------------------------------------------------------------

    def _prepare(
        self,
        change: Create | Edit,
        entry: Entry,
        known: dict[FileId, str | None],
        data: bytes | None,
    ) -> Outgoing | None:
        content = entry.content
        if content is None or not content.size_bytes:
            return None
        base: Content | None = None
        if isinstance(change, Edit):
            there = self._state.remote.find(entry.file_id)
            base = None if there is None else there.content
            if content.is_same(base):
                return None
        # On the disk it may have been moved, too: the server is told so only afterwards.
        standing = self._state.local.find(entry.file_id) or entry
        folder_id = standing.parent_id
        if folder_id not in known:
            known[folder_id] = self._state.path_of(self._state.local, folder_id)
        folder = known[folder_id]
        path = f"{folder}/{standing.name}" if folder else standing.name
        return Outgoing(
            entry.file_id, path, content, self._find_manifest(content),
            base, self._find_manifest(base), data,
        )  # fmt: skip

    def _find_manifest(self, content: Content | None) -> bytes:
        if content is None or not content.chunked:
            return b""
        return self._state.find_manifest(content.root) or b""

    async def _ask(self, block_ids: Sequence[BlockId]) -> list[BlockId]:
        missing: list[BlockId] = []
        for start in range(0, len(block_ids), ASK_BLOCKS_MAX):
            missing += await self._remote.ask(block_ids[start : start + ASK_BLOCKS_MAX])
        return missing

    async def _send_bundle(
        self,
        bundle: list[_Source],
        bases: Mapping[BlockId, BlockId],
        failures: dict[FileId, DrystoneError],
    ) -> None:
        async with self._turns:
            patching = await self._find_outlines(bundle, bases)
            try:
                await self._put(bundle, patching, failures, with_deltas=True)
            except (Corrupt, Refused):
                # A short hash may agree by chance, the server may have lost a base, or something
                # on the way damaged a frame: once more, and whole.
                missing = set(await self._ask([source.block_id for source in bundle]))
                rest = [source for source in bundle if source.block_id in missing]
                await self._put(rest, {}, failures, with_deltas=False)

    async def _find_outlines(
        self, bundle: Sequence[_Source], bases: Mapping[BlockId, BlockId]
    ) -> dict[BlockId, _Patching]:
        pairs = [(s.block_id, bases[s.block_id]) for s in bundle if s.block_id in bases]
        if not pairs:
            return {}
        distinct = list(dict.fromkeys(base for _, base in pairs))
        outlines = dict(zip(distinct, await self._remote.fetch_outlines(distinct), strict=True))
        return {name: _Patching(base, outlines[base]) for name, base in pairs if outlines[base]}

    async def _put(
        self,
        bundle: Sequence[_Source],
        patching: Mapping[BlockId, _Patching],
        failures: dict[FileId, DrystoneError],
        *,
        with_deltas: bool,
    ) -> None:
        if not bundle:
            return
        policy = choose_policy(self._remote.link_bytes_per_s() or _LINK_BYTES_PER_S_GUESSED)
        # What is stored is stored for long: at rest a little compression always pays.
        policy = FAST if policy == RAW_ONLY else policy

        def encode(group: Sequence[_Source]) -> list[Frame]:
            return self._encode(group, policy, patching, failures, with_deltas=with_deltas)

        await self._remote.put_blocks(self._iter_frames(bundle, encode))

    async def _iter_frames(
        self, bundle: Sequence[_Source], encode: Callable[[Sequence[_Source]], list[Frame]]
    ) -> AsyncIterator[list[Frame]]:
        """Yields frames while threads make the next ones."""
        loop = asyncio.get_running_loop()
        ahead: deque[tuple[asyncio.Future[list[Frame]], int]] = deque()
        try:
            for group in _cut(bundle, _GROUP_BYTES, _GROUP_BLOCKS):
                length = sum(source.length_bytes for source in group)
                ahead.append((loop.run_in_executor(self._executor, encode, group), length))
                if len(ahead) >= _GROUPS_AHEAD:
                    making, length = ahead.popleft()
                    yield await making
                    self._progress(length)
            while ahead:
                making, length = ahead.popleft()
                yield await making
                self._progress(length)
        finally:
            if ahead:
                await asyncio.wait([making for making, _ in ahead])

    # --- inside, in threads ------------------------------------------------------------------

    def _encode(
        self,
        group: Sequence[_Source],
        policy: CompressionPolicy,
        patching: Mapping[BlockId, _Patching],
        failures: dict[FileId, DrystoneError],
        *,
        with_deltas: bool,
    ) -> list[Frame]:
        encoder = self._encoder(policy)
        frames: list[Frame] = []
        for source, data in self._read(group, failures):
            patch = patching.get(source.block_id)
            frame: Frame | None = None
            if patch is not None:
                frame = make_patch(source.block_id, data, patch.base, patch.outline)
            elif source.offset_bytes < 0 and source.file.base_manifest and with_deltas:
                base = source.file.base
                assert base is not None
                frame = encode_delta(source.block_id, data, base.root, source.file.base_manifest)
            frames.append(encoder.encode(source.block_id, data) if frame is None else frame)
        return frames

    def _encoder(self, policy: CompressionPolicy) -> BlockEncoder:
        encoder: BlockEncoder | None = getattr(self._threads, "encoder", None)
        if encoder is None or encoder.policy != policy:
            encoder = self._threads.encoder = BlockEncoder(policy)
        return encoder

    def _read(
        self, group: Sequence[_Source], failures: dict[FileId, DrystoneError]
    ) -> Iterable[tuple[_Source, Buffer]]:
        """Yields the blocks of a group, verified; those of failed files are left out."""
        start = 0
        while start < len(group):
            file = group[start].file
            end = start + 1
            while end < len(group) and group[end].file is file:
                end += 1
            if file.file_id not in failures:
                try:
                    yield from self._read_file(file, group[start:end])
                except (DiskProblem, Unavailable) as error:
                    failures[file.file_id] = error
            start = end

    def _read_file(
        self, file: Outgoing, sources: Sequence[_Source]
    ) -> Iterable[tuple[_Source, Buffer]]:
        rest = [source for source in sources if source.offset_bytes >= 0]
        yield from ((source, file.manifest) for source in sources if source.offset_bytes < 0)
        if file.data is not None:
            for source in rest:
                start, end = source.offset_bytes, source.offset_bytes + source.length_bytes
                yield source, memoryview(file.data)[start:end]
        elif rest and not file.content.chunked:
            _, data = self._disk.read_small(file.path, BLOCK_BYTES_MAX)
            yield rest[0], _verified(rest[0], data)
        elif rest:
            with self._disk.open_file(file.path) as opened:
                for source in rest:
                    yield source, _verified(source, _read_at(opened, source))


def _list_sources(files: Sequence[Outgoing]) -> dict[BlockId, _Source]:
    """Returns all blocks of files, each once, in the files' order."""
    sources: dict[BlockId, _Source] = {}
    for file in files:
        content = file.content
        if not content.chunked:
            if content.root not in sources:
                sources[content.root] = _Source(content.root, content.size_bytes, file, 0)
            continue
        for offset, length, name in decode_manifest(file.manifest).chunks:
            if name not in sources:
                sources[name] = _Source(name, length, file, offset)
        sources.setdefault(content.root, _Source(content.root, len(file.manifest), file, -1))
    return sources


def _find_bases(files: Sequence[Outgoing], wanted: Sequence[BlockId]) -> dict[BlockId, BlockId]:
    """Returns for new blocks of edited files the old blocks they probably resemble."""
    missing = set(wanted)
    bases: dict[BlockId, BlockId] = {}
    for file in files:
        if file.base is None:
            continue
        new = _chunks_of(file.content, file.manifest)
        picked = pick_bases(new, _chunks_of(file.base, file.base_manifest))
        for _, length, name in new:
            if name in picked and name in missing and length >= _PATCHED_BYTES_MIN:
                bases[name] = picked[name]
    return bases


def _chunks_of(content: Content | None, manifest: bytes) -> tuple[Chunk, ...]:
    if content is None or (content.chunked and not manifest):
        return ()
    return chunks_of(content, decode_manifest(manifest) if content.chunked else None)


def _cut_bundles(sources: Iterable[_Source]) -> list[list[_Source]]:
    return _cut(sources, _BUNDLE_BYTES, _BUNDLE_BLOCKS)


def _cut(sources: Iterable[_Source], bytes_max: int, count_max: int) -> list[list[_Source]]:
    """Cuts a row of blocks into parts; each but the last is as full as it may be."""
    parts: list[list[_Source]] = []
    part: list[_Source] = []
    length = 0
    for source in sources:
        if part and (length + source.length_bytes > bytes_max or len(part) >= count_max):
            parts.append(part)
            part, length = [], 0
        part.append(source)
        length += source.length_bytes
    if part:
        parts.append(part)
    return parts


def _read_at(opened: ReadFile, source: _Source) -> bytearray:
    data = bytearray(source.length_bytes)
    done = 0
    with memoryview(data) as view:
        while done < len(data):
            count = opened.read_into(view[done:], source.offset_bytes + done)
            if not count:
                break
            done += count
    return data


def _verified(source: _Source, data: Buffer) -> Buffer:
    if block_id(data) != source.block_id:
        raise ChangedMeanwhile(
            f"{quoted(source.file.path)} changed while it was being sent",
            advice="nothing to do: it is read again",
        )
    return data
