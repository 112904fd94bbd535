# SPDX-License-Identifier: Apache-2.0
"""The disk: one synced folder, behind the ``Disk`` port.

Every path is walked component by component from an open descriptor of the root, without
following links, so that no name from a server and no link in the tree leads out of it. The
control folder ``.drystone`` in the root holds what is ours:

    marker      proves that this is the root, and not an empty mount point
    lock        held by the one client that syncs it
    stage/      new content, built out of sight; ``w-`` goes at the next start, ``x-`` held
                old content when a client was stopped in the act and goes to the trash
    traits      what this disk can hold, as it was found last
    trash/      DATE/path of what was replaced or deleted

New content appears by one rename that refuses to replace anything; replaced content by an
exchange of two names, checked afterwards and undone if somebody else was quicker. So a path
holds its old or its new content, whole, at every moment. Nothing is durable before ``flush``.

Calls that differ between systems are in ``system`` alone, each with a fallback.
"""

from drystone.client.adapters.disk.local import LocalDisk, open_disk
from drystone.client.adapters.disk.probing import read_kept_traits
from drystone.client.adapters.disk.root import (
    RootBusy,
    RootLock,
    RootTaken,
    RootTooNew,
    RootUnusable,
    create_root,
    drop_marker,
    read_root_id,
)

__all__ = [
    "LocalDisk",
    "RootBusy",
    "RootLock",
    "RootTaken",
    "RootTooNew",
    "RootUnusable",
    "create_root",
    "drop_marker",
    "open_disk",
    "read_kept_traits",
    "read_root_id",
]
