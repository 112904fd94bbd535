# SPDX-License-Identifier: Apache-2.0
"""Cursors: how far a device has read, as a value and as a signed text.

Cursors of one account and filter form a join semilattice under ``merge``: the order is "has
read at least as much in every namespace", and nothing here ever moves one back.
Source: docs/formats/cursor.md.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812  it is an exception
from typing import Final, NamedTuple

from drystone.core.errors import Refused
from drystone.core.ids import ID_BYTES, AccountId, FileId, NamespaceId, Seq
from drystone.core.journal.eras import (
    ERA_ID_BYTES,
    ERAS_TOLD_MAX,
    MARK_BYTES,
    NO_PAST,
    Era,
    Past,
)


class ForgedCursor(Refused):
    """A text that this server never gave out as a cursor: junk, cut short or tampered with."""

    code = "cursor-invalid"

    def __init__(self) -> None:
        super().__init__(
            "the cursor was not given out by this server, or was changed since",
            advice="Leave the cursor out to read from the beginning.",
        )


class UnknownCursorVersion(Refused):
    """A cursor that was signed with our key in a version we do not read: read anew."""

    code = "cursor-version"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the cursor is of version {version}, this server reads up to {_VERSION}",
            advice="Leave the cursor out to read from the beginning.",
        )


class Cursor(NamedTuple):
    """The seq reached in each namespace, for one reader and one filter.

    Attributes:
        account_id: Who reads.
        seqs: Namespace and seq up to which all is known, in the order of namespace ids, each
            once. A namespace that is not here has not been read at all.
        under: The folder to which reading is confined; None: the whole tree.
        pasts: What is known of those namespaces up to those seqs, in the same order. Empty in
            cursors of version 1, which were made before there were eras.
    """

    account_id: AccountId
    seqs: tuple[tuple[NamespaceId, Seq], ...] = ()
    under: FileId | None = None
    pasts: tuple[tuple[NamespaceId, Past], ...] = ()

    def seq_of(self, namespace_id: NamespaceId) -> Seq:
        """Returns the seq reached in a namespace; 0 if it was never read."""
        return dict(self.seqs).get(namespace_id, Seq(0))

    def past_of(self, namespace_id: NamespaceId) -> Past:
        """Returns what is known of a namespace up to ``seq_of``."""
        return dict(self.pasts).get(namespace_id, NO_PAST)


def advance(
    cursor: Cursor, namespace_id: NamespaceId, seq: Seq, past: Past | None = None
) -> Cursor:
    """Returns the cursor after reading a namespace up to ``seq``; never goes back.

    ``past`` is that of the namespace at ``seq``, if it is known.
    """
    seqs = dict(cursor.seqs)
    pasts = dict(cursor.pasts)
    if seq >= seqs.get(namespace_id, 0):
        seqs[namespace_id] = seq
        if past is not None:
            pasts[namespace_id] = past
    return cursor._replace(seqs=tuple(sorted(seqs.items())), pasts=tuple(sorted(pasts.items())))


def merge(one: Cursor, other: Cursor) -> Cursor:
    """Returns the least cursor that has read what either has: commutative, idempotent.

    Both belong to the same reader and filter; anything else is an ``AssertionError``.
    """
    assert one.account_id == other.account_id, "cursors of two accounts cannot be merged"
    assert one.under == other.under, "cursors with two filters cannot be merged"
    pasts = dict(other.pasts)
    for namespace_id, seq in other.seqs:
        one = advance(one, namespace_id, seq, pasts.get(namespace_id))
    return one


def covers(cursor: Cursor, heads: Mapping[NamespaceId, Seq]) -> bool:
    """Tells whether all up to these heads has been read: there is nothing more."""
    seqs = dict(cursor.seqs)
    return all(seqs.get(namespace_id, 0) >= head for namespace_id, head in heads.items())


def needs_reset(
    cursor: Cursor,
    account_id: AccountId,
    under: FileId | None,
    heads: Mapping[NamespaceId, Seq],
) -> bool:
    """Tells whether reading on from the cursor could skip something: then read anew.

    That is so if it is another account's or was read through another filter, if it knows a
    namespace that the reader can no longer see (``heads`` are those that it can), or if it is
    ahead of a head: then the journal was put back to an earlier state since. That it was, and
    has grown again, only the pasts tell: see ``core.journal.eras``.
    """
    if cursor.account_id != account_id or cursor.under != under:
        return True
    return any(seq > heads.get(namespace_id, -1) for namespace_id, seq in cursor.seqs)


def encode_cursor(cursor: Cursor, key: bytes) -> str:
    """Returns the cursor as url-safe text, signed with ``key``. One cursor, one text."""
    assert len(cursor.seqs) <= _NAMESPACES_MAX
    pasts = dict(cursor.pasts)
    body = bytearray((_VERSION if pasts else _VERSION_WITHOUT_PASTS,))
    body += cursor.account_id
    body.append(_HAS_FILTER if cursor.under is not None else 0)
    body += cursor.under or b""
    body += _COUNT.pack(len(cursor.seqs))
    for namespace_id, seq in sorted(cursor.seqs):
        body += _POSITION.pack(namespace_id, seq)
        if pasts:
            _add_past(body, pasts.get(namespace_id, NO_PAST))
    body += _sign(body, key)
    return urlsafe_b64encode(body).rstrip(b"=").decode("ascii")


def decode_cursor(text: str, key: bytes) -> Cursor:
    """Returns the cursor that ``text`` is.

    Raises:
        ForgedCursor: It is not a cursor signed with this key, byte for byte.
        UnknownCursorVersion: It is signed with this key, but of a version not known here.
    """
    signed = _decode_base64(text)
    if len(signed) < 1 + _MAC_BYTES:
        raise ForgedCursor
    body = signed[:-_MAC_BYTES]
    if not hmac.compare_digest(_sign(body, key), signed[-_MAC_BYTES:]):
        raise ForgedCursor
    if not _VERSION_WITHOUT_PASTS <= body[0] <= _VERSION:
        raise UnknownCursorVersion(body[0])
    cursor = _parse_body(body)
    # Two texts of one cursor (another base64 of the same bytes) would defeat caches.
    if cursor is None or encode_cursor(cursor, key) != text:
        raise ForgedCursor
    return cursor


def _parse_body(body: bytes) -> Cursor | None:
    """Reads a body whose signature is right. None if it is not one of ours after all."""
    flags_at = 1 + ID_BYTES
    if len(body) <= flags_at:
        return None
    has_filter = body[flags_at] & _HAS_FILTER
    count_at = flags_at + 1 + (ID_BYTES if has_filter else 0)
    positions_at = count_at + _COUNT.size
    if len(body) < positions_at:
        return None
    (count,) = _COUNT.unpack_from(body, count_at)
    seqs: list[tuple[NamespaceId, Seq]] = []
    pasts: list[tuple[NamespaceId, Past]] = []
    at = positions_at
    try:
        for _ in range(count):
            namespace_id, seq = _POSITION.unpack_from(body, at)
            at += _POSITION.size
            seqs.append((NamespaceId(namespace_id), Seq(seq)))
            if body[0] != _VERSION_WITHOUT_PASTS:
                past, at = _parse_past(body, at)
                pasts.append((NamespaceId(namespace_id), past))
    except StructError:
        return None
    if at != len(body):
        return None
    return Cursor(
        AccountId(body[1:flags_at]),
        tuple(seqs),
        FileId(body[flags_at + 1 : count_at]) if has_filter else None,
        tuple(pasts),
    )


def _add_past(body: bytearray, past: Past) -> None:
    assert len(past.eras) <= ERAS_TOLD_MAX
    body += _PAST.pack(past.mark, len(past.eras))
    for era in past.eras:
        body += _ERA.pack(*era)


def _parse_past(body: bytes, at: int) -> tuple[Past, int]:
    """Returns the past that begins at an offset, and where it ends. Raises ``StructError``."""
    mark, count = _PAST.unpack_from(body, at)
    at += _PAST.size
    if count > ERAS_TOLD_MAX:
        raise StructError(f"{count} eras")
    eras: list[Era] = []
    for _ in range(count):
        era_id, first_seq = _ERA.unpack_from(body, at)
        eras.append(Era(era_id, Seq(first_seq)))
        at += _ERA.size
    return Past(mark, tuple(eras)), at


def _decode_base64(text: str) -> bytes:
    if len(text) > _TEXT_CHARS_MAX or not text.isascii():
        raise ForgedCursor
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise ForgedCursor from error


def _sign(body: bytes | bytearray, key: bytes) -> bytes:
    # The tag keeps a signature made for another purpose with the same key from being one here.
    return hmac.digest(key, _TAG + body, "sha256")


_VERSION: Final = 2
_VERSION_WITHOUT_PASTS: Final = 1
_TAG: Final = b"drystone cursor\n"
_MAC_BYTES: Final = 32
_HAS_FILTER: Final = 1
_COUNT: Final = Struct("<H")
_POSITION: Final = Struct("<16sQ")
_PAST: Final = Struct(f"<{MARK_BYTES}sB")
_ERA: Final = Struct(f"<{ERA_ID_BYTES}sQ")
_NAMESPACES_MAX: Final = 0xFFFF
_NAMESPACE_BYTES_MAX: Final = _POSITION.size + _PAST.size + ERAS_TOLD_MAX * _ERA.size
_TEXT_CHARS_MAX: Final = (1 + 2 * ID_BYTES + 3 + _NAMESPACES_MAX * _NAMESPACE_BYTES_MAX + 32) * 2
