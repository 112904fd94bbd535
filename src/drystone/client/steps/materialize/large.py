# SPDX-License-Identifier: Apache-2.0
"""Large files: built piece by piece out of sight, then swapped in."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from drystone.client.ports import Disk, DiskProblem, ReadFile, StagedFile
from drystone.client.steps.materialize.jobs import Done, Job, Problem, StepOutcome
from drystone.core.content.chunk import Chunk
from drystone.core.content.hashing import block_id, zeros, zeros_id
from drystone.core.errors import Corrupt, Unavailable
from drystone.core.ids import BlockId
from drystone.core.limits import BLOCK_BYTES_MAX
from drystone.core.planning.plan import Place, Replace

_STEP_BYTES: Final = 64 * 1024
"""Zeros that fill such a step of a file are left out: less saves little, and makes many pieces."""

_STEP_OF_ZEROS: Final = bytes(_STEP_BYTES)


class SeedLied(Corrupt):
    """A region of a local file does not hold the block it was known to hold."""

    code = "seed-lied"


class LargeBuild:
    """A large file being built out of sight. Disk only; for one thread at a time.

    Every chunk of its content that does not stand there is written or copied once, in any order;
    then it is swapped in. Runs of zeros become holes: nobody need say that a file is sparse.
    Ends with ``finish``, ``leave`` or ``drop``. What an earlier one left of the same content is
    gone on with.
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
        """Returns the blocks that stand at all their places already, verified. Whole blocks of
        zeros always do, from now on: nobody writes there any more.

        Cost: nothing for a new file; else reads and hashes what is there.
        """
        hole = zeros_id(BLOCK_BYTES_MAX)
        if not self._staged.is_continued:
            return {hole}
        held = {chunk.block_id for chunk in chunks} | {hole}
        for offset, length, name in chunks:
            if name == hole:
                self._clear(offset, length)
            elif name in held:
                data = self._staged.read_at(offset, length)
                if len(data) < length or block_id(data) != name:
                    held.discard(name)
        return held

    def write(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Writes a block whose bytes were verified already. What is zeros and fills whole steps of
        the file is not written.

        Cost: beside the writing, a look at one byte of each step, and at all that is zeros.
        """
        view = memoryview(data)
        begin = 0
        for at in range(-offset_bytes % _STEP_BYTES, len(view) - _STEP_BYTES + 1, _STEP_BYTES):
            end = at + _STEP_BYTES
            if not view[at] and view[at:end].tobytes() == _STEP_OF_ZEROS:
                if at > begin:
                    self._staged.write_at(offset_bytes + begin, view[begin:at])
                self._clear(offset_bytes + at, _STEP_BYTES)
                begin = end
        if begin < len(view):
            self._staged.write_at(offset_bytes + begin, view[begin:])

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

    def _clear(self, offset_bytes: int, length_bytes: int) -> None:
        """Makes a region zeros, if it may be anything else."""
        if self._is_dirty:
            found = self._staged.read_at(offset_bytes, length_bytes)
            if found.count(0) != len(found):
                self._staged.write_at(offset_bytes, zeros(length_bytes))

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
