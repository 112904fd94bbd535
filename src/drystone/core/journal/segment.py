# SPDX-License-Identifier: Apache-2.0
"""Segments: records of one journal as bytes that stand for themselves.

A *stretch* has all records from its first seq to its last; a *cut* has the last records of entries,
each perhaps several times, up to its last seq: what comes later counts, and together the cuts of a
checkpoint are the tree. Both tell the marks of the records before and at their end, by which
segments of one life of a journal are told from those of another. docs/formats/journal-segment.md
is the table of bytes.
"""

from collections.abc import Sequence
from enum import IntEnum
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812  it is an exception
from typing import Any, Final, NamedTuple

from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import content_hash_of_block_id
from drystone.core.content.zstd import compress, decompress
from drystone.core.errors import Corrupt
from drystone.core.ids import (
    BLOCK_ID_BYTES,
    ID_BYTES,
    AccountId,
    BlockId,
    DeviceId,
    FileId,
    NamespaceId,
    Rev,
    Seq,
)
from drystone.core.journal.eras import ERA_ID_BYTES, MARK_BYTES, Era
from drystone.core.journal.record import Action, Record
from drystone.core.limits import MIB
from drystone.core.tree.entry import Entry, Kind

SEGMENT_TAG: Final = b"DSJRNL1\n"
SEGMENT_RECORDS_MAX: Final = 4_096
"""Records in one segment. Stretches begin at multiples of it, so that who goes on writing knows
where the one before began."""

BODY_BYTES_MAX: Final = 32 * MIB
"""Of a segment's body, decompressed: the longest names and targets in all of its records."""

_COMPRESSION_LEVEL: Final = 3


class CorruptSegment(Corrupt):
    """The bytes of a journal segment are damaged, cut off, or of a newer version."""

    code = "corrupt-segment"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"a journal segment cannot be read: {what}",
            advice="Restore the object from a backup of the object store, if there is one.",
        )


class SegmentKind(IntEnum):
    """What a segment holds. The numbers are part of the format."""

    STRETCH = 1
    """All records from the first seq to the last."""
    CUT = 2
    """Last records of entries between these seqs."""


class Segment(NamedTuple):
    """Records of one journal.

    Attributes:
        kind: All of them, or only last ones.
        namespace_id: Whose journal.
        account_id: Who owns the namespace.
        first_seq: Of a stretch's first record; of a cut, the seq after which it begins, plus one.
        last_seq: Of the last record.
        before_mark: Of the record before a stretch (``eras.make_mark``); zeros at its beginning
            and in a cut.
        last_mark: Of the last record.
        eras: Those that began in a stretch; in a cut, all up to its end. Oldest first.
        records: By seq.
    """

    kind: SegmentKind
    namespace_id: NamespaceId
    account_id: AccountId
    first_seq: Seq
    last_seq: Seq
    before_mark: bytes
    last_mark: bytes
    eras: tuple[Era, ...]
    records: tuple[Record, ...]


def encode_segment(segment: Segment) -> bytes:
    """Returns the bytes of a segment: the same for the same records, wherever it is done."""
    assert 0 < len(segment.records) <= SEGMENT_RECORDS_MAX, "too many records, or none"
    body = _encode_body(segment)
    assert len(body) <= BODY_BYTES_MAX, "records longer than they may be"
    head = _HEAD.pack(
        SEGMENT_TAG,
        segment.kind,
        segment.namespace_id,
        segment.account_id,
        segment.first_seq,
        segment.last_seq,
        segment.before_mark,
        segment.last_mark,
        len(segment.records),
        len(segment.eras),
        len(body),
    )
    encoded = head + compress(body, _COMPRESSION_LEVEL)
    return encoded + sha256(encoded).digest()


