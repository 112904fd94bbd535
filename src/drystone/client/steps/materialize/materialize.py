# SPDX-License-Identifier: Apache-2.0
"""Materialize: resolve, carry out, note."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from drystone.client.ports import (
    ChangedMeanwhile,
    Disk,
    DiskProblem,
    LocalChange,
    NewFile,
    NotThere,
    ProblemRow,
    Stat,
    State,
    SyncedRow,
    UnsafeName,
)
from drystone.client.steps.materialize.jobs import DiskStep, Done, Job, Problem, StepOutcome
from drystone.client.steps.materialize.large import LargeBuild
from drystone.client.steps.materialize.stocks import Stocks
from drystone.core.errors import Unavailable
from drystone.core.ids import ROOT_ID, FileId, Seq
from drystone.core.names.quoting import quoted
from drystone.core.planning.plan import Discard, Place, Replace, SetAside, Shift
from drystone.core.planning.progress import Noted, Renewed, Settled, advance
from drystone.core.tree.entry import Entry, Kind


class Materialize:
    """Carries out the steps of a plan that change the disk.

    Args:
        disk: The synced folder.
        state: Its trees.
        now_ns: The clock, for noting since when there is trouble.

    Attributes:
        stocks: Of folders that are to be discarded; a discarded folder holds no more.
    """

    def __init__(self, disk: Disk, state: State, now_ns: Callable[[], int]) -> None:
        self._disk = disk
        self._state = state
        self._now_ns = now_ns
        self.stocks = Stocks(disk)

    # --- State -------------------------------------------------------------------------------

    def resolve(self, steps: Sequence[DiskStep]) -> list[Job | Problem]:
        """Finds the places of steps that follow each other; one answer each, in order.

        Folders placed by earlier steps of the same group count as being there. A problem says
        that the step's place is not known (any more): it will be planned again.

        Cost: one look-up per file, and one path per folder.
        """
        known: dict[FileId, str | None] = {ROOT_ID: ""}
        return [self._resolve(step, known) for step in steps]

    def note(self, outcomes: Sequence[StepOutcome]) -> None:
        """Tells State what became of steps: synced advances; trouble is noted, or ended."""
        troubled = {row.path: row for row in self._state.problems()}
        self._forget_seen(outcomes)
        for outcome in outcomes:
            if isinstance(outcome, Problem):
                self._note_problem(outcome, troubled.get(outcome.path))
                continue
            if outcome.path in troubled:
                self._state.clear_problem(outcome.path)
            self._note_done(outcome)

    # --- disk only ---------------------------------------------------------------------------

    def carry_out(
        self, jobs: Sequence[Job | Problem], contents: Mapping[FileId, bytes]
    ) -> list[StepOutcome]:
        """Does jobs in order; one outcome each, in order. New files of one folder that follow
        each other are written together.

        Args:
            jobs: As resolved. Files that need a ``LargeBuild`` are not among them.
            contents: By file id: the verified bytes of each file placed or given new bytes.
        """
        outcomes: list[StepOutcome] = []
        for folder, run in groupby(jobs, key=_find_common_folder):
            if folder is None:
                outcomes += [self._carry_out(job, contents) for job in run]
            else:
                placed = [job for job in run if isinstance(job, Job)]
                outcomes += self._place_files(folder, placed, contents)
        return outcomes

    def begin_large(self, job: Job) -> LargeBuild:
        """Begins to build the file of a ``Place`` or ``Replace``.

        Raises:
            DiskFull: There is clearly no room for it.
        """
        assert isinstance(job.step, Place | Replace)
        content = job.step.entry.content
        assert content is not None, "only files have content"
        staged = self._disk.stage(content.size_bytes, content.root.hex())
        return LargeBuild(self._disk, job, staged)

    # --- inside: State -----------------------------------------------------------------------

    def _resolve(self, step: DiskStep, known: dict[FileId, str | None]) -> Job | Problem:
        if isinstance(step, Place):
            path = self._find_place(step.entry, known)
            if path is None:
                return _lost(step, step.entry.name)
            if "/" in step.entry.name:
                return _unsafe(step, step.entry.name)
            if step.entry.kind == Kind.FOLDER:
                known[step.entry.file_id] = path
            return Job(step, path, "", None)
        before = step.before
        path = self._find_place(before, known)
        expected = self._find_expected(before.file_id)
        if path is None or expected is None:
            return _lost(step, before.name)
        new_path = ""
        if isinstance(step, Shift | SetAside):
            found = self._find_place(step.entry, known)
            if found is None:
                return _lost(step, step.entry.name)
            if "/" in step.entry.name:
                return _unsafe(step, step.entry.name)
            new_path = found
            if before.kind == Kind.FOLDER:
                # All paths below it change with this step.
                known.clear()
                known[ROOT_ID] = ""
                known[step.entry.file_id] = new_path
        return Job(step, path, new_path, expected)

    def _find_place(self, entry: Entry, known: dict[FileId, str | None]) -> str | None:
        parent_id = entry.parent_id
        if parent_id not in known:
            known[parent_id] = self._state.path_of(self._state.local, parent_id)
        folder = known[parent_id]
        if folder is None:
            return None
        return f"{folder}/{entry.name}" if folder else entry.name

    def _find_expected(self, file_id: FileId) -> Stat | None:
        change = self._state.local_changes.get(file_id)
        if change is not None:
            return change.stat
        row = self._state.find_synced_row(file_id)
        return None if row is None else row.stat

    def _forget_seen(self, outcomes: Sequence[StepOutcome]) -> None:
        """A scan that came between the deed and this note took what was placed for new local
        entries: they are those placed, and what it saw below them belongs to these.
        """
        state = self._state
        new = {
            file_id: change
            for file_id, change in state.local_changes.items()
            if change.stat is not None and change.entry is not None and not change.entry.rev
        }
        if not new:
            return
        inodes = {(c.stat.dev, c.stat.ino): i for i, c in new.items() if c.stat}
        places = {(c.entry.parent_id, c.entry.name): i for i, c in new.items() if c.entry}
        for outcome in outcomes:
            if isinstance(outcome, Done) and isinstance(outcome.step, Place) and outcome.stat:
                entry, stat = outcome.step.entry, outcome.stat
                seen_id = inodes.get((stat.dev, stat.ino))
                if seen_id is None:
                    self._forget_gone(places.get((entry.parent_id, entry.name)), stat)
                    continue
                if seen_id == entry.file_id:
                    continue
                seen = state.local_changes[seen_id].entry
                if seen is not None and seen.is_at_same_place(entry):
                    state.rename_id(seen_id, entry.file_id)
                    state.note_local(entry.file_id, None)

    def _forget_gone(self, seen_id: FileId | None, placed: Stat) -> None:
        """What a scan saw at a place where nothing stood any more when something was placed
        there is gone; no later scan would miss it.
        """
        change = None if seen_id is None else self._state.local_changes.get(seen_id)
        if change is None or change.stat is None or seen_id is None:
            return
        if change.stat.ctime_ns < placed.ctime_ns:
            self._state.note_local(seen_id, LocalChange(None, None))

    def _note_done(self, outcome: Done) -> None:
        state, stat = self._state, outcome.stat
        match advance(outcome.step):
            case Settled(file_id, None):
                # Also what was changed on the disk in ways that do not count is gone now.
                state.note_local(file_id, LocalChange(None, None))
                state.settle(file_id, None)
            case Settled() as settled:
                assert stat is not None, "only what was discarded leaves nothing on the disk"
                self._note_settled(settled, stat)
            case Renewed(file_id, local):
                assert local is not None, "only the disk's side is renewed on the disk"
                state.renew_local(file_id, local.file_id)
                state.note_local(local.file_id, LocalChange(local, stat))
            case Noted(file_id, local):
                state.note_local(file_id, LocalChange(local, stat))

    def _note_settled(self, settled: Settled, stat: Stat) -> None:
        state, file_id, entry = self._state, settled.file_id, settled.entry
        assert entry is not None
        if settled.local_id is not None:
            state.rename_id(settled.local_id, file_id)
        if settled.local is None:
            stored = state.remote_changes.get(file_id)
            # Which record says so is known if nothing newer was told since.
            seq = stored.seq if stored is not None and stored.entry == entry else Seq(0)
            state.settle(file_id, SyncedRow(entry, stat, seq))
            if settled.is_exact and file_id in state.local_changes:
                state.note_local(file_id, None)
            return
        row = state.find_synced_row(file_id)
        state.settle(file_id, SyncedRow(entry, stat if row is None else row.stat))
        state.note_local(file_id, LocalChange(settled.local, stat))

    def _note_problem(self, outcome: Problem, known: ProblemRow | None) -> None:
        error, now_ns = outcome.error, self._now_ns()
        if isinstance(error, ChangedMeanwhile) or is_without_folder(outcome, self._state):
            return  # Somebody is at work there, or above: the next scan sees what they did.
        since_ns = known.since_ns if known else now_ns
        tries = known.tries + 1 if known else 1
        row = ProblemRow(
            outcome.path, error.code, error.message, error.advice, since_ns, tries, now_ns
        )
        self._state.note_problem(row)

    # --- inside: disk only -------------------------------------------------------------------

    def _carry_out(self, job: Job | Problem, contents: Mapping[FileId, bytes]) -> StepOutcome:
        if isinstance(job, Problem):
            return job
        try:
            return Done(job.step, job.path, self._do(job, contents))
        except (DiskProblem, Unavailable) as error:
            return Problem(job.step, job.path, error)

    def _do(self, job: Job, contents: Mapping[FileId, bytes]) -> Stat | None:
        step, path, new_path, expected = job
        disk = self._disk
        if isinstance(step, Shift | SetAside):
            assert expected is not None
            # A folder is moved whatever its mode has become: the next scan is to see that.
            return disk.move(path, new_path, expected)._replace(mode=expected.mode)
        if isinstance(step, Discard):
            assert expected is not None
            disk.discard(path, expected, self.stocks.find(step.before.file_id))
            return None
        entry = step.entry
        is_replaced = isinstance(step, Replace)
        if isinstance(step, Replace) and _is_only_dressed(step):
            assert expected is not None
            return disk.set_attributes(path, entry.mode, entry.mtime_ns, expected)
        if entry.kind == Kind.FOLDER:
            return disk.make_folder(path, entry.mode)
        if entry.kind == Kind.SYMLINK:
            return disk.make_symlink(path, entry.target, entry.mtime_ns, expected)
        assert is_replaced, "new files are placed together"
        data = _find_data(entry, contents)
        return disk.write_small(path, data, entry.mode, entry.mtime_ns, expected)

    def _place_files(
        self, folder: str, jobs: Sequence[Job], contents: Mapping[FileId, bytes]
    ) -> list[StepOutcome]:
        files = [_make_new_file(job, contents) for job in jobs]
        try:
            written = self._disk.write_many_new(folder, files)
        except (DiskProblem, Unavailable) as error:
            return [Problem(job.step, job.path, error) for job in jobs]
        outcomes: list[StepOutcome] = []
        for job, outcome in zip(jobs, written, strict=True):
            if isinstance(outcome, Stat):
                outcomes.append(Done(job.step, job.path, outcome))
            else:
                outcomes.append(Problem(job.step, job.path, outcome))
        return outcomes


def is_without_folder(problem: Problem, state: State) -> bool:
    """Tells whether something could not be placed because its folder could not. That one is told
    by itself. Uses State.
    """
    step = problem.step
    if not isinstance(step, Place) or not isinstance(problem.error, NotThere | ChangedMeanwhile):
        return False
    parent_id = step.entry.parent_id
    return parent_id != ROOT_ID and state.path_of(state.local, parent_id) is None


def _find_common_folder(job: Job | Problem) -> str | None:
    """Returns the folder of a new file, None for any other job."""
    if isinstance(job, Job) and isinstance(job.step, Place) and job.step.entry.kind == Kind.FILE:
        return job.path.rpartition("/")[0]
    return None


def _make_new_file(job: Job, contents: Mapping[FileId, bytes]) -> NewFile:
    assert isinstance(job.step, Place)
    entry = job.step.entry
    return NewFile(entry.name, _find_data(entry, contents), entry.mode, entry.mtime_ns)


def _find_data(entry: Entry, contents: Mapping[FileId, bytes]) -> bytes:
    """Returns what a file is to hold. For an empty one nothing was fetched."""
    is_empty = entry.content is not None and not entry.content.size_bytes
    return b"" if is_empty else contents[entry.file_id]


def _is_only_dressed(step: Replace) -> bool:
    """Tells whether only mode or mtime differ."""
    if step.entry.kind == Kind.SYMLINK:
        return False  # One call makes a symlink with its time; there is no mode to set.
    return step.entry.is_same_content(step.before)


def _lost(step: DiskStep, name: str) -> Problem:
    return Problem(
        step,
        name,
        ChangedMeanwhile(
            f"the folder of {quoted(name)} is no longer where it was seen",
            advice="Nothing to do: it is looked at again.",
        ),
    )


def _unsafe(step: DiskStep, name: str) -> Problem:
    """A name with a slash would be a path into another folder; all else the disk checks."""
    return Problem(
        step,
        name,
        UnsafeName(f"{quoted(name)} cannot be a name", advice="Rename it where it was made."),
    )
