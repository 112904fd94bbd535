# SPDX-License-Identifier: Apache-2.0
"""Troubles: what cannot be done now is told, and rests until its time comes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from drystone.client.loop.sending import Failed, Unsent
from drystone.client.loop.tally import Tally
from drystone.client.ports import ChangedMeanwhile, NotThere, ProblemRow, State
from drystone.client.steps.advance import Advance
from drystone.client.steps.materialize import Problem, is_without_folder
from drystone.client.steps.pull import Selection
from drystone.client.steps.scan import FOUND_BY_SCAN
from drystone.core.errors import DrystoneError, Refused, Unavailable
from drystone.core.ids import ROOT_ID, FileId, Rev
from drystone.core.journal.change import RefusalCode
from drystone.core.planning.plan import Place, RenewLocal, Submit
from drystone.core.planning.review import Review
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView

_STALE: Final = frozenset(
    {
        RefusalCode.STALE_BASE,
        RefusalCode.NAME_TAKEN,
        RefusalCode.NOT_FOUND,
        RefusalCode.PARENT_GONE,
        RefusalCode.NOT_A_FOLDER,
        RefusalCode.CYCLE,
        RefusalCode.FOLDER_CHANGED,
        RefusalCode.ABORTED,
        RefusalCode.BLOCKS_MISSING,
        RefusalCode.ID_IN_USE,
        RefusalCode.HISTORY_REWOUND,
    }
)
"""Refusals that only say that we did not know enough: read on and plan again."""

_STALE_TIMES_MAX: Final = 4
_STANDS_THERE: Final = "Move away what stands there, or rename it on another device."
_REST_S: Final = 60
_REST_S_MAX: Final = 3600
_REST_S_MAX_OF_PASSING: Final = 120
"""Of trouble that passes by itself, such as a full disk."""
_TOLD_MAX: Final = 20
"""Problems told one by one after a round; of more only the number is told."""
_NS_PER_S: Final = 1_000_000_000


class Halted(Refused):
    """A guard stopped a plan that looks like a catastrophe; ``code`` is the guard's."""

    code = "halted"

    def __init__(self, review: Review) -> None:
        super().__init__(
            review.message,
            advice="See what it is with: drystone review DIR. Then agree to it (--accept), or have"
            " it undone (--undo).",
        )
        self.code = review.code
        self.review = review


class Noted(NamedTuple):
    """What follows from failures.

    Attributes:
        again: Folders to be looked at again.
        is_overtaken: The server's changes are to be read before the next plan.
    """

    again: frozenset[str]
    is_overtaken: bool


_Looks = tuple[tuple[Entry | None, str | None], ...]
"""An entry and its path on both sides."""


