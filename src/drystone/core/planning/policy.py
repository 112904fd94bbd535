# SPDX-License-Identifier: Apache-2.0
"""Policy: all that the planner needs to know besides the three trees."""

from collections.abc import Callable
from typing import NamedTuple

from drystone.core.ids import ROOT_ID, FileId


class Traits(NamedTuple):
    """What the disk below a synced folder can hold. Names are its own affair: see
    ``core.names.standing``.

    Attributes:
        holds_modes: If not, a mode seen there says nothing, and a new entry has none (0).
        mtime_step_ns: Times are rounded down to multiples of this.
    """

    holds_modes: bool = True
    mtime_step_ns: int = 1


class Permission(NamedTuple):
    """A human's word that a halt may be passed.

    Attributes:
        code: Of the halt.
        entries_count_max: It covers halts that concern at most so many entries.
    """

    code: str
    entries_count_max: int


class Policy(NamedTuple):
    """How to settle what the trees leave open. Chance and time come from here.

    Attributes:
        device_name: Of this device, for conflicted-copy names.
        date_text: Today, for conflicted-copy names.
        new_id: Returns a fresh file id at each call.
        root_id: The parent id of what lies directly in the synced folder.
        local_complete: All folders of the disk have been listed. If not, absence on the
            disk means nothing, and only new local entries are planned.
        remote_complete: All changes of the server have been read. If not, only new remote
            entries are planned.
        traits: Of the disk.
        permissions: Halts that were agreed to.
        unselected: Ids of folders that are not to be on this disk, nor anything below them,
            though they live on the server. Give them as candidates as well.
    """

    device_name: str
    date_text: str
    new_id: Callable[[], FileId]
    root_id: FileId = ROOT_ID
    local_complete: bool = True
    remote_complete: bool = True
    traits: Traits = Traits()
    permissions: tuple[Permission, ...] = ()
    unselected: frozenset[FileId] = frozenset()
