# SPDX-License-Identifier: Apache-2.0
"""Carrying out a whole plan: steps in their order, in batches as large as the order allows."""

from collections.abc import Callable, Collection, Sequence

from drystone.client.loop.parts import Parts
from drystone.client.loop.receiving import Receiving
from drystone.client.loop.sending import Sending
from drystone.client.steps.fetch import needs_bytes
from drystone.client.steps.materialize import Problem
from drystone.core.ids import FileId
from drystone.core.planning.plan import (
    Discard,
    ForgetSynced,
    MarkSynced,
    Place,
    Plan,
    RenewLocal,
    RenewRemote,
    Replace,
    SetAside,
    Shift,
    Step,
    Submit,
    find_subject,
)
from drystone.core.tree.entry import Kind

_STRUCTURAL_AT_ONCE = 500


class Carrying:
    """One plan being carried out.

    Args:
        parts: The steps.
        sending: Takes changes up; drained after each batch.
        receiving: Takes files down; drained after each batch.
        plan: What to do.
        resting: Entries to be left alone for now, with all that waits for them.
    """

    def __init__(
        self,
        parts: Parts,
        sending: Sending,
        receiving: Receiving,
        plan: Plan,
        resting: Collection[FileId] = frozenset(),
    ) -> None:
        self._parts = parts
        self._sending = sending
        self._receiving = receiving
        self._plan = plan
        self._after = plan.after or ((),) * len(plan.steps)
        self._is_done = [False] * len(plan.steps)
        self._is_failed = [find_subject(step) in resting for step in plan.steps]
        self._left = list(range(len(plan.steps)))
        self.done_count = 0

    async def run(self) -> None:
        """Carries out all steps whose turn comes; the others are planned again.

        Raises:
            Unavailable: The server is away.
        """
        while self._left:
            before = len(self._left)
            self._drop_hopeless()
            await self._run_known()
            await self._run_up()
            await self._run_down()
            await self._run_structural()
            if len(self._left) == before:
                return

    # --- one kind after the other ------------------------------------------------------------

    async def _run_known(self) -> None:
        batch = self._take(lambda step: isinstance(
            step, MarkSynced | ForgetSynced | RenewLocal | RenewRemote
        ))  # fmt: skip
        if batch:
            await self._parts.threads.control(self._note_known, batch)
            self._mark_done(batch)
            self._parts.tally.steps_done += len(batch)

    def _note_known(self, batch: Sequence[int]) -> None:
        for index in batch:
            step = self._plan.steps[index]
            assert isinstance(step, MarkSynced | ForgetSynced | RenewLocal | RenewRemote)
            self._parts.advance.note(step)

    async def _run_up(self) -> None:
        batch = self._take(lambda step: isinstance(step, Submit))
        if not batch:
            return
        steps = [step for i in batch if isinstance(step := self._plan.steps[i], Submit)]
        sizes = [step.entry.content.size_bytes for step in steps
                 if step.entry is not None and step.entry.content is not None]  # fmt: skip
        self._parts.tally.expect("upload", len(steps), sum(sizes))
        failed_before = len(self._sending.failed)
        await self._sending.put(steps, {})
        await self._sending.drain()
        failed = {id(one.step) for one in self._sending.failed[failed_before:]}
        self._settle(batch, lambda step: id(step) in failed)

    async def _run_down(self) -> None:
        batch = self._take(lambda step: isinstance(step, Place | Replace))
        if not batch:
            return
        receiving = self._receiving
        failed_before = len(receiving.failed)
        direct: list[Place | Replace] = []
        wanted: list[Place | Replace] = []
        for index in batch:
            step = self._plan.steps[index]
            assert isinstance(step, Place | Replace)
            (wanted if needs_bytes(step) else direct).append(step)
        # Folders are among those that need no bytes: in order, and before all files.
        await receiving.do_now(direct)
        lost = {
            problem.step.entry.file_id
            for problem in receiving.failed[failed_before:]
            if isinstance(problem.step, Place) and problem.step.entry.kind == Kind.FOLDER
        }
        await receiving.put([step for step in wanted if step.entry.parent_id not in lost])
        await receiving.drain()
        failed = {id(problem.step) for problem in receiving.failed[failed_before:]}
        self._settle(
            batch,
            lambda step: id(step) in failed or _parent_of(step) in lost,
        )

    async def _run_structural(self) -> None:
        """Moves, set-asides and deletions: alone on the disk. Files of a row together; each
        folder by itself, because it changes the paths of all below it.
        """
        batch = self._take(
            lambda step: isinstance(step, Shift | SetAside | Discard), together=False
        )
        start = 0
        while start < len(batch):
            end = start + 1
            while (
                end < len(batch)
                and end - start < _STRUCTURAL_AT_ONCE
                and not self._moves_folder(batch[end - 1])
                and not self._moves_folder(batch[end])
            ):
                end += 1
            await self._do_structural(batch[start:end])
            start = end

    async def _do_structural(self, batch: Sequence[int]) -> None:
        steps = []
        for index in batch:
            step = self._plan.steps[index]
            assert isinstance(step, Shift | SetAside | Discard)
            steps.append(step)
        outcomes = await self._receiving.do_now(steps)
        failed = {id(one.step) for one in outcomes if isinstance(one, Problem)}
        self._settle(batch, lambda step: id(step) in failed)

    # --- what may run ------------------------------------------------------------------------

    def _take(self, is_wanted: Callable[[Step], bool], *, together: bool = True) -> list[int]:
        """Takes the steps of a kind that may run now, in order.

        ``together``: also those that only wait for others of the same batch before them; but
        of one entry no more than one. Each of its steps says what is agreed on after it, with
        all that those before it did: whether they were done must be known.
        """
        taken: list[int] = []
        is_taken: set[int] = set()
        subjects: set[FileId] = set()
        for index in self._left:
            step = self._plan.steps[index]
            if is_wanted(step) and all(
                self._is_done[need] or (together and need in is_taken)
                for need in self._after[index]
            ):
                subject = find_subject(step)
                if subject in subjects:
                    continue
                subjects.add(subject)
                taken.append(index)
                is_taken.add(index)
        if is_taken:
            self._left = [index for index in self._left if index not in is_taken]
        return taken

    def _drop_hopeless(self) -> None:
        """Drops steps that failed, or wait for one that failed."""
        kept: list[int] = []
        for index in self._left:
            if self._is_failed[index] or any(self._is_failed[need] for need in self._after[index]):
                self._is_failed[index] = True
            else:
                kept.append(index)
        self._left = kept

    def _settle(self, batch: Sequence[int], has_failed: Callable[[Step], bool]) -> None:
        for index in batch:
            if has_failed(self._plan.steps[index]):
                self._is_failed[index] = True
            else:
                self._is_done[index] = True
                self.done_count += 1

    def _mark_done(self, batch: Sequence[int]) -> None:
        self._settle(batch, lambda _: False)

    def _moves_folder(self, index: int) -> bool:
        step = self._plan.steps[index]
        assert isinstance(step, Shift | SetAside | Discard)
        return step.before.kind == Kind.FOLDER


def _parent_of(step: Step) -> FileId | None:
    return step.entry.parent_id if isinstance(step, Place | Replace) else None
