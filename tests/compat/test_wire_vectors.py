# SPDX-License-Identifier: Apache-2.0
"""Golden vectors of the native protocol, version 1: what is said is said like this.

Fields may be added to messages; what stands here must be read, and be written, for ever.
"""

import json

import pytest

from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import content_hash_of_block_id
from drystone.core.ids import ROOT_ID
from drystone.core.journal.change import (
    Accepted,
    Commit,
    Create,
    Delete,
    Edit,
    Move,
    OnConflict,
    Refusal,
    Restore,
)
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.tree.entry import Entry, Kind
from drystone.wire.changes import (
    change_from_wire,
    commit_from_wire,
    commit_to_wire,
    outcome_from_wire,
    outcome_to_wire,
)
from drystone.wire.codec import decode, encode
from drystone.wire.entries import stored_from_wire, stored_to_wire
from drystone.wire.messages import CommitRequest, Problem, WireEntry, WireOutcome
from drystone.wire.version import IDEMPOTENCY_HEADER, PROTOCOL_HEADER, REQUEST_ID_HEADER

ID, FOLDER = b"\x01" * 16, b"\x02" * 16
ID64, FOLDER64, ROOT64 = "AQEBAQEBAQEBAQEBAQEBAQ==", "AgICAgICAgICAgICAgICAg==", "A" * 22 + "=="
BLOCK, HASH = b"\x03" * 32, b"\x04" * 32
BLOCK64, HASH64 = "A" + "wMDA" * 10 + "wM=", "B" + "AQEB" * 10 + "AQ="

ONE_BLOCK = Content(5, BLOCK, False, content_hash_of_block_id(BLOCK))
CHUNKED = Content(5_000_000, BLOCK, True, HASH)

ENTRIES = [
    (
        Entry(ID, ROOT_ID, "ü.txt", Kind.FILE, ONE_BLOCK, 0o644, 1_700_000_000_123_456_789, "", 7),
        {"id": ID64, "parent": ROOT64, "name": "ü.txt", "kind": 1, "seq": 9, "rev": 7, "size": 5,
         "root": BLOCK64, "mode": 420, "mtime": 1_700_000_000_123_456_789},
    ),
    (
        Entry(ID, FOLDER, "large", Kind.FILE, CHUNKED, 0, 0, "", 7),
        {"id": ID64, "parent": FOLDER64, "name": "large", "kind": 1, "seq": 9, "rev": 7,
         "size": 5_000_000, "root": BLOCK64, "chunked": True, "hash": HASH64},
    ),
    (
        Entry(ID, FOLDER, "empty", Kind.FILE, EMPTY_CONTENT, 0o755, -1, "", 7),
        {"id": ID64, "parent": FOLDER64, "name": "empty", "kind": 1, "seq": 9, "rev": 7,
         "mode": 493, "mtime": -1},
    ),
    (
        Entry(FOLDER, ROOT_ID, "folder", Kind.FOLDER, None, 0o755, 0, "", 7),
        {"id": FOLDER64, "parent": ROOT64, "name": "folder", "kind": 2, "seq": 9, "rev": 7,
         "mode": 493},
    ),
    (
        Entry(ID, FOLDER, "link", Kind.SYMLINK, None, 0o777, 1, "../ü", 7),
        {"id": ID64, "parent": FOLDER64, "name": "link", "kind": 3, "seq": 9, "rev": 7,
         "mode": 511, "mtime": 1, "target": "../ü"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "said"), ENTRIES)
def test_entries(entry, said):
    stored = StoredEntry(entry, 9, Action.CREATE)
    assert json.loads(encode(stored_to_wire(stored))) == said
    assert stored_from_wire(decode(WireEntry, json.dumps(said).encode())) == stored


def test_actions():
    actions = {"CREATE": 1, "EDIT": 2, "MOVE": 3, "DELETE": 4, "RESTORE": 5}
    assert {action.name: action.value for action in Action} == actions
    deleted = stored_to_wire(StoredEntry(ENTRIES[3][0], 9, Action.DELETE))
    assert json.loads(encode(deleted))["action"] == 4


CHANGES = [
    (
        Create(ENTRIES[3][0]._replace(rev=0)),
        {"do": "create",
         "entry": {"id": FOLDER64, "parent": ROOT64, "name": "folder", "kind": 2, "mode": 493}},
    ),
    (
        Edit(ID, 7, CHUNKED, 0o600, 5, on_conflict=OnConflict.COPY),
        {"do": "edit", "id": ID64, "base_rev": 7, "size": 5_000_000, "root": BLOCK64,
         "chunked": True, "hash": HASH64, "mode": 384, "mtime": 5, "on_conflict": 1},
    ),
    (
        Edit(ID, 7, None, 0, 0, "there"),
        {"do": "edit", "id": ID64, "base_rev": 7, "kind": 3, "target": "there"},
    ),
    (
        Move(ID, ROOT_ID, "new", FOLDER, "old"),
        {"do": "move", "id": ID64, "parent": ROOT64, "name": "new", "base_parent": FOLDER64,
         "base_name": "old"},
    ),
    (Delete(ID, 7), {"do": "delete", "id": ID64, "base_rev": 7}),
    (Restore(ID, 3), {"do": "restore", "id": ID64, "rev": 3}),
    (
        Restore(ID, 0, ROOT_ID, "back"),
        {"do": "restore", "id": ID64, "parent": ROOT64, "name": "back"},
    ),
]  # fmt: skip


def test_commits():
    commit = Commit(tuple(change for change, _ in CHANGES), 11, all_or_nothing=True)
    said = {"changes": [said for _, said in CHANGES], "seen_seq": 11, "all_or_nothing": True}
    assert json.loads(encode(commit_to_wire(commit))) == said
    assert commit_from_wire(decode(CommitRequest, json.dumps(said).encode())) == commit


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_changes(change, said):
    request = decode(CommitRequest, json.dumps({"changes": [said]}).encode())
    assert change_from_wire(request.changes[0]) == change


CREATE = Create(ENTRIES[0][0]._replace(rev=0))


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Accepted(12, 12, ENTRIES[0][0]._replace(rev=12)), {"seq": 12, "rev": 12}),
        (
            Accepted(12, 12, ENTRIES[0][0]._replace(rev=12, name="copy")),
            {"seq": 12, "rev": 12, "name": "copy", "id": ID64},
        ),
        (
            Refusal("name-taken", "why", FOLDER),
            {"code": "name-taken", "message": "why", "occupant": FOLDER64},
        ),
        (
            Refusal("blocks-missing", "why", None, (BLOCK,)),
            {"code": "blocks-missing", "message": "why", "missing": BLOCK64},
        ),
    ],
)
def test_outcomes(outcome, said):
    assert json.loads(encode(outcome_to_wire(outcome, CREATE))) == said
    assert outcome_from_wire(decode(WireOutcome, json.dumps(said).encode()), CREATE) == outcome


def test_problem():
    said = {
        "type": "urn:drystone:problem:x", "title": "t", "status": 503, "code": "x",
        "detail": "d", "advice": "a", "retryable": True, "retry_after_s": 1.5, "request_id": "r",
    }  # fmt: skip
    problem = Problem("urn:drystone:problem:x", "t", 503, "x", "d", "a", True, 1.5, "r")
    assert json.loads(encode(problem)) == said
    assert decode(Problem, json.dumps(said).encode()) == problem


def test_headers():
    names = (PROTOCOL_HEADER, IDEMPOTENCY_HEADER, REQUEST_ID_HEADER)
    assert names == ("Drystone-Protocol", "Idempotency-Key", "Request-Id")
