# SPDX-License-Identifier: Apache-2.0
"""The client put together: the only room that names concrete engines, and the CLI's door.

All functions are plain and block; those that take ``notices`` tell it how they go. What
raises is a ``DrystoneError`` with a message for the user.
"""

from drystone.client.bootstrap.accounts import list_devices, login, logout, revoke_device
from drystone.client.bootstrap.browsing import (
    EntryView,
    RevisionView,
    find_size,
    get_file,
    list_entries,
    list_history,
    list_trash,
    make_folder,
    move_entry,
    put_file,
    remove_entry,
    restore_entry,
)
from drystone.client.bootstrap.roots import forget_root, list_roots, open_root
from drystone.client.bootstrap.syncing import sync_once

__all__ = [
    "EntryView",
    "RevisionView",
    "find_size",
    "forget_root",
    "get_file",
    "list_devices",
    "list_entries",
    "list_history",
    "list_roots",
    "list_trash",
    "login",
    "logout",
    "make_folder",
    "move_entry",
    "open_root",
    "put_file",
    "remove_entry",
    "restore_entry",
    "revoke_device",
    "sync_once",
]
