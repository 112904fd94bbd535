# SPDX-License-Identifier: Apache-2.0
"""Commits and outcomes on the wire."""

import msgspec
import pytest

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
from drystone.core.limits import COMMIT_CHANGES_MAX, MISSING_BLOCKS_MAX
from drystone.core.tree.entry import Kind
from drystone.wire.changes import (
    change_from_wire,
    change_to_wire,
    commit_from_wire,
    commit_to_wire,
    outcome_from_wire,
    outcome_to_wire,
)
from drystone.wire.codec import MalformedMessage, MessageTooLarge, decode, encode
from drystone.wire.messages import CommitRequest, DeleteChange, WireOutcome
from tests.unit.wire.test_entries import CHUNKED, ENTRIES, ID, ONE_BLOCK

OTHER = b"o" * 16
CREATES = [Create(entry._replace(rev=0), OnConflict.COPY) for entry in ENTRIES]
CHANGES = [
    *CREATES,
    Edit(ID, 5, ONE_BLOCK, 0o600, 12, on_conflict=OnConflict.COPY),
    Edit(ID, 5, CHUNKED, 0o600, -12),
    Edit(ID, 5, None, 0o777, 12, "target"),
    Edit(ID, 5, None, 0o700, 0),
    Move(ID, ROOT_ID, "new", OTHER, "old"),
    Delete(ID, 5),
    Restore(ID),
    Restore(ID, 4, ROOT_ID, "back"),
]


def test_a_commit_survives_the_wire():
    for all_or_nothing in (False, True):
        commit = Commit(tuple(CHANGES), 77, all_or_nothing)
        sent = decode(CommitRequest, encode(commit_to_wire(commit)))
        assert commit_from_wire(sent) == commit


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_keeps_its_types(change):
    returned = change_from_wire(change_to_wire(change))
    assert returned == change
    assert type(returned) is type(change)


def test_an_impossible_commit_is_refused():
    delete = DeleteChange(ID, 1)
    with pytest.raises(MalformedMessage):
        commit_from_wire(CommitRequest([]))
    with pytest.raises(MalformedMessage):
        commit_from_wire(CommitRequest([delete], -1))
    with pytest.raises(MessageTooLarge):
        commit_from_wire(CommitRequest([delete] * (COMMIT_CHANGES_MAX + 1)))
    commit_from_wire(CommitRequest([delete] * COMMIT_CHANGES_MAX))


EDIT, LINK_EDIT = CHANGES[len(CREATES)], CHANGES[len(CREATES) + 2]


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (CREATES[0], {"on_conflict": 2}),
        (EDIT, {"id": b"short"}),
        (EDIT, {"base_rev": -1}),
        (EDIT, {"base_rev": 2**63}),
        (EDIT, {"kind": 9}),
        (EDIT, {"mode": 0o7777}),
        (EDIT, {"mtime": 2**70}),
        (EDIT, {"root": b"x"}),
        (EDIT, {"on_conflict": -1}),
        (LINK_EDIT, {"target": ""}),
        (CHANGES[-4], {"parent": b""}),
        (CHANGES[-4], {"base_parent": b"x"}),
        (CHANGES[-4], {"name": "\ud800"}),
        (CHANGES[-4], {"base_name": "\ud800"}),
        (CHANGES[-3], {"id": b""}),
        (CHANGES[-2], {"rev": -1}),
        (CHANGES[-1], {"parent": b"x"}),
        (CHANGES[-1], {"name": "\ud800"}),
    ],
)
def test_an_impossible_change_is_refused(change, changes):
    with pytest.raises(MalformedMessage):
        change_from_wire(msgspec.structs.replace(change_to_wire(change), **changes))


def send(outcome, change):
    return outcome_from_wire(decode(WireOutcome, encode(outcome_to_wire(outcome, change))), change)


@pytest.mark.parametrize("create", CREATES)
def test_an_accepted_creation_comes_back_whole(create):
    accepted = Accepted(12, 12, create.entry._replace(rev=12))
    assert send(accepted, create) == accepted
    kept_as_copy = Accepted(12, 12, create.entry._replace(rev=12, name="x (conflicted copy)"))
    assert send(kept_as_copy, create) == kept_as_copy


def test_of_an_accepted_edit_comes_back_what_it_said():
    entry = ENTRIES[0]._replace(content=ONE_BLOCK, mode=0o600, mtime_ns=12, rev=12)
    found = send(Accepted(12, 12, entry), EDIT)
    assert found == Accepted(12, 12, entry._replace(parent_id=ROOT_ID, name=""))


def test_an_edit_kept_as_a_copy_tells_its_new_id():
    copy = ENTRIES[0]._replace(file_id=OTHER, name="x (conflicted copy)", rev=12)
    found = send(Accepted(12, 12, copy), EDIT)
    assert (found.entry.file_id, found.entry.name) == (OTHER, "x (conflicted copy)")


@pytest.mark.parametrize("change", CHANGES[len(CREATES) :])
def test_of_each_accepted_change_come_back_seq_and_rev(change):
    accepted = Accepted(12, 5, ENTRIES[0]._replace(rev=5))
    found = send(accepted, change)
    assert (found.seq, found.rev, found.entry.rev, found.entry.file_id) == (12, 5, 5, ID)
    assert type(found.entry.kind) is Kind


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("name-taken", "there is one", OTHER),
        Refusal("blocks-missing", "send them", None, (b"a" * 32, b"b" * 32)),
        Refusal("not-found", "no such entry"),
    ],
)
def test_a_refusal_comes_back_whole(refusal):
    assert send(refusal, EDIT) == refusal


def test_no_more_missing_blocks_are_named_than_fit():
    missing = tuple(number.to_bytes(32, "big") for number in range(MISSING_BLOCKS_MAX + 5))
    found = send(Refusal("blocks-missing", "send them", None, missing), EDIT)
    assert found.missing == missing[:MISSING_BLOCKS_MAX]


@pytest.mark.parametrize(
    "wire",
    [
        WireOutcome(),
        WireOutcome(-1, 1),
        WireOutcome(2**63, 1),
        WireOutcome(5, -1),
        WireOutcome(5, 5, "copy", b"short"),
        WireOutcome(5, 5, "\ud800", ID),
        WireOutcome(code="x", occupant=b"short"),
        WireOutcome(code="x", missing=b"short"),
    ],
)
def test_an_impossible_outcome_is_refused(wire):
    with pytest.raises(MalformedMessage):
        outcome_from_wire(wire, EDIT)
