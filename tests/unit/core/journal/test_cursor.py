# SPDX-License-Identifier: Apache-2.0
"""Cursors: advancing, merging, covering, resetting, and who made the text."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from drystone.core.ids import AccountId, FileId, NamespaceId, Seq
from drystone.core.journal.cursor import (
    Cursor,
    ForgedCursor,
    UnknownCursorVersion,
    advance,
    covers,
    decode_cursor,
    encode_cursor,
    merge,
    needs_reset,
)

KEY = b"k" * 32
ANNA = AccountId(b"a" * 16)
BOB = AccountId(b"b" * 16)
ONE = NamespaceId(b"1" * 16)
TWO = NamespaceId(b"2" * 16)
FOLDER = FileId(b"f" * 16)


def test_a_cursor_advances_and_never_goes_back() -> None:
    cursor = advance(advance(Cursor(ANNA), TWO, Seq(5)), ONE, Seq(3))

    assert cursor.seqs == ((ONE, 3), (TWO, 5))
    assert advance(cursor, TWO, Seq(4)) == cursor
    assert cursor.seq_of(TWO) == 5
    assert Cursor(ANNA).seq_of(TWO) == 0


def test_merging_takes_the_farther_of_each() -> None:
    one = Cursor(ANNA, ((ONE, Seq(3)), (TWO, Seq(9))))
    other = Cursor(ANNA, ((ONE, Seq(5)),))

    assert merge(one, other) == merge(other, one) == Cursor(ANNA, ((ONE, Seq(5)), (TWO, Seq(9))))


@pytest.mark.parametrize("other", [Cursor(BOB), Cursor(ANNA, under=FOLDER)], ids=["who", "filter"])
def test_cursors_of_different_readers_cannot_be_merged(other: Cursor) -> None:
    with pytest.raises(AssertionError):
        merge(Cursor(ANNA), other)


def test_a_cursor_covers_what_it_has_read() -> None:
    cursor = Cursor(ANNA, ((ONE, Seq(5)),))

    assert covers(cursor, {ONE: Seq(5)})
    assert covers(cursor, {ONE: Seq(4), TWO: Seq(0)})
    assert not covers(cursor, {ONE: Seq(6)})
    assert not covers(cursor, {ONE: Seq(5), TWO: Seq(1)})


def test_a_cursor_that_could_skip_something_is_reset() -> None:
    cursor = Cursor(ANNA, ((ONE, Seq(5)),), FOLDER)

    assert not needs_reset(cursor, ANNA, FOLDER, {ONE: Seq(5), TWO: Seq(7)})
    assert needs_reset(cursor, BOB, FOLDER, {ONE: Seq(5)})
    assert needs_reset(cursor, ANNA, None, {ONE: Seq(5)})
    assert needs_reset(cursor, ANNA, FOLDER, {ONE: Seq(4)})
    assert needs_reset(cursor, ANNA, FOLDER, {TWO: Seq(9)})
    assert needs_reset(Cursor(ANNA, ((ONE, Seq(0)),)), ANNA, None, {})


@pytest.mark.parametrize(
    "cursor",
    [Cursor(ANNA), Cursor(ANNA, ((ONE, Seq(5)), (TWO, Seq(2**63)))), Cursor(ANNA, (), FOLDER)],
    ids=["empty", "two", "filter"],
)
def test_a_cursor_comes_back_from_its_text(cursor: Cursor) -> None:
    text = encode_cursor(cursor, KEY)

    assert decode_cursor(text, KEY) == cursor
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


TEXT = encode_cursor(Cursor(ANNA, ((ONE, Seq(5)),)), KEY)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "=", "null", "ä" * 40, "\ud800", " " + TEXT, TEXT + "=", TEXT + "\n", TEXT[:-1],
        TEXT[:40], TEXT[1:], "-" + TEXT[1:], TEXT + "AAAA", TEXT.lower(), "A" * 3_000_000,
        "a" * 1_000,
    ],
    ids=range(17),
)  # fmt: skip
def test_a_text_that_is_none_of_ours_is_forged(text: str) -> None:
    with pytest.raises(ForgedCursor):
        decode_cursor(text, KEY)


def test_a_cursor_signed_with_another_key_is_forged() -> None:
    with pytest.raises(ForgedCursor):
        decode_cursor(TEXT, b"l" * 32)


def test_any_single_bit_that_changes_is_noticed() -> None:
    signed = bytearray(urlsafe_b64decode(TEXT + "=" * (-len(TEXT) % 4)))
    for at in range(len(signed) * 8):
        signed[at // 8] ^= 1 << at % 8
        with pytest.raises(ForgedCursor):
            decode_cursor(urlsafe_b64encode(signed).rstrip(b"=").decode(), KEY)
        signed[at // 8] ^= 1 << at % 8


def sign(body: bytes) -> str:
    mac = hmac.digest(KEY, b"drystone cursor\n" + body, "sha256")
    return urlsafe_b64encode(body + mac).rstrip(b"=").decode()


def test_a_cursor_of_a_later_version_is_told_apart_from_a_forged_one() -> None:
    with pytest.raises(UnknownCursorVersion) as caught:
        decode_cursor(sign(b"\3 whatever it says"), KEY)

    assert caught.value.code == "cursor-version"
    assert "version 3" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"\1", b"\1" + ANNA, b"\1" + ANNA + b"\0", b"\1" + ANNA + b"\0\1\0",
        b"\1" + ANNA + b"\2\0\0", b"\1" + ANNA + b"\0\0\0x",
        b"\1" + ANNA + b"\1" + FOLDER[:5],
        b"\1" + ANNA + b"\0\2\0" + TWO + bytes(8) + ONE + bytes(8),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_signed_body_that_makes_no_sense_is_forged(body: bytes) -> None:
    with pytest.raises(ForgedCursor):
        decode_cursor(sign(body), KEY)
