# SPDX-License-Identifier: Apache-2.0
"""Cursors that were given out: devices have stored them, so they are read for ever."""

import pytest

from drystone.core.ids import AccountId, FileId, NamespaceId, Seq
from drystone.core.journal.cursor import Cursor, decode_cursor, encode_cursor
from drystone.core.journal.eras import NO_PAST, Era, Past

KEY = bytes(range(32))
ACCOUNT = AccountId(bytes(range(16)))
ONE = NamespaceId(bytes(range(16, 32)))
TWO = NamespaceId(bytes(range(32, 48)))
FOLDER = FileId(bytes(range(48, 64)))

VERSION_1 = [
    (
        Cursor(ACCOUNT),
        "AQABAgMEBQYHCAkKCwwNDg8AAABhlw7N-1oOGpGj_awq-frFlbPstJYkmAoGOH492X18kQ",
    ),
    (
        Cursor(ACCOUNT, ((ONE, Seq(78_579)),)),
        (
            "AQABAgMEBQYHCAkKCwwNDg8AAQAQERITFBUWFxgZGhscHR4f8zIBAAAAAAAr0QPwDT6eGujUpSr3QAnL"
            "bhp0ebuOMziVlqUe1lnk1A"
        ),
    ),
    (
        Cursor(ACCOUNT, ((ONE, Seq(1)), (TWO, Seq(1 << 40))), FOLDER),
        (
            "AQABAgMEBQYHCAkKCwwNDg8BMDEyMzQ1Njc4OTo7PD0-PwIAEBESExQVFhcYGRobHB0eHwEAAAAAAAAA"
            "ICEiIyQlJicoKSorLC0uLwAAAAAAAQAALku_KvvBYyzF1dOGgJW9NucV434CeRodmR5lGbjR4zg"
        ),
    ),
]


@pytest.mark.parametrize(("cursor", "text"), VERSION_1, ids=["empty", "one", "two under a folder"])
def test_cursors_of_version_1_are_read_and_written_as_ever(cursor: Cursor, text: str) -> None:
    assert decode_cursor(text, KEY) == cursor
    assert encode_cursor(cursor, KEY) == text


PAST = Past(b"the mark", (Era(b"era no 2", Seq(70_001)), Era(b"era no 1", Seq(1))))
VERSION_2 = [
    (
        Cursor(ACCOUNT, ((ONE, Seq(0)),), None, ((ONE, NO_PAST),)),
        (
            "AgABAgMEBQYHCAkKCwwNDg8AAQAQERITFBUWFxgZGhscHR4fAAAAAAAAAAAAAAAAAAAAAACxbzCclmcw"
            "LYvrPVZlUaEfbhohdCjT84R70fd8mdZprQ"
        ),
    ),
    (
        Cursor(ACCOUNT, ((ONE, Seq(78_579)),), None, ((ONE, PAST),)),
        (
            "AgABAgMEBQYHCAkKCwwNDg8AAQAQERITFBUWFxgZGhscHR4f8zIBAAAAAAB0aGUgbWFyawJlcmEgbm8g"
            "MnERAQAAAAAAZXJhIG5vIDEBAAAAAAAAALbrCSX-uAsxjWXksGQzm2hBaEclCdJLaK2zO16wi0ZX"
        ),
    ),
    (
        Cursor(
            ACCOUNT,
            ((ONE, Seq(1)), (TWO, Seq(1 << 40))),
            FOLDER,
            ((ONE, NO_PAST), (TWO, PAST)),
        ),
        (
            "AgABAgMEBQYHCAkKCwwNDg8BMDEyMzQ1Njc4OTo7PD0-PwIAEBESExQVFhcYGRobHB0eHwEAAAAAAAAA"
            "AAAAAAAAAAAAICEiIyQlJicoKSorLC0uLwAAAAAAAQAAdGhlIG1hcmsCZXJhIG5vIDJxEQEAAAAAAGVy"
            "YSBubyAxAQAAAAAAAACI8mhDiUoYIIcY939RVUpK5DIijL9zw9zgW3CZv1WubQ"
        ),
    ),
]


@pytest.mark.parametrize(("cursor", "text"), VERSION_2, ids=["empty", "one", "two under a folder"])
def test_cursors_of_version_2_are_read_and_written_as_ever(cursor: Cursor, text: str) -> None:
    assert decode_cursor(text, KEY) == cursor
    assert encode_cursor(cursor, KEY) == text
