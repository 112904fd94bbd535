# SPDX-License-Identifier: Apache-2.0
"""Fetch: the bytes that a plan puts on the disk, from this disk or from the server.

    wanted = fetch.prepare(steps)                    # State: bases, seeds, manifests
    async for group in fetch.iter_small(small):      # disk and server
        ...                                          # whole contents, a few MiB at a time
    manifest = await fetch.build_large(one, build)   # chunk by chunk, into a staged file

A content that stands elsewhere on this disk is copied from there. What must come from the
server comes as a delta against what the disk has at that place, if it has something.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple, Protocol, TypeVar

from drystone.client.ports import Disk, DiskProblem, FetchedBlock, ReadFile, Remote, State
from drystone.core.content.assembly import Fetch as FetchPlan
from drystone.core.content.assembly import Seed, plan_assembly
from drystone.core.content.chunk import Chunk
from drystone.core.content.content import Content
from drystone.core.content.hashing import Buffer, block_id
from drystone.core.content.manifest import Manifest, chunks_of, decode_manifest
from drystone.core.errors import Corrupt, DrystoneError, Unavailable
from drystone.core.ids import BlockId, FileId
from drystone.core.limits import BLOCK_BYTES_MAX
from drystone.core.names.quoting import quoted
from drystone.core.planning.plan import Place, Replace
from drystone.core.tree.entry import Entry

_SEEDED_FILES_MIN: Final = 200
_SEEDED_BYTES_MIN: Final = 4 * 1024 * 1024
"""From here on it pays to look through all synced contents for the wanted ones."""
_BASED_BYTES_MIN: Final = 512
"""A shorter block is not worth a delta."""
_PART_BYTES: Final = 32 * 1024 * 1024
_PART_BLOCKS: Final = 2_000

T = TypeVar("T")


class WrongManifest(Corrupt):
    """A manifest does not describe the content that its entry has."""

    code = "wrong-manifest"


class Wanted(NamedTuple):
    """A file whose bytes are to be put on the disk.

    Attributes:
        step: What asks for them.
        content: The bytes.
        manifest: Its manifest's encoding, if it is chunked and the manifest is at hand.
        base: What the disk has in its place; None: nothing, or nothing useful.
        base_path: Where that is.
        base_manifest: As ``manifest``, of ``base``.
        seed_path: Where on this disk a file with the same content is; empty: nowhere.
    """

    step: Place | Replace
    content: Content
    manifest: bytes
    base: Content | None
    base_path: str
    base_manifest: bytes
    seed_path: str

    @property
    def file_id(self) -> FileId:
        """Of the entry that gets the bytes."""
        return self.step.entry.file_id

    @property
    def is_large(self) -> bool:
        """True if it has several blocks, and is built piece by piece."""
        return self.content.chunked


Got = tuple[Wanted, bytes | DrystoneError]
"""The bytes of a wanted file, or why they cannot be had now."""


class Build(Protocol):
    """A large file being built; see ``materialize.LargeBuild``. For one thread at a time."""

    def find_held(self, chunks: Sequence[Chunk]) -> set[BlockId]:
        """Returns the blocks that are in their places already, verified."""
        ...

    def write(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Writes a block whose bytes were verified already."""
        ...

    def copy(self, chunk: Chunk, seed: ReadFile, seed_offset_bytes: int) -> None:
        """Copies a chunk's block out of a local file, verified; raises ``Corrupt``."""
        ...


