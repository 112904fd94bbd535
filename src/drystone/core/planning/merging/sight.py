# SPDX-License-Identifier: Apache-2.0
"""Sight: the three trees as the planner sees them, living entries only."""

from collections.abc import Mapping

from drystone.core.ids import FileId
from drystone.core.names.detour import is_detour_name
from drystone.core.planning.policy import Policy, Traits
from drystone.core.tree.entry import Entry, Kind
from drystone.core.tree.view import TreeView


class Sight:
    """Reads the views, each folder once.

    An entry lives in a tree if it is found there and all folders above it, up to the root
    id, are found there too. What an overlay says of a deleted folder is only the folder's
    own line: what was below it may still be found by falling through to synced, and is dead
    all the same. Folders that form a ring are no tree but half of an observation: nothing in
    them lives, and ``is_unsound`` tells so.
    """

    def __init__(self, local: TreeView, synced: TreeView, remote: TreeView, policy: Policy) -> None:
        self.local = local
        self.synced = synced
        self.remote = remote
        self.policy = policy
        self._alive_local: dict[FileId, bool] = {policy.root_id: True}
        # What is below an unselected folder is for this disk as if it were not there.
        self._alive_remote = {policy.root_id: True, **dict.fromkeys(policy.unselected, False)}
        self._rings: set[FileId] = set()
        self._local_folders: dict[FileId, Mapping[str, Entry]] = {}
        self._remote_folders: dict[FileId, Mapping[str, Entry]] = {}

    def find_local(self, file_id: FileId) -> Entry | None:
        """Returns the entry if it lives on the disk."""
        entry = self.local.find(file_id)
        if entry is None or not self._is_alive(self.local, self._alive_local, entry.parent_id):
            return None
        return entry

    def find_remote(self, file_id: FileId) -> Entry | None:
        """Returns the entry if it lives on the server and is selected."""
        return None if file_id in self.policy.unselected else self.find_unselected(file_id)

    def find_unselected(self, file_id: FileId) -> Entry | None:
        """Returns the entry if it lives on the server in a selected folder, selected or not."""
        entry = self.remote.find(file_id)
        if entry is None or not self._is_alive(self.remote, self._alive_remote, entry.parent_id):
            return None
        return entry

    def is_local_folder(self, folder_id: FileId) -> bool:
        """Tells whether the disk has this folder; the root always."""
        return self._is_alive(self.local, self._alive_local, folder_id)

    def is_remote_folder(self, folder_id: FileId) -> bool:
        """Tells whether the server has this folder, and it is selected; the root always."""
        return self._is_alive(self.remote, self._alive_remote, folder_id)

    def local_children(self, folder_id: FileId) -> Mapping[str, Entry]:
        """Returns what stands in a folder of the disk, by name."""
        found = self._local_folders.get(folder_id)
        if found is None:
            found = self._local_folders[folder_id] = self.local.children(folder_id)
        return found

    def remote_children(self, folder_id: FileId) -> Mapping[str, Entry]:
        """Returns what stands in a folder of the server, by name."""
        found = self._remote_folders.get(folder_id)
        if found is None:
            found = self._remote_folders[folder_id] = self.remote.children(folder_id)
        return found

    def has_moved(self, entry: Entry, base: Entry) -> bool:
        """Tells whether somebody gave an entry another place.

        Temporary names, which a crash may have left behind, are nobody's wish. Neither is
        another folder id where the old folder was renewed: then the same folder has two.
        """
        if is_detour_name(entry.name):
            return False
        if entry.name != base.name:
            return True
        if entry.parent_id == base.parent_id:
            return False
        above = base.parent_id
        return above == self.policy.root_id or self.synced.find(above) is not None

    def is_unsound(self, file_id: FileId) -> bool:
        """Tells whether an entry stands in folders that are below themselves."""
        if not self._rings:
            return False
        places = (self.local.find(file_id), self.remote.find(file_id))
        return any(entry is not None and entry.parent_id in self._rings for entry in places)

    def _is_alive(self, view: TreeView, known: dict[FileId, bool], folder_id: FileId) -> bool:
        alive = known.get(folder_id)
        if alive is not None:
            return alive
        trail: dict[FileId, None] = {}
        while folder_id not in known and folder_id not in trail:
            trail[folder_id] = None
            folder = view.find(folder_id)
            if folder is None or folder.kind != Kind.FOLDER:
                known[folder_id] = False
                break
            folder_id = folder.parent_id
        if folder_id not in known:
            self._rings.update(trail)
        alive = known.get(folder_id, False)
        for passed in trail:
            known[passed] = alive
        return alive


def as_held(entry: Entry, base: Entry | None, traits: Traits) -> Entry:
    """Returns a local entry without differences that only the disk has made.

    Args:
        entry: As observed.
        base: What it should be, as far as the disk can hold it; None if it is new.
        traits: Of the disk.
    """
    if base is None:
        return entry
    mode, mtime_ns = entry.mode, entry.mtime_ns
    if not traits.holds_modes or _is_unknown_mode_kept(entry, base):
        mode = base.mode
    step = traits.mtime_step_ns
    if mtime_ns // step == base.mtime_ns // step or entry.kind == Kind.FOLDER:
        mtime_ns = base.mtime_ns
    if mode == entry.mode and mtime_ns == entry.mtime_ns:
        return entry
    return entry._replace(mode=mode, mtime_ns=mtime_ns)


def _is_unknown_mode_kept(entry: Entry, base: Entry) -> bool:
    # Nobody has said which mode it has, so the disk's default is no change; that a file was
    # made executable is one.
    return base.mode == 0 and (entry.kind != Kind.FILE or entry.mode & 0o111 == 0)
