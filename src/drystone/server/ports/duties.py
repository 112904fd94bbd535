# SPDX-License-Identifier: Apache-2.0
"""Duties: what must be done by one worker at a time, and who has taken it until when.

A duty is a lease under a name. Workers, on however many machines, take it, renew it while they
work, and release it. One that vanished is followed by another when its time is over.

No lease is a proof by itself: a clock may jump, a process may stand still for an hour between
looking and doing. So a duty only keeps workers out of each other's way, its work may be done twice
without harm, and what must not be written by one who has lost it asks ``holds`` in the unit of work
that writes.
"""

from typing import Protocol


class DutiesUnit(Protocol):
    """Duties, inside one unit of work. The caller tells the time: its clock may be wrong."""

    def take(self, name: str, holder: str, now_ns: int, lasts_ns: int) -> bool:
        """Takes a duty until ``now_ns + lasts_ns``; tells whether the holder has it now.

        It is free if nobody has it, if its time is over, or if the holder has it already (then
        its time begins anew). A lease that ends later than it lasts at all was taken when the
        clock was ahead: it is cut down to what it lasts, counted from ``now_ns``, so that a
        clock that was put back delays who comes next by that and no longer.
        """
        ...

    def renew(self, name: str, holder: str, now_ns: int, lasts_ns: int) -> bool:
        """Prolongs to ``now_ns + lasts_ns``, also when the time is over and nobody has taken
        the duty meanwhile. False if another one has, or it was released: then it is lost.
        """
        ...

    def release(self, name: str, holder: str) -> None:
        """Lets go of a duty at once; nothing happens if the holder does not have it."""
        ...

    def holds(self, name: str, holder: str) -> bool:
        """Tells whether nobody took the duty since the holder did. In a writing unit of work it
        stays so to the end of that.
        """
        ...

    def find_holder(self, name: str) -> str | None:
        """Returns who took the duty last and has not released it, or None."""
        ...


class Duties(Protocol):
    """Duties, by the clock of this worker, each call a unit of work of its own. Blocks.

    Raises ``Unavailable`` where the metadata cannot be written now: then nothing is known.
    """

    def take(self, name: str, holder: str, lasts_s: float) -> bool:
        """Takes a duty for so long, or prolongs it; tells whether the holder has it now."""
        ...

    def renew(self, name: str, holder: str, lasts_s: float) -> bool:
        """Prolongs a duty that the holder has; False if it was lost."""
        ...

    def release(self, name: str, holder: str) -> None:
        """Lets go of a duty; nothing happens if the holder does not have it."""
        ...