def decode_segment(data: bytes) -> Segment:
    """Returns the segment that these bytes are. Nothing is allocated beyond ``BODY_BYTES_MAX``.

    Raises:
        CorruptSegment: They are none, or not whole.
    """
    if len(data) < _HEAD.size + _CHECK_BYTES:
        raise CorruptSegment("it is cut off")
    if not data.startswith(SEGMENT_TAG):
        raise CorruptSegment("it does not begin as one of a version known here")
    if sha256(memoryview(data)[:-_CHECK_BYTES]).digest() != data[-_CHECK_BYTES:]:
        raise CorruptSegment("its bytes do not have the SHA-256 at their end")
    (
        _, kind, namespace_id, account_id, first_seq, last_seq, before_mark, last_mark,
        records_count, eras_count, body_bytes,
    ) = _HEAD.unpack_from(data)  # fmt: skip
    if body_bytes > BODY_BYTES_MAX or not 0 < records_count <= SEGMENT_RECORDS_MAX:
        raise CorruptSegment("it claims more than a segment may hold")
    try:
        body = decompress(memoryview(data)[_HEAD.size : -_CHECK_BYTES], body_bytes)
        eras, records = _decode_body(body, eras_count, records_count)
        segment = Segment(
            SegmentKind(kind),
            NamespaceId(namespace_id),
            AccountId(account_id),
            Seq(first_seq),
            Seq(last_seq),
            before_mark,
            last_mark,
            eras,
            records,
        )
    except (Corrupt, StructError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise CorruptSegment(f"its body does not follow the format ({error})") from error
    _check(segment)
    return segment


def _check(segment: Segment) -> None:
    """Raises ``CorruptSegment`` if the records are not those that the head tells of."""
    seqs = [record.seq for record in segment.records]
    if segment.kind is SegmentKind.STRETCH:
        is_fit = seqs == list(range(segment.first_seq, segment.last_seq + 1))
    else:
        is_fit = seqs == sorted(set(seqs)) and segment.first_seq <= seqs[0]
    if not is_fit or seqs[-1] != segment.last_seq:
        raise CorruptSegment("its records are not those that its head tells of")


# --- the body -----------------------------------------------------------------------------------


def _encode_body(segment: Segment) -> bytes:
    authors: dict[tuple[AccountId, DeviceId], int] = {}
    rows: list[bytes] = []
    for record in segment.records:
        author = authors.setdefault((record.account_id, record.device_id), len(authors))
        rows += _encode_record(record, author)
    eras = b"".join(_ERA.pack(era.era_id, era.first_seq) for era in segment.eras)
    who = b"".join(account_id + device_id for account_id, device_id in authors)
    return b"".join([eras, _COUNT.pack(len(authors)), who, *rows])


def _encode_record(record: Record, author: int) -> tuple[bytes, ...]:
    entry = record.entry
    content = entry.content
    flags = 0
    size_bytes, root, content_hash = 0, b"", b""
    if content is not None:
        flags = _HAS_CONTENT
        size_bytes, root = content.size_bytes, content.root
        if root:
            flags |= _HAS_ROOT
        if content.chunked:
            flags |= _IS_CHUNKED
        if content.content_hash != content_hash_of_block_id(content.root):
            flags |= _HAS_HASH
            content_hash = content.content_hash
    name, target = entry.name.encode(), entry.target.encode()
    row = _ROW.pack(
        record.seq,
        record.action,
        entry.kind,
        flags,
        entry.mode,
        author,
        entry.rev,
        entry.mtime_ns,
        record.at_ns,
        size_bytes,
        len(name),
        len(target),
        entry.file_id,
        entry.parent_id,
    )
    return row, root, content_hash, name, target


def _decode_body(
    body: bytes, eras_count: int, records_count: int
) -> tuple[tuple[Era, ...], tuple[Record, ...]]:
    """Reads the tables one after the other. Raises what a wrong length makes it raise."""
    reader = _Reader(body)
    eras = []
    for _ in range(eras_count):
        era_id, first_seq = reader.unpack(_ERA)
        eras.append(Era(era_id, Seq(first_seq)))
    (authors_count,) = reader.unpack(_COUNT)
    if authors_count > records_count:
        raise CorruptSegment("it claims more authors than records")
    authors = [
        (AccountId(reader.take(ID_BYTES)), DeviceId(reader.take(ID_BYTES)))
        for _ in range(authors_count)
    ]
    records = tuple(_decode_record(reader, authors) for _ in range(records_count))
    if not reader.is_at_end:
        raise CorruptSegment("there is more in it than it claims")
    return tuple(eras), records


def _decode_record(reader: "_Reader", authors: Sequence[tuple[AccountId, DeviceId]]) -> Record:
    (
        seq, action, kind, flags, mode, author, rev, mtime_ns, at_ns, size_bytes,
        name_bytes, target_bytes, file_id, parent_id,
    ) = reader.unpack(_ROW)  # fmt: skip
    content = None
    if flags & _HAS_CONTENT:
        root = BlockId(reader.take(BLOCK_ID_BYTES) if flags & _HAS_ROOT else b"")
        content_hash = (
            reader.take(BLOCK_ID_BYTES) if flags & _HAS_HASH else content_hash_of_block_id(root)
        )
        content = Content(size_bytes, root, bool(flags & _IS_CHUNKED), content_hash)
        if content == EMPTY_CONTENT:
            content = EMPTY_CONTENT
    name = reader.take(name_bytes).decode()
    target = reader.take(target_bytes).decode()
    entry = Entry(
        FileId(file_id),
        FileId(parent_id),
        name,
        Kind(kind),
        content,
        mode,
        mtime_ns,
        target,
        Rev(rev),
    )
    account_id, device_id = authors[author]
    return Record(Seq(seq), Action(action), entry, account_id, device_id, at_ns)


class _Reader:
    """Bytes, from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, length_bytes: int) -> bytes:
        taken = self._data[self._at : self._at + length_bytes]
        if len(taken) != length_bytes:
            raise CorruptSegment("its body is cut off")
        self._at += length_bytes
        return taken

    def unpack(self, struct: Struct) -> tuple[Any, ...]:
        return struct.unpack(self.take(struct.size))


_HEAD: Final = Struct(f"<8sB{ID_BYTES}s{ID_BYTES}sQQ{MARK_BYTES}s{MARK_BYTES}sIII")
_ERA: Final = Struct(f"<{ERA_ID_BYTES}sQ")
_COUNT: Final = Struct("<I")
_ROW: Final = Struct(f"<QBBBHIQqqQHH{ID_BYTES}s{ID_BYTES}s")
_CHECK_BYTES: Final = sha256().digest_size
_HAS_CONTENT, _HAS_ROOT, _IS_CHUNKED, _HAS_HASH = 1, 2, 4, 8
