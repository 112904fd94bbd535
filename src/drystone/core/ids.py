# SPDX-License-Identifier: Apache-2.0
"""Identifiers: NewTypes over raw bytes, and their one parse/format pair each.

Inside the program ids are raw bytes; hexadecimal appears only in faces, logs, file
names and the command line.
"""

from typing import Final, NewType

from drystone.core.errors import Refused

BlockId = NewType("BlockId", bytes)
"""SHA-256 of a block's plain bytes: 32 bytes."""

PackId = NewType("PackId", bytes)
"""SHA-256 of a pack's bytes: 32 bytes."""

FileId = NewType("FileId", bytes)
"""Identity of an entry for its whole life, chosen by its creator (UUIDv7): 16 bytes."""

NamespaceId = NewType("NamespaceId", bytes)
"""Identity of one tree and its journal: 16 bytes."""

AccountId = NewType("AccountId", bytes)
"""Identity of an account: 16 bytes."""

DeviceId = NewType("DeviceId", bytes)
"""Identity of one installation of the client: 16 bytes."""

Seq = NewType("Seq", int)
"""Position in one namespace's journal; the first record is 1, 0 is before everything."""

Rev = NewType("Rev", int)
"""The seq of the record that last set an entry's content; 0 means never committed."""

ROOT_ID: Final = FileId(bytes(16))
"""The file id of the root folder of every namespace. It is in no record."""

BLOCK_ID_BYTES: Final = 32
ID_BYTES: Final = 16


class MalformedId(Refused):
    """A text that should name an id does not."""

    code = "malformed-id"


def parse_hex_id(text: str, length_bytes: int, what: str) -> bytes:
    """Returns the raw id that ``text`` names in hexadecimal.

    Args:
        text: Hexadecimal digits, as found in a URL or on the command line.
        length_bytes: How many bytes such an id has.
        what: What the id names, for the error ("file id", "block id").

    Raises:
        MalformedId: ``text`` is not exactly ``2 * length_bytes`` hexadecimal digits.
    """
    if len(text) == 2 * length_bytes and text.isascii():
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    shown = text[:80]
    message = f"{shown!r} is not a {what}: expected {2 * length_bytes} hexadecimal digits"
    raise MalformedId(message, advice="Copy it whole from where it is shown.")


def parse_file_id(text: str) -> FileId:
    """Returns the file id written as 32 hexadecimal digits in ``text``."""
    return FileId(parse_hex_id(text, ID_BYTES, "file id"))


def parse_namespace_id(text: str) -> NamespaceId:
    """Returns the namespace id written as 32 hexadecimal digits in ``text``."""
    return NamespaceId(parse_hex_id(text, ID_BYTES, "namespace id"))


def parse_device_id(text: str) -> DeviceId:
    """Returns the device id written as 32 hexadecimal digits in ``text``."""
    return DeviceId(parse_hex_id(text, ID_BYTES, "device id"))


def format_id(value: bytes) -> str:
    """Returns an id of any kind as lower-case hexadecimal text."""
    return value.hex()


def format_rev(rev: Rev) -> str:
    """Returns the public text of a rev: at least nine hexadecimal digits."""
    return f"{rev:09x}"


def parse_rev(text: str) -> Rev:
    """Returns the rev whose public text is ``text``.

    Raises:
        MalformedId: ``text`` is not 9 to 16 hexadecimal digits.
    """
    digits = set("0123456789abcdefABCDEF")
    if 9 <= len(text) <= 16 and set(text) <= digits:
        return Rev(int(text, 16))
    message = f"{text[:80]!r} is not a rev: expected 9 to 16 hexadecimal digits"
    raise MalformedId(message, advice="See which there are: drystone history PATH")