class Troubles:
    """Keeps entries that cannot be settled now out of the way of the others.

    Args:
        state: Where problems are noted.
        tally: Is told of new ones.
        now_ns: The clock.
        new_file_id: Makes ids for entries whose own is in use.
    """

    def __init__(
        self,
        state: State,
        tally: Tally,
        now_ns: Callable[[], int],
        new_file_id: Callable[[], FileId],
    ) -> None:
        self._state = state
        self._tally = tally
        self._now_ns = now_ns
        self._new_file_id = new_file_id
        self._resting: dict[FileId, tuple[int, _Looks]] = {}
        """Until when, and how it was then: what has changed since is tried at once."""
        self._stale_counts: dict[FileId, int] = {}
        self._told: dict[str, str] = {}
        """Codes of the problems that were told since the start, by path."""

    def find_resting(self) -> frozenset[FileId]:
        """Returns the entries that are to be left alone for now. Uses State."""
        now_ns = self._now_ns()
        # What rests longer than anything does was put to rest before the clock was put back.
        latest_ns = now_ns + _REST_S_MAX * _NS_PER_S
        self._resting = {
            file_id: (until_ns, looks)
            for file_id, (until_ns, looks) in self._resting.items()
            if now_ns < until_ns <= latest_ns and looks == self._look_at(file_id)
        }
        return frozenset(self._resting)

    def find_next_try_s(self) -> float | None:
        """Returns in how many seconds the first resting entry is to be tried again."""
        if not self._resting:
            return None
        first_ns = min(until_ns for until_ns, _ in self._resting.values())
        return max(0.0, (first_ns - self._now_ns()) / _NS_PER_S)

    def wake_all(self) -> None:
        """Nothing rests any longer: a human asked to try again."""
        self._resting.clear()
        self._stale_counts.clear()

    def note_failed(self, failed: Sequence[Failed]) -> Noted:
        """Notes changes that did not reach the server. Uses State."""
        again: set[str] = set()
        is_overtaken = False
        failed_ids = {_file_id_of(one.step) for one in failed}
        for one in failed:
            file_id = _file_id_of(one.step)
            path = self._path_of(one.step)
            if isinstance(one, Unsent):
                if isinstance(one.error, ChangedMeanwhile | NotThere):
                    again.add(path.rpartition("/")[0])
                else:
                    self._rest(file_id, path, one.error.code, one.error.message, one.error.advice)
                continue
            refusal = one.refusal
            if refusal.code == RefusalCode.PARENT_GONE and _parent_id_of(one.step) in failed_ids:
                continue  # Its folder's trouble, not its own.
            count = self._stale_counts.get(file_id, 0) + 1
            self._stale_counts[file_id] = count
            is_renewed = (
                refusal.code == RefusalCode.ID_IN_USE and count > 1 and self._renew(file_id)
            )
            if is_renewed or (refusal.code in _STALE and count < _STALE_TIMES_MAX):
                is_overtaken = True
            else:
                self._rest(file_id, path, refusal.code, refusal.message, "")
        return Noted(frozenset(again), is_overtaken)

    def note_unplaced(self, problems: Sequence[Problem], looked_at: Collection[str] = ()) -> Noted:
        """Notes what could not be put on the disk. Uses State.

        Args:
            problems: One for each step.
            looked_at: Folders that are to be looked at again anyway: what was planned meanwhile
                for what is in them could not know better, and says nothing new.
        """
        again: set[str] = set()
        rows = {row.path: row for row in self._state.problems()} if problems else {}
        for problem in problems:
            step, path, error = problem
            if is_without_folder(problem, self._state):
                continue
            file_id = step.entry.file_id if isinstance(step, Place) else step.before.file_id
            row = rows.get(path)
            if isinstance(error, ChangedMeanwhile | NotThere):
                folder = path.rpartition("/")[0]
                if folder in looked_at:
                    continue
                count = self._stale_counts[file_id] = self._stale_counts.get(file_id, 0) + 1
                if count < _STALE_TIMES_MAX:
                    again.add(folder)
                else:
                    # Not somebody at work, but something that stands there and is not synced.
                    self._rest(file_id, path, error.code, error.message, _STANDS_THERE)
            elif row is not None and row.tries > 1:
                # Once it is tried again at once; the step has noted what the trouble is.
                rest_s = _find_rest_s(row.tries - 1, is_passing=isinstance(error, Unavailable))
                until_ns = self._now_ns() + rest_s * _NS_PER_S
                self._state.note_problem(row._replace(next_try_ns=until_ns))
                self._let_rest(file_id, until_ns)
        return Noted(frozenset(again), is_overtaken=False)

    def end_settled(self) -> None:
        """Forgets trouble that is over because what it was about is gone or settled by now.

        Uses State, both sides of which are known whole. Cost: a look-up or two per problem, and
        one per folder that has some.
        """
        rows = self._state.problems()
        if not rows:
            return
        local, remote = _Finder(self._state.local), _Finder(self._state.remote)
        for row in rows:
            if not self._is_open(row, local, remote):
                self._state.clear_problem(row.path)

    def tell_new(self) -> None:
        """Tells the problems that were not told since the start, whoever found them. Uses
        State.
        """
        rows = self._state.problems()
        new = [row for row in rows if self._told.get(row.path) != row.code]
        for row in new[:_TOLD_MAX]:
            self._tally.problem(row)
        if len(new) > _TOLD_MAX:
            self._tally.notices.message(
                f"{len(new) - _TOLD_MAX} more paths are in trouble: drystone status"
            )
        self._told = {row.path: row.code for row in rows}

    def _rest(self, file_id: FileId, path: str, code: str, message: str, advice: str) -> None:
        known = next((row for row in self._state.problems() if row.path == path), None)
        now_ns = self._now_ns()
        tries = 1 if known is None else known.tries + 1
        rest_s = _find_rest_s(tries, is_passing=False)
        until_ns = now_ns + rest_s * _NS_PER_S
        since_ns = now_ns if known is None else known.since_ns
        row = ProblemRow(path, code, message, advice, since_ns, tries, until_ns)
        self._state.note_problem(row)
        self._let_rest(file_id, until_ns)

    def _let_rest(self, file_id: FileId, until_ns: int) -> None:
        self._resting[file_id] = until_ns, self._look_at(file_id)

    def _look_at(self, file_id: FileId) -> "_Looks":
        state = self._state
        return tuple(
            (view.find(file_id), state.path_of(view, file_id))
            for view in (state.local, state.remote)
        )

    def _renew(self, file_id: FileId) -> bool:
        """Gives a new entry of the disk another id, unless the server has an entry of that id:
        with that one the planner settles it.

        The id was used: by this entry itself, if the answer to its creation was lost, and
        somebody has deleted it since. It is created again, so that nothing is lost.
        """
        state = self._state
        change = state.local_changes.get(file_id)
        if change is None or change.entry is None or state.synced.find(file_id) is not None:
            return False
        if state.path_of(state.remote, file_id) is not None:
            return False
        renewed = change.entry._replace(file_id=self._new_file_id(), rev=Rev(0))
        Advance(state).note(RenewLocal(change.entry, renewed))
        return True

    def _is_open(self, row: ProblemRow, local: "_Finder", remote: "_Finder") -> bool:
        if row.code in FOUND_BY_SCAN and not row.next_try_ns:
            # A scan ends it when it lists the folder, unless that is there no longer: something
            # else may have taken its place.
            above = row.path.rpartition("/")[0]
            folder = local.find(above) if above else None
            return not above or (folder is not None and folder.kind == Kind.FOLDER)
        changed = self._state.local_changes, self._state.remote_changes
        here, there = local.find(row.path), remote.find(row.path)
        unselected = Selection(self._state).ids
        if here is not None and here.file_id in unselected:
            return True  # It has not left yet.
        if there is not None and there.file_id in unselected:
            there = None
        return any(e is not None and e.file_id in side for e in (here, there) for side in changed)

    def _path_of(self, step: Submit) -> str:
        file_id = _file_id_of(step)
        state = self._state
        found = state.path_of(state.local, file_id) or state.path_of(state.synced, file_id)
        return found or (step.entry.name if step.entry is not None else file_id.hex())


