# SPDX-License-Identifier: Apache-2.0
"""Kept: lists of ids and of folders, as settings of a synced folder."""

import json
from collections.abc import Iterable

from drystone.client.ports import State
from drystone.core.ids import FileId, Rev, Seq
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry, Kind

Folders = dict[FileId, StoredEntry | None]
"""Folders as the server was last known to have them; None: that is not known."""


def read_ids(state: State, key: str) -> list[FileId]:
    """Returns the ids kept under a key."""
    text = state.get(key)
    return [FileId(bytes.fromhex(part)) for part in text.split(",")] if text else []


def write_ids(state: State, key: str, file_ids: Iterable[FileId]) -> None:
    """Keeps ids under a key, each once."""
    state.put(key, ",".join(file_id.hex() for file_id in dict.fromkeys(file_ids)))


def read_folders(state: State, key: str) -> Folders:
    """Returns the folders kept under a key."""
    return decode_folders(state.get(key))


def write_folders(state: State, key: str, folders: Folders) -> None:
    """Keeps folders under a key."""
    state.put(key, _encode(folders))


def _encode(folders: Folders) -> str:
    if not folders:
        return ""
    lines = {
        file_id.hex(): stored
        and (
            stored.entry.parent_id.hex(),
            stored.entry.name,
            stored.entry.mode,
            stored.entry.rev,
            stored.seq,
        )
        for file_id, stored in folders.items()
    }
    return json.dumps(lines, separators=(",", ":"))


def decode_folders(text: str) -> Folders:
    """Reads what ``write_folders`` wrote."""
    found: Folders = {}
    for hex_id, line in json.loads(text or "{}").items():
        file_id, stored = FileId(bytes.fromhex(hex_id)), None
        if line is not None:
            parent, name, mode, rev, seq = line
            parent_id = FileId(bytes.fromhex(parent))
            entry = Entry(file_id, parent_id, name, Kind.FOLDER, None, mode, 0, "", Rev(rev))
            stored = StoredEntry(entry, Seq(seq), Action.EDIT)
        found[file_id] = stored
    return found
