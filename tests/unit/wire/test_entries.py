# SPDX-License-Identifier: Apache-2.0
"""Entries on the wire: they survive it, and impossible ones are refused."""

from hashlib import sha256

import msgspec
import pytest

from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.ids import ROOT_ID
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.limits import BLOCK_BYTES_MAX, FILE_BYTES_MAX, SYMLINK_TARGET_BYTES_MAX
from drystone.core.tree.entry import Entry, Kind
from drystone.wire.codec import MalformedMessage, decode, encode
from drystone.wire.entries import (
    entry_from_wire,
    entry_to_wire,
    stored_from_wire,
    stored_to_wire,
)
from drystone.wire.messages import WireEntry

ID = b"i" * 16
ROOT = b"r" * 32
ONE_BLOCK = Content(1234, ROOT, False, sha256(ROOT).digest())
CHUNKED = Content(50_000_000, ROOT, True, b"h" * 32)


def entry_of(kind=Kind.FILE, content=ONE_BLOCK, mode=0o644, mtime_ns=1_700_000_000_000_000_001):
    target = "../there" if kind is Kind.SYMLINK else ""
    return Entry(ID, ROOT_ID, "näme", kind, content, mode, mtime_ns, target, 7)


ENTRIES = [
    entry_of(),
    entry_of(content=CHUNKED),
    entry_of(content=EMPTY_CONTENT),
    entry_of(mtime_ns=-5),
    entry_of(Kind.FOLDER, None, 0o755, 0),
    entry_of(Kind.SYMLINK, None, 0),
]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("action", list(Action))
def test_an_entry_survives_the_wire(entry, action):
    stored = StoredEntry(entry, 9, action)
    sent = decode(WireEntry, encode(stored_to_wire(stored)))
    assert stored_from_wire(sent) == stored
    assert type(stored_from_wire(sent).entry.kind) is Kind
    assert type(stored_from_wire(sent).action) is Action


def test_what_follows_from_the_block_is_not_sent():
    assert entry_to_wire(entry_of()).hash == b""
    assert entry_to_wire(entry_of(content=CHUNKED)).hash == CHUNKED.content_hash


FILE = entry_to_wire(entry_of(), 9)
LARGE = entry_to_wire(entry_of(content=CHUNKED), 9)
LINK = entry_to_wire(entry_of(Kind.SYMLINK, None, 0), 9)


@pytest.mark.parametrize(
    ("wire", "changes"),
    [
        (FILE, {"id": b""}),
        (FILE, {"id": b"i" * 17}),
        (FILE, {"parent": b"p" * 15}),
        (FILE, {"name": "\ud800"}),
        (FILE, {"kind": 0}),
        (FILE, {"kind": 4}),
        (FILE, {"seq": -1}),
        (FILE, {"seq": 2**63}),
        (FILE, {"rev": -1}),
        (FILE, {"rev": 2**63}),
        (FILE, {"action": 0}),
        (FILE, {"action": 6}),
        (FILE, {"mode": 0o1777}),
        (FILE, {"mode": -1}),
        (FILE, {"mtime": 2**63}),
        (FILE, {"mtime": -(2**63)}),
        (FILE, {"size": 0}),
        (FILE, {"size": -1}),
        (FILE, {"size": BLOCK_BYTES_MAX + 1}),
        (FILE, {"root": b""}),
        (FILE, {"root": b"r" * 31}),
        (FILE, {"hash": b"h" * 32}),
        (LARGE, {"hash": b""}),
        (LARGE, {"hash": b"h" * 33}),
        (LARGE, {"root": b""}),
        (LARGE, {"size": 1000}),
        (LARGE, {"size": FILE_BYTES_MAX + 1}),
        (LINK, {"target": ""}),
        (LINK, {"target": "a\0b"}),
        (LINK, {"target": "\udcff"}),
        (LINK, {"target": "ä" * (SYMLINK_TARGET_BYTES_MAX // 2 + 1)}),
    ],
)
def test_an_impossible_entry_is_refused(wire, changes):
    stored_from_wire(wire)
    with pytest.raises(MalformedMessage) as caught:
        stored_from_wire(msgspec.structs.replace(wire, **changes))
    caught.value.message.encode()


def test_a_hash_that_follows_anyway_may_be_sent():
    sent = msgspec.structs.replace(FILE, hash=ONE_BLOCK.content_hash)
    assert entry_from_wire(sent) == entry_of()


def test_what_a_kind_does_not_have_is_dropped():
    folder = msgspec.structs.replace(FILE, kind=2, target="x")
    assert entry_from_wire(folder) == Entry(ID, ROOT_ID, "näme", Kind.FOLDER, None, 0o644, 0, "", 7)
