# SPDX-License-Identifier: Apache-2.0
"""Paths of entries, remembered by the views that can."""

from drystone.core import limits
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.tree.entry import Kind
from drystone.core.tree.view import TreeView


def find_path(view: TreeView, file_id: FileId) -> str | None:
    """Returns an entry's path in a tree, None if it is not there; the root's is ``""``.

    Cost: one look-up for each folder above it whose path ``view.paths`` does not know yet.
    """
    if file_id == ROOT_ID:
        return ""
    known: dict[FileId, str] = getattr(view, "paths", {})
    names: list[str] = []
    folders: list[FileId] = []
    above = ""
    while file_id != ROOT_ID:
        if file_id in known:
            above = known[file_id]
            break
        entry = view.find(file_id)
        # Deeper than any tree may be: the folders of a half-known tree form a ring.
        if entry is None or len(names) > limits.DEPTH_MAX:
            return None
        names.append(entry.name)
        folders.append(file_id if entry.kind == Kind.FOLDER else ROOT_ID)
        file_id = entry.parent_id
    path = above
    for name, folder_id in zip(reversed(names), reversed(folders), strict=True):
        path = f"{path}/{name}" if path else name
        if folder_id != ROOT_ID:
            known[folder_id] = path
    return path
