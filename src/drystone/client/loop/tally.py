# SPDX-License-Identifier: Apache-2.0
"""Tally: how far a sync has come, counted once and told to whoever watches."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from drystone.client.ports import Notices, ProblemRow
from drystone.core.planning.plan import Conflict


@dataclass(slots=True)
class Work:
    """One kind of work: what is done, and what there is as far as is known."""

    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


_PACE_STEP_S: Final = 1.0
_PACE_STEPS: Final = 15


class Pace:
    """How fast work goes: what was done in the last quarter of a minute.

    Args:
        monotonic_s: The clock.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._seen: deque[tuple[float, int, int]] = deque(maxlen=_PACE_STEPS)

    def note(self, files_done: int, bytes_done: int) -> None:
        """Takes the newest sums."""
        now_s = self._monotonic_s()
        if not self._seen or now_s - self._seen[-1][0] >= _PACE_STEP_S:
            self._seen.append((now_s, files_done, bytes_done))

    def find(self, files_done: int, bytes_done: int) -> tuple[float, float]:
        """Returns files and bytes per second of late; zeros if nothing went."""
        now_s = self._monotonic_s()
        for then_s, files_then, bytes_then in self._seen:
            if _PACE_STEP_S <= now_s - then_s <= _PACE_STEPS * _PACE_STEP_S:
                elapsed_s = now_s - then_s
                return (files_done - files_then) / elapsed_s, (bytes_done - bytes_then) / elapsed_s
        return 0.0, 0.0


@dataclass(slots=True)
class Tally:
    """Sums since the sync began.

    Attributes:
        notices: Is told of each change.
        pace: How fast it goes.
        scanned_count: Entries seen by the last scan.
        steps_done: Steps of plans carried out, of any kind.
        conflicts_count: Conflicts settled.
    """

    notices: Notices
    pace: Pace
    upload: Work = field(default_factory=Work)
    download: Work = field(default_factory=Work)
    scanned_count: int = 0
    steps_done: int = 0
    conflicts_count: int = 0
    phase_name: str = ""

    def phase(self, name: str) -> None:
        """A stage begins."""
        if name != self.phase_name:
            self.phase_name = name
            self.notices.phase(name)

    def scanned(self, count: int, *, is_all: bool) -> None:
        """The scan has seen so many entries so far."""
        self.scanned_count = count
        self.notices.advance("scan", count, count if is_all else None, 0, None)

    def expect(self, kind: str, files_count: int, content_bytes: int) -> None:
        """There is so much more to do."""
        work = self._work(kind)
        work.files_total += files_count
        work.bytes_total += content_bytes
        self._tell(kind, work)

    def moved(self, kind: str, content_bytes: int) -> None:
        """So many content bytes more have gone over the wire, or come."""
        work = self._work(kind)
        work.bytes_done = min(work.bytes_done + content_bytes, work.bytes_total)
        self._tell(kind, work)

    def finished(self, kind: str, files_count: int) -> None:
        """So many files more are where they should be."""
        work = self._work(kind)
        work.files_done += files_count
        if work.files_done >= work.files_total:
            # What needed no transfer (held already, copied locally) counts at the end.
            work.bytes_done = work.bytes_total
        self._tell(kind, work)

    def conflict(self, conflict: Conflict, path: str) -> None:
        """A conflict was settled."""
        self.conflicts_count += 1
        self.notices.conflict(conflict, path)

    def problem(self, row: ProblemRow) -> None:
        """There is trouble with a path."""
        self.notices.problem(row)

    def count_progress(self) -> int:
        """Returns a number that grows with everything that comes of a sync."""
        return self.steps_done + self.upload.bytes_done + self.download.bytes_done

    def _work(self, kind: str) -> Work:
        return self.upload if kind == "upload" else self.download

    def find_pace(self) -> tuple[float, float]:
        """Returns files and content bytes per second of late, both ways; zeros if nothing went."""
        return self.pace.find(*self._sums())

    def _sums(self) -> tuple[int, int]:
        up, down = self.upload, self.download
        return up.files_done + down.files_done, up.bytes_done + down.bytes_done

    def _tell(self, kind: str, work: Work) -> None:
        self.pace.note(*self._sums())
        self.notices.advance(
            kind, work.files_done, work.files_total, work.bytes_done, work.bytes_total
        )
