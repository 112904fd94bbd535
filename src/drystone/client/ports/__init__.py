# SPDX-License-Identifier: Apache-2.0
"""What the client needs from the world: disk, watcher, server, state, clock.

Relative paths are ``str``, ``/``-separated, ``""`` for the synced folder itself, and hold
names as the journal has them. Methods of ``Disk`` and ``State`` block; steps run them in
threads. Methods of ``Remote`` are async.
"""

from drystone.client.ports.clock import Clock
from drystone.client.ports.disk import (
    ChangedMeanwhile,
    Digested,
    Disk,
    DiskFull,
    DiskProblem,
    DiskTraits,
    FolderListing,
    Hints,
    NameTooLong,
    NewFile,
    NoSymlinks,
    NotThere,
    Observed,
    PathTooLong,
    ReadFile,
    ReadOutcome,
    RootGone,
    Skipped,
    StagedFile,
    Stat,
    Unread,
    Unreadable,
    UnsafeName,
    Watcher,
    WriteOutcome,
)
from drystone.client.ports.notices import (
    Notices,
)
from drystone.client.ports.remote import (
    CommitResult,
    FetchedBlock,
    Remote,
    RemotePage,
    Traffic,
)
from drystone.client.ports.state import (
    LocalChange,
    ProblemRow,
    State,
    SyncedRow,
)

__all__ = [
    "ChangedMeanwhile",
    "Clock",
    "CommitResult",
    "Digested",
    "Disk",
    "DiskFull",
    "DiskProblem",
    "DiskTraits",
    "FetchedBlock",
    "FolderListing",
    "Hints",
    "LocalChange",
    "NameTooLong",
    "NewFile",
    "NoSymlinks",
    "NotThere",
    "Notices",
    "Observed",
    "PathTooLong",
    "ProblemRow",
    "ReadFile",
    "ReadOutcome",
    "Remote",
    "RemotePage",
    "RootGone",
    "Skipped",
    "StagedFile",
    "Stat",
    "State",
    "SyncedRow",
    "Traffic",
    "Unread",
    "Unreadable",
    "UnsafeName",
    "Watcher",
    "WriteOutcome",
]
