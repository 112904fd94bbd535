# SPDX-License-Identifier: Apache-2.0
"""The master key: 32 secret bytes, and the public id by which it is told from others."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

MASTER_KEY_BYTES: Final = 32
_ID_TAG: Final = b"drystone master key id\n"
_ID_BYTES: Final = 8

_RECOVERY_TEXT: Final = re.compile(r"drystone-master-key ([0-9a-f]{16})((?: [0-9a-f]{8}){8})")


@dataclass(frozen=True)
class MasterKey:
    """A master key. It does not show itself when it is printed.

    Attributes:
        key: 32 bytes, all of them random.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        assert len(self.key) == MASTER_KEY_BYTES

    @property
    def id(self) -> bytes:
        """Eight bytes that anybody may know: made from the key, and telling nothing of it."""
        return sha256(_ID_TAG + self.key).digest()[:_ID_BYTES]

    def format_recovery(self) -> str:
        """Returns the key as one line to be kept on paper: its id, then eight groups."""
        digits = self.key.hex()
        groups = " ".join(digits[start : start + 8] for start in range(0, len(digits), 8))
        return f"drystone-master-key {self.id.hex()} {groups}"


def parse_master_key(text: str) -> MasterKey:
    """Returns the key that a text holds: 64 hexadecimal digits, base64, or a recovery line.

    Raises:
        ValueError: It is none of these, or a recovery line with a typing error in it. The
            message tells which, and nothing of the text.
    """
    text = text.strip()
    if text.startswith("drystone-master-key"):
        match = _RECOVERY_TEXT.fullmatch(" ".join(text.lower().split()))
        if match is None:
            raise ValueError("it is not a whole recovery line")
        master = MasterKey(bytes.fromhex(match[2]))
        if master.id.hex() != match[1]:
            raise ValueError("its digits do not fit its id: there is a typing error in it")
        return master
    try:
        key = bytes.fromhex(text) if len(text) == 2 * MASTER_KEY_BYTES else b""
        key = key or base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise ValueError(f"it is not {MASTER_KEY_BYTES} bytes in hexadecimal or base64")
    return MasterKey(key)
