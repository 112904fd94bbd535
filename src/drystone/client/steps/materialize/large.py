# SPDX-License-Identifier: Apache-2.0
"""Large files: built piece by piece out of sight, then swapped in."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from drystone.client.ports import Disk, DiskProblem, ReadFile, StagedFile
from drystone.client.steps.materialize.jobs import Done, Job, Problem, StepOutcome
from drystone.core.content.chunk import Chunk
from drystone.core.content.hashing import block_id, zeros
from drystone.core.errors import Corrupt, Unavailable
from drystone.core.ids import BlockId
from drystone.core.planning.plan import Place, Replace


class SeedLied(Corrupt):
    """A region of a local file does not hold the block it was known to hold."""

    code = "seed-lied"


class LargeBuild:
    """A large file being built out of sight. Disk only; for one thread at a time.

    Every chunk of its content is written or copied once, in any order; then it is swapped in.
    Whole blocks of zeros become holes. Ends with ``finish``, ``leave`` or ``drop``. What an
    earlier one left of the same content is gone on with.
    """

    def __init__(self, disk: Disk, job: Job, staged: StagedFile) -> None:
        self._disk = disk
        self._job = job
        self._staged = staged
        self._buffer = bytearray()
        self._pool: ThreadPoolExecutor | None = None
        self._is_dirty = staged.is_continued
        """Where nothing was written yet, there may be something else than zeros."""

    def find_held(self, chunks: Sequence[Chunk]) -> set[BlockId]:
        """Returns the blocks that stand at all their places already, verified.

        Cost: reads and hashes what is there; holes cost next to nothing.
        """
        if not self._staged.is_continued:
            return set()
        held = {chunk.block_id for chunk in chunks}
        for offset, length, name in chunks:
            if name not in held:
                continue
            data = self._staged.read_at(offset, length)
            if len(data) < length or data == zeros(length) or block_id(data) != name:
                held.discard(name)
        return held

    def write(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Writes a block whose bytes were verified already."""
        if self._is_dirty or data != zeros(len(data)):
            self._staged.write_at(offset_bytes, data)

    def copy(self, chunk: Chunk, seed: ReadFile, seed_offset_bytes: int) -> None:
        """Copies a chunk's block out of a local file, and verifies it.

        Raises:
            SeedLied: Those bytes are another block (by now): fetch it and write it instead.

        Cost: reading, and then hashing and writing at once in two threads.
        """
        length_bytes = chunk.length_bytes
        if len(self._buffer) < length_bytes:
            self._buffer = bytearray(length_bytes)
        with memoryview(self._buffer)[:length_bytes] as view:
            is_true = _read_wholly(seed, view, seed_offset_bytes)
            if is_true:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(1, "seed-hash")
                hashing = self._pool.submit(block_id, view)
                try:
                    self.write(chunk.offset_bytes, view)
                finally:
                    is_true = hashing.result() == chunk.block_id
        if not is_true:
            # What is written there next may be zeros, which then are no hole any more.
            self._is_dirty = True
            raise SeedLied(
                f"{length_bytes} bytes at {seed_offset_bytes} of a local file are not the"
                " block they were",
                advice="Nothing to do: the block is fetched from the server.",
            )

    def finish(self) -> StepOutcome:
        """Swaps the file in where its step's ``expected`` stands, or drops it."""
        step, path, _, expected = self._job
        assert isinstance(step, Place | Replace)
        entry = step.entry
        self._end_pool()
        try:
            stat = self._disk.swap_in(self._staged, path, entry.mode, entry.mtime_ns, expected)
        except (DiskProblem, Unavailable) as error:
            self.drop()
            return Problem(step, path, error)
        return Done(step, path, stat)

    def leave(self) -> None:
        """Gives it up for now; what is there of it stays for the next one. Idempotent."""
        self._end_pool()
        self._staged.keep()

    def drop(self) -> None:
        """Gives it up; what was staged is removed. Idempotent."""
        self._end_pool()
        self._staged.drop()

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _read_wholly(seed: ReadFile, view: memoryview, offset_bytes: int) -> bool:
    done = 0
    while done < len(view):
        count = seed.read_into(view[done:], offset_bytes + done)
        if not count:
            return False
        done += count
    return True