class Fetch:
    """Gets bytes.

    Args:
        disk: Where seeds and bases are read.
        state: Its trees, for ``prepare``.
        remote: The server.
        executor: Threads for reading and writing.
        progress: Is told content bytes as they come. Called from the loop's thread.
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

    # --- State -------------------------------------------------------------------------------

    def prepare(self, steps: Iterable[Place | Replace]) -> list[Wanted]:
        """Returns the files among ``steps`` that need bytes from somewhere."""
        wanted = [_prepare(self._state, step) for step in steps if needs_bytes(step)]
        total_bytes = sum(one.content.size_bytes for one in wanted)
        if len(wanted) < _SEEDED_FILES_MIN and total_bytes < _SEEDED_BYTES_MIN:
            return wanted
        rows = self._state.find_by_roots({one.content.root for one in wanted})
        if not rows:
            return wanted
        return [_with_seed(self._state, one, rows[one.content.root].entry)
                if one.content.root in rows else one for one in wanted]  # fmt: skip

    # --- disk and server ---------------------------------------------------------------------

    async def iter_small(self, wanted: Sequence[Wanted]) -> AsyncIterator[list[Got]]:
        """Yields the bytes of files of one block each, or why they cannot be had.

        Args:
            wanted: At most as many as one request may ask for.

        Raises:
            Unavailable: The server is away; what was yielded is whole.
        """
        by_root: dict[BlockId, list[Wanted]] = {}
        for one in wanted:
            by_root.setdefault(one.content.root, []).append(one)
        loop = asyncio.get_running_loop()
        seeded = [files for files in by_root.values() if files[0].seed_path]
        for part in _cut(seeded, lambda files: files[0].content.size_bytes):
            found = await loop.run_in_executor(self._executor, self._read_seeds, part)
            for root in found:
                del by_root[root]
            yield _deal(part, list(found.items()))
        async for group in self._fetch_small(by_root):
            yield group

    async def build_large(self, wanted: Wanted, build: Build) -> bytes:
        """Builds one large file; returns its manifest's encoding, which is worth keeping.

        Raises:
            Corrupt: A block or the manifest cannot be had as it should be.
            Unavailable: The server is away, also after a few tries.
            DiskFull: There is no room for it.
        """
        encoded = wanted.manifest or await self._fetch_manifest(wanted)
        manifest = _checked_manifest(wanted, encoded)
        loop = asyncio.get_running_loop()
        held = await loop.run_in_executor(self._executor, build.find_held, manifest.chunks)
        chunks = [chunk for chunk in manifest.chunks if chunk.block_id not in held]
        old = _old_chunks(wanted)
        seeds = {
            chunk.block_id: Seed(wanted.base_path, chunk.offset_bytes) for chunk in reversed(old)
        }
        if wanted.seed_path:
            for chunk in chunks:
                seeds[chunk.block_id] = Seed(wanted.seed_path, chunk.offset_bytes)
        lied = await loop.run_in_executor(self._executor, self._copy, chunks, seeds, build)
        for name in lied:
            del seeds[name]
        assembly = plan_assembly(chunks, seeds, old)
        bases = {chunk.block_id: (wanted.base_path, chunk) for chunk in old}
        for part in _cut(assembly.fetches, lambda fetch: fetch.length_bytes):
            await self._fetch_part(part, bases, build)
        return encoded

    # --- inside: small files -----------------------------------------------------------------

    async def _fetch_small(self, by_root: dict[BlockId, list[Wanted]]) -> AsyncIterator[list[Got]]:
        bases: dict[BlockId, tuple[str, Chunk]] = {}
        ask: list[tuple[BlockId, BlockId | None]] = []
        for root, files in by_root.items():
            old = _old_chunks(files[0])
            base = old[0].block_id if len(old) == 1 else None
            if base is not None:
                bases[base] = (files[0].base_path, old[0])
            ask.append((root, base))
        again: list[tuple[BlockId, BlockId | None]] = []
        has_base = {root for root, base in ask if base is not None}
        length = sum(by_root[root][0].content.size_bytes for root, base in ask if base is None)
        async for blocks in self._fetch(ask, bases, length):
            kept: list[FetchedBlock] = []
            for root, found in blocks:
                # The base may have changed on the disk, so that the delta does not fit.
                if isinstance(found, Corrupt) and root in has_base:
                    again.append((root, None))
                else:
                    kept.append((root, found))
            yield _deal_blocks(by_root, kept)
        if again:
            async for blocks in self._fetch(again, {}, 0):
                yield _deal_blocks(by_root, blocks)

    async def _fetch(
        self,
        ask: Sequence[tuple[BlockId, BlockId | None]],
        bases: dict[BlockId, tuple[str, Chunk]],
        length_bytes: int,
    ) -> AsyncIterator[list[FetchedBlock]]:
        """Fetches blocks; ``length_bytes`` tells how long those without a base are together."""
        if not ask:
            return

        def find_base(name: BlockId) -> Buffer | None:
            return self._read_base(bases, name)

        async for blocks in self._remote.fetch_blocks(ask, find_base, length_bytes=length_bytes):
            self._progress(sum(len(found) for _, found in blocks if isinstance(found, bytes)))
            yield blocks

    def _read_seeds(self, part: Sequence[list[Wanted]]) -> dict[BlockId, bytes]:
        """Returns the contents that could be read from this disk, verified."""
        found: dict[BlockId, bytes] = {}
        for files in part:
            root = files[0].content.root
            try:
                _, data = self._disk.read_small(files[0].seed_path, BLOCK_BYTES_MAX)
            except (DiskProblem, Unavailable):
                continue
            if block_id(data) == root:
                found[root] = data
        return found

    # --- inside: large files -----------------------------------------------------------------

    async def _fetch_manifest(self, wanted: Wanted) -> bytes:
        base = wanted.base.root if wanted.base is not None and wanted.base_manifest else None
        for ask in ([(wanted.content.root, base)], [(wanted.content.root, None)]):
            async for blocks in self._remote.fetch_blocks(ask, lambda _: wanted.base_manifest):
                for _, found in blocks:
                    if isinstance(found, bytes):
                        return found
        raise WrongManifest(
            f"the manifest of {quoted(wanted.step.entry.name)} cannot be had from the server",
            advice="On a device that has the file run drystone doctor --repair, or have the"
            " server's operator bring its storage back from a backup.",
        )

    def _copy(
        self, chunks: Sequence[Chunk], seeds: dict[BlockId, Seed[str]], build: Build
    ) -> set[BlockId]:
        """Copies what this disk has; returns the blocks that were not where they should be."""
        lied: set[BlockId] = set()
        by_source: dict[str, list[Chunk]] = {}
        for chunk in chunks:
            if chunk.block_id in seeds:
                by_source.setdefault(seeds[chunk.block_id].source, []).append(chunk)
        for source, copied in by_source.items():
            try:
                with self._disk.open_file(source) as opened:
                    for chunk in copied:
                        try:
                            build.copy(chunk, opened, seeds[chunk.block_id].offset_bytes)
                        except Corrupt:
                            lied.add(chunk.block_id)
            except DiskProblem:
                lied.update(chunk.block_id for chunk in copied)
        return lied

    async def _fetch_part(
        self, part: Sequence[FetchPlan], bases: dict[BlockId, tuple[str, Chunk]], build: Build
    ) -> None:
        """Fetches blocks and writes them; those whose delta did not fit once more, whole."""
        rest = {fetch.block_id: fetch for fetch in part}
        ask = [(fetch.block_id, fetch.base) for fetch in part]
        if await self._fetch_and_write(ask, rest, bases, build) is None:
            return
        again = [(name, None) for name in rest]
        trouble = await self._fetch_and_write(again, rest, {}, build)
        if trouble is not None:
            raise trouble

    async def _fetch_and_write(
        self,
        ask: Sequence[tuple[BlockId, BlockId | None]],
        rest: dict[BlockId, FetchPlan],
        bases: dict[BlockId, tuple[str, Chunk]],
        build: Build,
    ) -> Corrupt | None:
        """Takes what comes out of ``rest``; returns why some did not come."""
        loop = asyncio.get_running_loop()
        trouble: Corrupt | None = None
        length = sum(rest[name].length_bytes for name, base in ask if base is None)
        async for blocks in self._fetch(ask, bases, length):
            whole: list[tuple[FetchPlan, bytes]] = []
            for name, found in blocks:
                if isinstance(found, bytes):
                    whole.append((rest[name], found))
                else:
                    trouble = found
            await loop.run_in_executor(self._executor, _write_all, whole, build)
            for fetch, _ in whole:
                del rest[fetch.block_id]
        return trouble

    def _read_base(self, bases: dict[BlockId, tuple[str, Chunk]], name: BlockId) -> bytes | None:
        """Returns the block of a local file, or None if it is no longer there."""
        if name not in bases:
            return None
        path, chunk = bases[name]
        data = bytearray(chunk.length_bytes)
        done = 0
        try:
            with self._disk.open_file(path) as opened, memoryview(data) as view:
                while done < len(data):
                    count = opened.read_into(view[done:], chunk.offset_bytes + done)
                    if not count:
                        return None
                    done += count
        except (DiskProblem, Unavailable):
            return None
        return bytes(data) if block_id(data) == name else None


def needs_bytes(step: Place | Replace) -> bool:
    """Tells whether a step puts bytes on the disk that are not there yet."""
    content = step.entry.content
    if content is None or not content.size_bytes:
        return False
    return isinstance(step, Place) or not content.is_same(step.before.content)


def _prepare(state: State, step: Place | Replace) -> Wanted:
    content = step.entry.content
    assert content is not None
    base: Content | None = None
    base_path = ""
    if isinstance(step, Replace) and step.before.content is not None:
        found = state.path_of(state.local, step.before.file_id)
        if found is not None and step.before.content.size_bytes >= _BASED_BYTES_MIN:
            base, base_path = step.before.content, found
    return Wanted(
        step, content, _find_manifest(state, content),
        base, base_path, _find_manifest(state, base), "",
    )  # fmt: skip


def _find_manifest(state: State, content: Content | None) -> bytes:
    if content is None or not content.chunked:
        return b""
    return state.find_manifest(content.root) or b""


def _with_seed(state: State, wanted: Wanted, seed: Entry) -> Wanted:
    if seed.file_id in state.local_changes or seed.file_id == wanted.file_id:
        return wanted
    path = state.path_of(state.local, seed.file_id)
    return wanted if path is None else wanted._replace(seed_path=path)


def _deal_blocks(by_root: dict[BlockId, list[Wanted]], blocks: Sequence[FetchedBlock]) -> list[Got]:
    return [(one, found) for root, found in blocks for one in by_root[root]]


def _deal(part: Sequence[list[Wanted]], found: Sequence[tuple[BlockId, bytes]]) -> list[Got]:
    files = {one[0].content.root: one for one in part}
    return [(one, data) for root, data in found for one in files[root]]


def _checked_manifest(wanted: Wanted, encoded: bytes) -> Manifest:
    manifest = decode_manifest(encoded)
    if manifest.content(encoded) != wanted.content:
        raise WrongManifest(
            f"the manifest of {quoted(wanted.step.entry.name)} describes another content",
            advice="Ask the server's operator to scrub its storage.",
        )
    return manifest


def _old_chunks(wanted: Wanted) -> tuple[Chunk, ...]:
    """Returns the chunks of what the disk has in the file's place, if they are known."""
    base = wanted.base
    if base is None or (base.chunked and not wanted.base_manifest):
        return ()
    return chunks_of(base, decode_manifest(wanted.base_manifest) if base.chunked else None)


def _write_all(blocks: Sequence[tuple[FetchPlan, bytes]], build: Build) -> None:
    for fetch, data in blocks:
        for offset in fetch.offsets_bytes:
            build.write(offset, data)


def _cut(items: Iterable[T], length_of: Callable[[T], int]) -> list[list[T]]:
    """Cuts a row into parts of at most so many bytes and blocks."""
    parts: list[list[T]] = []
    part: list[T] = []
    length = 0
    for item in items:
        if part and (length + length_of(item) > _PART_BYTES or len(part) >= _PART_BLOCKS):
            parts.append(part)
            part, length = [], 0
        part.append(item)
        length += length_of(item)
    if part:
        parts.append(part)
    return parts
