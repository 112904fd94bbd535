# SPDX-License-Identifier: Apache-2.0
"""Materialize: make what the server says true on the disk, and never by guessing.

A group of steps goes through three calls, so that the disk can be busy in a thread while
somebody else uses ``State``:

    jobs = materialize.resolve(steps)              # State: paths, and what must stand there
    outcomes = materialize.carry_out(jobs, bytes)  # disk only
    materialize.note(outcomes)                     # State: synced is one step nearer

Whatever is replaced, moved or discarded must still be what was observed last; else nothing
happens to it and its outcome is a problem: it is scanned and planned again. Large files are
built piece by piece, see ``LargeBuild``.
"""

from drystone.client.steps.materialize.jobs import DiskStep, Done, Job, Problem, StepOutcome
from drystone.client.steps.materialize.large import LargeBuild, SeedLied
from drystone.client.steps.materialize.materialize import Materialize, is_without_folder

__all__ = [
    "DiskStep",
    "Done",
    "Job",
    "LargeBuild",
    "Materialize",
    "Problem",
    "SeedLied",
    "StepOutcome",
    "is_without_folder",
]
