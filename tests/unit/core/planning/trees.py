# SPDX-License-Identifier: Apache-2.0
"""Three trees for planner tests, written down shortly."""

from hashlib import sha256

from drystone.core.content.content import Content
from drystone.core.ids import ROOT_ID, BlockId, FileId, Rev
from drystone.core.planning.plan import Plan
from drystone.core.planning.policy import Policy
from drystone.core.planning.reconcile import reconcile
from drystone.core.tree.entry import Entry, Kind


def make_id(number: int) -> FileId:
    return FileId(number.to_bytes(16, "big"))


def make_content(text: str) -> Content:
    digest = sha256(text.encode()).digest()
    return Content(len(text) + 1, BlockId(digest), False, digest)


def file(number: int, name: str, parent: int = 0, text: str = "text", **changes) -> Entry:
    entry = Entry(
        make_id(number), make_id(parent), name, Kind.FILE, make_content(text), 0o644, 5, "", Rev(1)
    )
    return entry._replace(**changes)


def folder(number: int, name: str, parent: int = 0, **changes) -> Entry:
    entry = Entry(make_id(number), make_id(parent), name, Kind.FOLDER, None, 0o755, 0, "", Rev(1))
    return entry._replace(**changes)


class View:
    """A tree that may hold anything, rings too."""

    def __init__(self, entries) -> None:
        self._entries = {entry.file_id: entry for entry in entries}

    def find(self, file_id: FileId) -> Entry | None:
        return self._entries.get(file_id)

    def children(self, parent_id: FileId) -> dict[str, Entry]:
        return {e.name: e for e in self._entries.values() if e.parent_id == parent_id}


def make_policy(**changes) -> Policy:
    numbers = iter(range(900, 1_000))
    policy = Policy("laptop", "2026-11-21", lambda: make_id(next(numbers)), ROOT_ID)
    return policy._replace(**changes)


def plan(synced, local=None, remote=None, only=None, **policy) -> Plan:
    """Plans from lists of entries; a side that is not given is as synced."""
    sides = [synced if side is None else side for side in (local, remote)]
    candidates = {e.file_id for side in (synced, *sides) for e in side}
    if only is not None:
        candidates = {make_id(number) for number in only}
    views = [View(entries) for entries in (sides[0], synced, sides[1])]
    return reconcile(sorted(candidates), *views, make_policy(**policy))
