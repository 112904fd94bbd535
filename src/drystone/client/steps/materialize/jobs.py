# SPDX-License-Identifier: Apache-2.0
"""What goes in and out: steps with their places, and what became of them."""

from typing import NamedTuple

from drystone.client.ports import Stat
from drystone.core.errors import DrystoneError
from drystone.core.planning.plan import Discard, Place, Replace, SetAside, Shift

DiskStep = Place | Replace | Shift | Discard | SetAside
"""The steps of a plan that change the disk."""


class Job(NamedTuple):
    """A step with the places it touches.

    Attributes:
        step: What is to be done.
        path: Where the entry stands, or for ``Place`` is to stand.
        new_path: Where it is to stand, for ``Shift`` and ``SetAside``; else empty.
        expected: What must stand at ``path`` now; None: nothing.
    """

    step: DiskStep
    path: str
    new_path: str
    expected: Stat | None


class Done(NamedTuple):
    """A step that was carried out, and the fingerprint it left; None after ``Discard``."""

    step: DiskStep
    path: str
    stat: Stat | None


class Problem(NamedTuple):
    """A step that was not carried out: nothing has changed on the disk."""

    step: DiskStep
    path: str
    error: DrystoneError


StepOutcome = Done | Problem
