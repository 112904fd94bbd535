# SPDX-License-Identifier: Apache-2.0
"""Laws of the wire: what is said is understood, and nonsense is refused politely."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.frame import Codec, Frame
from drystone.core.content.hashing import content_hash_of_block_id
from drystone.core.errors import Refused, Unavailable
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
from drystone.core.limits import BLOCK_BYTES_MAX, FILE_BYTES_MAX, SMALL_FILE_BYTES_MAX
from drystone.core.tree.entry import Entry, Kind
from drystone.wire import messages
from drystone.wire.bundle import BundleReader, BundleWriter
from drystone.wire.changes import (
    commit_from_wire,
    commit_to_wire,
    outcome_from_wire,
    outcome_to_wire,
)
from drystone.wire.codec import decode, decode_body, encode, encode_body
from drystone.wire.entries import stored_from_wire, stored_to_wire
from drystone.wire.messages import CommitRequest, WireEntry, WireOutcome

FILE_IDS = st.binary(min_size=16, max_size=16)
HASHES = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
MTIMES = st.integers(-(2**63) + 1, 2**63 - 1)
MODES = st.integers(0, 0o777)
TARGETS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)

CONTENTS = (
    st.just(EMPTY_CONTENT)
    | st.builds(
        lambda size, root: Content(size, root, False, content_hash_of_block_id(root)),
        st.integers(1, BLOCK_BYTES_MAX),
        HASHES,
    )
    | st.builds(
        Content,
        st.integers(SMALL_FILE_BYTES_MAX + 1, FILE_BYTES_MAX),
        HASHES,
        st.just(True),
        HASHES,
    )
)


@st.composite
def entries(draw):
    kind = draw(st.sampled_from(Kind))
    return Entry(
        draw(FILE_IDS),
        draw(FILE_IDS),
        draw(TEXTS),
        kind,
        draw(CONTENTS) if kind is Kind.FILE else None,
        draw(MODES),
        0 if kind is Kind.FOLDER else draw(MTIMES),
        draw(TARGETS) if kind is Kind.SYMLINK else "",
        draw(NUMBERS),
    )


STORED = st.builds(StoredEntry, entries(), NUMBERS, st.sampled_from(Action))


@st.composite
def edits(draw):
    entry = draw(entries())
    return Edit(
        entry.file_id, draw(NUMBERS), entry.content, entry.mode, entry.mtime_ns, entry.target,
        draw(st.sampled_from(OnConflict)),
    )  # fmt: skip


CHANGES = (
    st.builds(Create, entries().map(lambda e: e._replace(rev=0)), st.sampled_from(OnConflict))
    | edits()
    | st.builds(Move, FILE_IDS, FILE_IDS, TEXTS, FILE_IDS, TEXTS)
    | st.builds(Delete, FILE_IDS, NUMBERS)
    | st.builds(Restore, FILE_IDS, NUMBERS, st.none() | FILE_IDS, TEXTS)
)


@given(st.lists(STORED, max_size=30))
def test_a_page_of_entries_survives_the_wire(stored):
    page = messages.ChangesPage([stored_to_wire(each) for each in stored], "cursor", 5)
    body, encoding = encode_body(page, accept_zstd=True)
    found = decode_body(messages.ChangesPage, body, encoding)
    assert [stored_from_wire(wire) for wire in found.entries] == stored


@given(st.lists(CHANGES, min_size=1, max_size=8), NUMBERS, st.booleans())
def test_a_commit_survives_the_wire(changes, seen_seq, all_or_nothing):
    commit = Commit(tuple(changes), seen_seq, all_or_nothing)
    assert commit_from_wire(decode(CommitRequest, encode(commit_to_wire(commit)))) == commit


@given(entries(), st.integers(1, 2**63 - 1), TEXTS.filter(bool), FILE_IDS)
def test_an_outcome_of_a_creation_survives_the_wire(entry, seq, name, file_id):
    create = Create(entry._replace(rev=0))
    for accepted_entry in (entry, entry._replace(name=name, file_id=file_id)):
        outcome = Accepted(seq, entry.rev, accepted_entry)
        sent = decode(WireOutcome, encode(outcome_to_wire(outcome, create)))
        assert outcome_from_wire(sent, create) == outcome


@given(CHANGES, TEXTS.filter(bool), TEXTS, st.none() | FILE_IDS, st.lists(HASHES, max_size=5))
def test_a_refusal_survives_the_wire(change, code, message, occupant, missing):
    refusal = Refusal(code, message, occupant, tuple(missing))
    sent = decode(WireOutcome, encode(outcome_to_wire(refusal, change)))
    assert outcome_from_wire(sent, change) == refusal


HOSTILE = {
    "id": st.binary(max_size=33),
    "parent": st.binary(max_size=33),
    "name": st.text(st.characters(), max_size=10),
    "target": st.text(st.characters(), max_size=10),
    "kind": st.integers(),
    "action": st.integers(),
    "seq": st.integers(),
    "rev": st.integers(),
    "size": st.integers(),
    "mode": st.integers(),
    "mtime": st.integers(),
    "root": st.binary(max_size=33),
    "hash": st.binary(max_size=33),
    "chunked": st.booleans(),
}


@given(STORED, st.lists(st.sampled_from(sorted(HOSTILE)), max_size=3), st.data())
def test_a_hostile_entry_is_refused_or_sound(stored, fields, data):
    changed = {field: data.draw(HOSTILE[field]) for field in fields}
    wire = msgspec.structs.replace(stored_to_wire(stored), **changed)
    try:
        found = stored_from_wire(wire)
    except Refused as error:
        error.message.encode()
        return
    # What was taken can be said again, and is then understood alike.
    assert stored_from_wire(decode(WireEntry, encode(stored_to_wire(found)))) == found
    assert len(found.entry.file_id) == len(found.entry.parent_id) == 16
    assert 0 <= found.entry.mode <= 0o777


MESSAGES = [
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, messages.Message) and kind.__struct_fields__
]


@pytest.mark.parametrize("kind", MESSAGES)
@given(body=st.binary(max_size=200), encoding=st.sampled_from([None, "zstd", "gzip"]))
def test_junk_is_no_message(kind, body, encoding):
    with pytest.raises(Refused):
        decode_body(kind, body, encoding)


@st.composite
def frames(draw):
    codec = draw(st.sampled_from([Codec.RAW, Codec.ZSTD, Codec.DELTA, Codec.PATCH]))
    payload = draw(st.binary(min_size=1, max_size=300))
    plain_bytes = len(payload) + (0 if codec == Codec.RAW else draw(st.integers(0, 99)))
    base = draw(HASHES) if codec in (Codec.DELTA, Codec.PATCH) else None
    return Frame(draw(HASHES), plain_bytes, int(codec), payload, base)


def bundle_of(sent):
    writer = BundleWriter()
    parts = [writer.begin(), *(part for frame in sent for part in writer.frame(frame))]
    return b"".join([*parts, writer.end()])


@given(st.lists(frames(), max_size=6), st.lists(st.integers(1, 200), min_size=1, max_size=20))
def test_a_bundle_is_the_same_however_it_comes_apart(sent, steps):
    bundle = bundle_of(sent)
    reader = BundleReader()
    found = []
    start = turn = 0
    while start < len(bundle):
        step = steps[turn % len(steps)]
        arrived = reader.feed(bundle[start : start + step])
        found += [frame._replace(payload=bytes(frame.payload)) for frame in arrived]
        start += step
        turn += 1
    reader.finish()
    assert found == sent


@given(st.lists(frames(), max_size=3), st.integers(0, 2_000), st.binary(max_size=60))
def test_a_damaged_bundle_is_refused_or_broken_off(sent, position, junk):
    bundle = bundle_of(sent)
    damaged = bundle[:position] + junk + bundle[position + len(junk) :]
    reader = BundleReader()
    try:
        reader.feed(damaged)
        reader.finish()
    except (Refused, Unavailable):
        return
    assert len(damaged) == len(bundle)
