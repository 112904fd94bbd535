# SPDX-License-Identifier: Apache-2.0
"""Digest: read files that are new or changed, and note what they hold.

    for group in plan_reading(unread).groups:   # small files
        outcomes = digest.read_group(group)     # disk only
        again = digest.note(outcomes)           # State
    for one in plan_reading(unread).large:
        outcome = digest.recall(one) or digest.read_large(one)

Small files are read whole, many in one call, and their bytes are handed out with what they
are, so that sending them needs no second read. Large files are streamed through two buffers;
whoever wants their blocks gets each as it is cut. Holes of sparse files are neither read nor
hashed byte by byte.

A file that changes while it is read is left for later: its local change stays without content,
which nobody plans with. So is a file that was written within a tick of the clock before it was
read: a write that was still going on would not show in its stamps, and half of it be taken for
the whole. The tick is waited out first, so that a file that was just saved is not held up.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import Final, NamedTuple

from drystone.client.ports import (
    ChangedMeanwhile,
    Digested,
    Disk,
    LocalChange,
    NotThere,
    ProblemRow,
    ReadFile,
    Stat,
    State,
    Unread,
)
from drystone.core import limits
from drystone.core.content.chunk import Chunker
from drystone.core.content.content import Content
from drystone.core.content.digest import Digest as ContentDigest
from drystone.core.content.digest import Digester, digest_whole, new_chunker
from drystone.core.content.hashing import block_id, content_hash_of_block_id
from drystone.core.content.noise import looks_like_noise
from drystone.core.errors import DrystoneError, Refused, Unavailable
from drystone.core.ids import BlockId
from drystone.core.names.quoting import quoted
from drystone.core.planning.rewrites import Rewrites

_WHOLE_BYTES_MAX: Final = 8 * limits.MIB
"""Files up to this size are read whole: there are few larger ones among many."""

_GROUP_BYTES_MAX: Final = 16 * limits.MIB
"""Bytes of the files of one group: they stay in memory until they are sent."""

_GROUP_FILES_MAX: Final = 1_000

_BUFFER_BYTES: Final = 8 * limits.MIB
"""Of each of two buffers through which a large file goes."""

_RACY_NS: Final = 20_000_000
"""Longest tick of a clock that stamps files (10 ms at 100 Hz), doubled."""

_RACY_COARSE_NS: Final = 2_000_000_000
"""The same for filesystems that keep whole seconds only (FAT keeps even ones)."""


_READING_CODES: Final = frozenset({"unreadable", "disk-busy", "disk-problem", "file-too-large"})
"""Problems that end when a file could be read."""


class Reading(NamedTuple):
    """How files are read: groups of small ones, and large ones by themselves."""

    groups: list[list[Unread]]
    large: list[Unread]


class Undigested(NamedTuple):
    """A file that could not be read now, and why."""

    unread: Unread
    error: DrystoneError


DigestOutcome = Digested | Undigested

TakeBlock = Callable[[BlockId, memoryview], None]
"""Called with each block of a large file as it is cut, in order; the bytes are lent."""


def plan_reading(files: Iterable[Unread]) -> Reading:
    """Returns files in groups that fit in memory, in order."""
    groups: list[list[Unread]] = []
    large: list[Unread] = []
    group: list[Unread] = []
    group_bytes = 0
    for unread in files:
        size_bytes = unread.stat.size_bytes
        if size_bytes > _WHOLE_BYTES_MAX:
            large.append(unread)
            continue
        if group and (
            group_bytes + size_bytes > _GROUP_BYTES_MAX or len(group) >= _GROUP_FILES_MAX
        ):
            groups.append(group)
            group, group_bytes = [], 0
        group.append(unread)
        group_bytes += size_bytes
    if group:
        groups.append(group)
    return Reading(groups, large)


class Digest:
    """Reads files and notes what they hold.

    Args:
        disk: The synced folder.
        state: Its trees.
        now_ns: The clock that stamps files.
        make_chunker: How the namespace cuts.
        rest: Waits for so many seconds. Called in the thread that reads.
        rewrites: Is told which files look like noise.
    """

    def __init__(
        self,
        disk: Disk,
        state: State,
        now_ns: Callable[[], int],
        make_chunker: Callable[[], Chunker] = new_chunker,
        rest: Callable[[float], None] = time.sleep,
        *,
        rewrites: Rewrites | None = None,
    ) -> None:
        self._disk = disk
        self._state = state
        self._now_ns = now_ns
        self._make_chunker = make_chunker
        self._rest = rest
        self._rewrites = Rewrites() if rewrites is None else rewrites

    # --- disk only ---------------------------------------------------------------------------

    def read_group(self, group: Sequence[Unread]) -> list[DigestOutcome]:
        """Reads files of up to a few MiB; one outcome each, in order.

        Cost: about 20 microseconds per file, and hashing it once (twice above 256 KiB).
        """
        outcomes: list[DigestOutcome] = []
        for folder, files in groupby(group, key=_folder_of):
            outcomes += self._read_folder(folder, list(files))
        return outcomes

    def read_large(self, unread: Unread, take_block: TakeBlock | None = None) -> DigestOutcome:
        """Reads a large file in bounded memory (two buffers and what the chunker carries).

        Args:
            unread: The file.
            take_block: Gets each block as it is cut, so that it can be sent in the same read;
                blocks of holes too. The file may turn out to have changed after that.

        Cost: two threads, each hashing every stored byte once; nearly nothing for holes.
        """
        now_ns = self._wait_out_tick([unread])
        try:
            with self._disk.open_file(unread.path) as file:
                is_noise = unread.is_judged and looks_like_noise(_read_head(file))
                found = _LargeReading(file, self._make_chunker(), take_block).run()
                if not file.is_unchanged():
                    raise ChangedMeanwhile(
                        f"{quoted(unread.path)} was changed while it was read",
                        advice="Nothing to do: it is read again when it stands still.",
                    )
                stat = file.stat
        except (Refused, Unavailable) as error:
            return Undigested(unread, error)
        is_racy = is_racy_at(stat, now_ns)
        manifest = found.manifest or b""
        return Digested(unread, stat, found.content, None, manifest, is_racy, is_noise)

    def judge(self, known: Digested) -> Digested:
        """Says of a large file that was not read again whether it looks like noise.

        Cost: one read of ``limits.NOISE_HEAD_BYTES``.
        """
        if not known.unread.is_judged:
            return known
        try:
            with self._disk.open_file(known.unread.path) as file:
                return known._replace(is_noise=looks_like_noise(_read_head(file)))
        except (Refused, Unavailable):
            return known  # Gone or changed again: the next scan sees it.

    # --- State -------------------------------------------------------------------------------

    def recall(self, unread: Unread) -> Digested | None:
        """Returns what a large file with this very fingerprint was found to hold before."""
        content = self._state.find_digest(unread.stat)
        if content is None:
            return None
        manifest = b""
        if content.chunked:
            kept = self._state.find_manifest(content.root)
            if kept is None:
                return None
            manifest = kept
        return Digested(unread, unread.stat, content, None, manifest, is_racy=False)

    def note(self, outcomes: Sequence[DigestOutcome]) -> frozenset[str]:
        """Notes what files hold: local changes that can be planned, or none where a file turned
        out to hold what synced says; and trouble.

        Returns:
            Folders to be scanned again in a second: files in them changed while they were
            read, or were read so soon after a write that the rest of it might not show.
        """
        again: set[str] = set()
        troubled = {row.path: row for row in self._state.problems()}
        for outcome in outcomes:
            path = outcome.unread.path
            if isinstance(outcome, Undigested):
                if self._note_undigested(outcome, troubled.get(path)):
                    again.add(path.rpartition("/")[0])
                continue
            row = troubled.get(path)
            if row is not None and row.code in _READING_CODES:
                self._state.clear_problem(path)
            if outcome.is_racy:
                again.add(path.rpartition("/")[0])
            else:
                self._note_digested(outcome)
        return frozenset(again)

    # --- inside ------------------------------------------------------------------------------

    def _read_folder(self, folder: str, files: Sequence[Unread]) -> list[DigestOutcome]:
        names = [unread.path.rpartition("/")[2] for unread in files]
        # Before any of them is read: a write just after that must not look like an old one.
        now_ns = self._wait_out_tick(files)
        try:
            found = self._disk.read_many(folder, names, _WHOLE_BYTES_MAX)
        except (Refused, Unavailable) as error:
            return [Undigested(unread, error) for unread in files]
        outcomes: list[DigestOutcome] = []
        for unread, outcome in zip(files, found, strict=True):
            if isinstance(outcome, DrystoneError):
                outcomes.append(Undigested(unread, outcome))
            else:
                outcomes.append(self._digest_whole(unread, outcome[0], outcome[1], now_ns))
        return outcomes

    def _digest_whole(self, unread: Unread, stat: Stat, data: bytes, now_ns: int) -> DigestOutcome:
        is_racy = is_racy_at(stat, now_ns)
        is_noise = unread.is_judged and looks_like_noise(data)
        if 0 < len(data) <= limits.SMALL_FILE_BYTES_MAX:
            root = block_id(data)
            content = Content(len(data), root, False, content_hash_of_block_id(root))  # noqa: FBT003
            return Digested(unread, stat, content, data, b"", is_racy, is_noise)
        try:
            found = digest_whole(data, self._make_chunker())
        except Refused as error:
            return Undigested(unread, error)
        manifest = found.manifest or b""
        return Digested(unread, stat, found.content, data, manifest, is_racy, is_noise)

    def _wait_out_tick(self, files: Sequence[Unread]) -> int:
        """Waits until none of these files, as they were seen, was written within the last tick;
        returns the time then. Cost: nothing, unless a file was written just now.
        """
        now_ns = self._now_ns()
        youngest_ns = max((unread.stat.ctime_ns for unread in files), default=0)
        rest_ns = youngest_ns + _RACY_NS - now_ns
        if 0 < rest_ns <= _RACY_NS:
            self._rest(rest_ns / 1e9)
            now_ns = self._now_ns()
        return now_ns

    def _note_digested(self, digested: Digested) -> None:
        unread, stat, content, _, manifest, is_racy, is_noise = digested
        assert not is_racy, "what may be half of a write is nobody's content"
        state = self._state
        change = state.local_changes.get(unread.file_id)
        if change is None or change.entry is None or change.stat != unread.stat:
            return  # A later scan saw something else there: that is read, not this.
        entry = change.entry._replace(content=content)
        if stat.mtime_ns != unread.stat.mtime_ns:
            entry = entry._replace(mtime_ns=stat.mtime_ns)
        if stat.mode != unread.stat.mode:
            entry = entry._replace(mode=stat.mode)
        row = state.find_synced_row(unread.file_id)
        is_known = row is not None and content.is_same(row.entry.content)
        if unread.is_judged:
            is_new_noise = is_noise and not is_known
            self._rewrites.note_read(unread.file_id, content.content_hash, is_noise=is_new_noise)
        if row is not None and is_known:
            entry = entry._replace(content=row.entry.content)
            if entry.is_at_same_place(row.entry) and entry.is_same_state(row.entry):
                state.settle(unread.file_id, row._replace(stat=stat))
                state.note_local(unread.file_id, None)
                return
        if manifest:
            state.keep_manifest(content.root, manifest)
        if stat.size_bytes > _WHOLE_BYTES_MAX:
            state.note_digest(stat, content)
        state.note_local(unread.file_id, LocalChange(entry, stat))

    def _note_undigested(self, outcome: Undigested, known: ProblemRow | None) -> bool:
        """Notes trouble that lasts; tells whether to look again soon. What is busy, with another
        program that leased it (fcntl(2)), is free again without any sign.
        """
        path, error = outcome.unread.path, outcome.error
        if isinstance(error, ChangedMeanwhile | NotThere):
            return True
        if known is None or known.code != error.code:
            row = ProblemRow(path, error.code, error.message, error.advice, self._now_ns(), 1, 0)
            self._state.note_problem(row)
        return isinstance(error, Unavailable)


def is_racy_at(stat: Stat, now_ns: int) -> bool:
    """Tells whether a write after ``now_ns`` could leave this fingerprint as it is.

    So it is while the clock that stamps files may not have ticked since the last write.
    """
    is_coarse = stat.ctime_ns % 1_000_000_000 == 0
    tick_ns = _RACY_COARSE_NS if is_coarse else _RACY_NS
    # Somewhat in the future: another machine's clock stamped it.
    return -_RACY_COARSE_NS < now_ns - stat.ctime_ns < tick_ns


class _LargeReading:
    """One read of a large file. Cutting and the content hash go on in two threads."""

    def __init__(self, file: ReadFile, chunker: Chunker, take_block: TakeBlock | None) -> None:
        self._file = file
        self._chunker = chunker
        self._digester = Digester(chunker)
        self._take_block = take_block

    def run(self) -> ContentDigest:
        size_bytes = self._file.stat.size_bytes
        buffers = [memoryview(bytearray(min(_BUFFER_BYTES, size_bytes))) for _ in range(2)]
        offset = 0
        hashing: Future[None] | None = None
        with ThreadPoolExecutor(1, "content-hash") as pool:
            while offset < size_bytes:
                data_at = min(self._file.next_data(offset), size_bytes)
                if data_at > offset:
                    if hashing is not None:
                        hashing.result()
                        hashing = None
                    self._feed_hole(data_at - offset)
                    offset = data_at
                    continue
                buffers.reverse()
                view = self._fill(buffers[0], offset, size_bytes)
                if hashing is not None:
                    hashing.result()
                hashing = pool.submit(self._digester.feed_content, view)
                self._take(self._chunker.feed(view))
                offset += len(view)
            if hashing is not None:
                hashing.result()
        self._take(self._chunker.finish())
        return self._digester.finish()

    def _fill(self, buffer: memoryview, offset: int, size_bytes: int) -> memoryview:
        """Reads as much as fits, small holes with it."""
        wanted = min(len(buffer), size_bytes - offset)
        done = 0
        while done < wanted:
            count = self._file.read_into(buffer[done:wanted], offset + done)
            if not count:
                raise ChangedMeanwhile(
                    "a file became shorter while it was read",
                    advice="Nothing to do: it is read again when it stands still.",
                )
            done += count
        return buffer[:done]

    def _feed_hole(self, length_bytes: int) -> None:
        self._take(self._chunker.feed_zeros(length_bytes))
        self._digester.feed_content_zeros(length_bytes)

    def _take(self, pieces: list[memoryview]) -> None:
        chunks = self._digester.take_pieces(pieces)
        if self._take_block is not None:
            for chunk, piece in zip(chunks, pieces, strict=True):
                self._take_block(chunk.block_id, piece)


def _read_head(file: ReadFile) -> memoryview:
    """Returns the first bytes of a large file."""
    head = memoryview(bytearray(limits.NOISE_HEAD_BYTES))
    return head[: file.read_into(head, 0)]


def _folder_of(unread: Unread) -> str:
    return unread.path.rpartition("/")[0]
