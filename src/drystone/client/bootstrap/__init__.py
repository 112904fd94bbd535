# SPDX-License-Identifier: Apache-2.0
"""The client put together: the only room that names concrete engines, and the CLI's door.

All functions are plain and block; those that take ``notices`` tell it how they go. What
raises is a ``DrystoneError`` with a message for the user.
"""

from drystone.client.adapters.roots import RootLine
from drystone.client.bootstrap.accounts import (
    DeviceView,
    allow_device,
    check_server,
    list_devices,
    login,
    logout,
    revoke_device,
)
from drystone.client.bootstrap.browsing import (
    EntryView,
    RevisionView,
    TrashView,
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
from drystone.client.bootstrap.checking import Finding, check_device
from drystone.client.bootstrap.daemon import run_daemon, start_daemon, stop_daemon
from drystone.client.bootstrap.ignoring import (
    add_rules,
    check_rules,
    extend_rules,
    read_rules_file,
)
from drystone.client.bootstrap.inspecting import ConflictView, list_conflicts, list_problems
from drystone.client.bootstrap.repairing import repair_roots
from drystone.client.bootstrap.reviewing import (
    ACCEPT,
    UNDO,
    answer_review,
    find_review,
    tell_review,
)
from drystone.client.bootstrap.roots import forget_root, get_root, list_roots, open_root
from drystone.client.bootstrap.selecting import (
    LeavingView,
    UnselectedView,
    choose_folders,
    examine_folders,
    find_folders,
    find_unselected,
    list_unselected,
)
from drystone.client.bootstrap.syncing import sync_forever, sync_once
from drystone.client.bootstrap.telling.receipt import FileReceipt, Receipt, make_receipt
from drystone.client.bootstrap.telling.standing import describe_device
from drystone.client.bootstrap.telling.why import why
from drystone.client.loop.summary import Summary
from drystone.core.planning.review import Review

__all__ = [
    "ACCEPT",
    "UNDO",
    "ConflictView",
    "DeviceView",
    "EntryView",
    "FileReceipt",
    "Finding",
    "LeavingView",
    "Receipt",
    "Review",
    "RevisionView",
    "RootLine",
    "Summary",
    "TrashView",
    "UnselectedView",
    "add_rules",
    "allow_device",
    "answer_review",
    "check_device",
    "check_rules",
    "check_server",
    "choose_folders",
    "describe_device",
    "examine_folders",
    "extend_rules",
    "find_folders",
    "find_review",
    "find_size",
    "find_unselected",
    "forget_root",
    "get_file",
    "get_root",
    "list_conflicts",
    "list_devices",
    "list_entries",
    "list_history",
    "list_problems",
    "list_roots",
    "list_trash",
    "list_unselected",
    "login",
    "logout",
    "make_folder",
    "make_receipt",
    "move_entry",
    "open_root",
    "put_file",
    "read_rules_file",
    "remove_entry",
    "repair_roots",
    "restore_entry",
    "revoke_device",
    "run_daemon",
    "start_daemon",
    "stop_daemon",
    "sync_forever",
    "sync_once",
    "tell_review",
    "why",
]
