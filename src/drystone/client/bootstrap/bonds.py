# SPDX-License-Identifier: Apache-2.0
"""Bonds: a state is believed only for the root and the remote folder that it was made with.

Read against another remote folder, it would take all that is synced for deleted there.
"""

from drystone.client.adapters.roots import RootLine
from drystone.client.adapters.state_sqlite import drop_state, find_bond
from drystone.core.errors import Refused


class RootElsewhere(Refused):
    """A folder is synced already, with another remote folder."""

    code = "root-elsewhere"


def make_bond(root: RootLine) -> str:
    """Returns what the state of a root must be bound to."""
    return f"{root.root_id}/{root.namespace_id.hex()}/{root.folder_id.hex()}"


def check_bond(state_path: str, root: RootLine) -> None:
    """Accepts the state in a folder, or that there is none.

    Raises:
        RootElsewhere: This very root is synced with another remote folder or account.
    """
    found = find_bond(state_path)
    if found and found != make_bond(root) and _is_same_root(found, root):
        raise RootElsewhere(
            f"{root.path} is synced already, with another account or another remote folder",
            advice="Choose another folder; or end that one first with: drystone forget DIR",
        )


def free_state(state_path: str, root: RootLine) -> None:
    """Sees to it that nothing is believed that an earlier root in the same folder left.

    Both sides are then compared as if for the first time, and merged. The caller holds the
    root's lock. Raises as ``check_bond`` does.
    """
    check_bond(state_path, root)
    found = find_bond(state_path)
    if found and not _is_same_root(found, root):
        drop_state(state_path)


def _is_same_root(bond: str, root: RootLine) -> bool:
    return bond.partition("/")[0] == root.root_id