def _file_id_of(step: Submit) -> FileId:
    if step.entry is not None:
        return step.entry.file_id
    change = step.change
    file_id = getattr(change, "file_id", None)
    assert file_id is not None, "only a deletion has no entry, and it names its file"
    return FileId(file_id)


def _parent_id_of(step: Submit) -> FileId | None:
    return None if step.entry is None else step.entry.parent_id


def _find_rest_s(tries: int, *, is_passing: bool) -> int:
    """Returns how long to leave alone what failed so many times."""
    rest_s_max = _REST_S_MAX_OF_PASSING if is_passing else _REST_S_MAX
    return min(_REST_S << min(tries - 1, 10), rest_s_max)


class _Finder:
    """Finds entries by their paths, quickly if those come sorted."""

    def __init__(self, view: TreeView) -> None:
        self._view = view
        self._folder_ids: dict[str, FileId | None] = {"": ROOT_ID}
        self._listed: tuple[str, Mapping[str, Entry]] = ("", view.children(ROOT_ID))

    def find(self, path: str) -> Entry | None:
        """Returns the entry at a path, or None."""
        above, _, name = path.rpartition("/")
        if self._listed[0] != above:
            folder_id = self._find_folder(above)
            children = {} if folder_id is None else self._view.children(folder_id)
            self._listed = above, children
        return self._listed[1].get(name)

    def _find_folder(self, path: str) -> FileId | None:
        if path not in self._folder_ids:
            above, _, name = path.rpartition("/")
            parent_id = self._find_folder(above)
            entry = None if parent_id is None else self._view.children(parent_id).get(name)
            self._folder_ids[path] = None if entry is None else entry.file_id
        return self._folder_ids[path]


def describe(error: DrystoneError) -> str:
    """Returns an error as one sentence for a person."""
    return f"{error.message}. {error.advice}".rstrip() if error.advice else error.message
