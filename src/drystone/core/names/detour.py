# SPDX-License-Identifier: Apache-2.0
"""Detours: names under which entries wait for a moment while others change places.

Such a name may be longer than the one that an entry has. So that nothing near the bound of a path
is kept from changing places, it gets room of its own there, as does what is in a folder that waits.
"""

from typing import Final

from drystone.core.ids import FileId

_PREFIX: Final = ".drystone-moving-"
_NAME_BYTES: Final = len(_PREFIX) + 2 * 16


def make_detour_name(fresh_id: FileId) -> str:
    """Returns a name that is free in any folder, made of an id that was never used."""
    return _PREFIX + fresh_id.hex()


def is_detour_name(name: str) -> bool:
    """Tells whether a name is one of a detour, perhaps left behind by a crash."""
    return name.startswith(_PREFIX)


def find_detour_bytes(path: str) -> int:
    """Returns how many bytes a path may have beyond ``limits.PATH_BYTES_MAX``: those of the name of
    one detour, if there is one in it; else none.
    """
    return _NAME_BYTES if any(map(is_detour_name, path.split("/"))) else 0
