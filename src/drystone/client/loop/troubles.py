# SPDX-License-Identifier: Apache-2.0
"""Troubles: what cannot be done now is told, and rests until its time comes."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from drystone.client.loop.sending import Failed, Unsent
from drystone.client.loop.tally import Tally
from drystone.client.ports import ChangedMeanwhile, NotThere, ProblemRow, State
from drystone.core.errors import DrystoneError, Refused
from drystone.core.ids import FileId
from drystone.core.journal.change import RefusalCode
from drystone.core.planning.guards import Halt, find_halt
from drystone.core.planning.plan import Plan, Submit, Unplaceable
from drystone.core.planning.policy import Permission

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
    }
)
"""Refusals that only say that we did not know enough: read on and plan again."""

_STALE_TIMES_MAX: Final = 4
_REST_S: Final = 60
_REST_S_MAX: Final = 3600
_NS_PER_S: Final = 1_000_000_000


class Halted(Refused):
    """A guard stopped a plan that looks like a catastrophe; ``code`` is the guard's."""

    code = "halted"

    def __init__(self, halt: Halt) -> None:
        super().__init__(
            halt.message,
            advice="If it was meant, say so: drystone sync DIR --allow-deletions.",
        )
        self.code = halt.code
        self.halt = halt


class Noted(NamedTuple):
    """What follows from failures.

    Attributes:
        again: Folders to be looked at again.
        is_overtaken: The server's changes are to be read before the next plan.
    """

    again: frozenset[str]
    is_overtaken: bool


class Troubles:
    """Keeps entries that cannot be settled now out of the way of the others.

    Args:
        state: Where problems are noted.
        tally: Is told of new ones.
        now_ns: The clock.
    """

    def __init__(self, state: State, tally: Tally, now_ns: Callable[[], int]) -> None:
        self._state = state
        self._tally = tally
        self._now_ns = now_ns
        self._resting: dict[FileId, tuple[int, str]] = {}
        """Until when, and the path under which the problem is noted."""
        self._stale_counts: dict[FileId, int] = {}

    def check_halt(self, plan: Plan, permissions: tuple[Permission, ...]) -> None:
        """Lets a plan pass, or raises ``Halted``. Uses State."""
        state = self._state
        count = state.count_synced()
        halt = find_halt(plan, state.synced, count, state.count_below, permissions)
        if halt is not None:
            raise Halted(halt)

    def find_resting(self) -> frozenset[FileId]:
        """Returns the entries that are to be left alone for now."""
        now_ns = self._now_ns()
        self._resting = {i: rest for i, rest in self._resting.items() if rest[0] > now_ns}
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
            count = self._stale_counts.get(file_id, 0) + 1
            self._stale_counts[file_id] = count
            if refusal.code in _STALE and count < _STALE_TIMES_MAX:
                is_overtaken = True
            else:
                self._rest(file_id, path, refusal.code, refusal.message, "")
        return Noted(frozenset(again), is_overtaken)

    def note_unplaceable(self, unplaceable: Sequence[Unplaceable]) -> None:
        """Notes what this disk cannot hold. Uses State."""
        for one in unplaceable:
            occupant = self._state.path_of(self._state.local, one.occupant) or "another entry"
            self._rest(
                one.file_id,
                self._state.path_of(self._state.remote, one.file_id) or one.name,
                one.code,
                f"{one.name!r} cannot stand beside {occupant!r} on this disk",
                "Rename one of the two, here or on another device.",
            )

    def _rest(self, file_id: FileId, path: str, code: str, message: str, advice: str) -> None:
        known = next((row for row in self._state.problems() if row.path == path), None)
        now_ns = self._now_ns()
        tries = 1 if known is None else known.tries + 1
        rest_s = min(_REST_S * 2 ** (tries - 1), _REST_S_MAX)
        until_ns = now_ns + rest_s * _NS_PER_S
        since_ns = now_ns if known is None else known.since_ns
        row = ProblemRow(path, code, message, advice, since_ns, tries, until_ns)
        self._state.note_problem(row)
        self._resting[file_id] = (until_ns, path)
        if known is None or known.code != code:
            self._tally.problem(row)

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


def describe(error: DrystoneError) -> str:
    """Returns an error as one sentence for a person."""
    return f"{error.message}. {error.advice}".rstrip() if error.advice else error.message
