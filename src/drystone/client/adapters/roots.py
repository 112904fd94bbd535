# SPDX-License-Identifier: Apache-2.0
"""Roots: which folders of this device are kept in step with which folders of which server.

The list remembers that a folder *was* a root. If its marker is missing later (a disk that
is not mounted, a folder emptied by mistake), that is an alarm and not a new, empty root.
"""

from pathlib import Path

import msgspec

from drystone.client.adapters.private_file import ConfigUnusable, read_private, write_private


class RootLine(msgspec.Struct, frozen=True):
    """One synced folder.

    Attributes:
        path: Absolute path on this device.
        root_id: The id in the folder's marker, hexadecimal.
        url: The server.
        namespace_id: The namespace there.
        folder_id: The remote folder's file id (the namespace's root: sixteen zero bytes).
        remote_path: Its path when it was chosen, for people.
        paused: The daemon leaves it alone.
        unselected: Ids of remote folders that are not to be on this device.
        selects_count: How often such folders were selected again.
    """

    path: str
    root_id: str
    url: str
    namespace_id: bytes
    folder_id: bytes
    remote_path: str = "/"
    paused: bool = False
    unselected: tuple[bytes, ...] = ()
    selects_count: int = 0


def load_roots(path: Path) -> list[RootLine]:
    """Returns the synced folders of this device.

    Raises:
        ConfigUnusable: The file is unreadable or not what we wrote.
    """
    content = read_private(path)
    if content is None:
        return []
    try:
        return msgspec.json.decode(content, type=list[RootLine])
    except msgspec.DecodeError as error:
        raise ConfigUnusable(
            f"{path} is damaged: {error}",
            advice="Remove it and name each folder again with: drystone sync DIR",
        ) from error


def find_root(path: Path, directory: Path) -> RootLine | None:
    """Returns the root at exactly this folder, or None."""
    wanted = str(directory)
    return next((root for root in load_roots(path) if root.path == wanted), None)


def find_root_above(path: Path, target: Path) -> RootLine | None:
    """Returns the root that holds ``target`` (or is it), or None."""
    for root in load_roots(path):
        if target == Path(root.path) or Path(root.path) in target.parents:
            return root
    return None


def save_root(path: Path, root: RootLine) -> None:
    """Keeps a root, in place of an older line for the same folder."""
    others = [line for line in load_roots(path) if line.path != root.path]
    write_private(path, msgspec.json.encode([*others, root]))


def drop_root(path: Path, directory: Path) -> None:
    """Forgets a root; its files stay where they are. No error if it is not known."""
    known = load_roots(path)
    kept = [line for line in known if line.path != str(directory)]
    if len(kept) != len(known):
        write_private(path, msgspec.json.encode(kept))
