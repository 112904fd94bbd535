# SPDX-License-Identifier: Apache-2.0
"""Names of the objects in which journals, checkpoints and accounts lie."""

import re
from typing import Final, NamedTuple

from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.segment import Segment

JOURNALS: Final = "journal/"
CHECKPOINTS: Final = "checkpoints/"
PEOPLE: Final = "checkpoints/accounts/"
"""No namespace is called so: theirs are hexadecimal digits."""

_STRETCH: Final = re.compile(r"journal/([0-9a-f]{32})/([0-9]{16,19})-([0-9]{16,19})-([0-9a-f]{16})")
_CUT: Final = re.compile(r"checkpoints/([0-9a-f]{32})/([0-9]{16,19}-[0-9a-f]{16})/([0-9]{8}|end)")


class StretchName(NamedTuple):
    """What the name of a stretch tells."""

    name: str
    namespace_id: NamespaceId
    first_seq: Seq
    last_seq: Seq
    last_mark: bytes


class CutName(NamedTuple):
    """What the name of a part of a checkpoint tells.

    Attributes:
        name: The object's.
        namespace_id: Whose tree.
        folder: All parts of one checkpoint have it in common; later ones sort later.
        number: Of a cut, from 1; 0 is the end.
    """

    name: str
    namespace_id: NamespaceId
    folder: str
    number: int


def journal_prefix(namespace_id: NamespaceId) -> str:
    """Returns what the names of all stretches of a journal begin with."""
    return f"{JOURNALS}{namespace_id.hex()}/"


def stretch_name(namespace_id: NamespaceId, first_seq: int, last_seq: int, last_mark: bytes) -> str:
    """Returns the name of a stretch."""
    seqs = f"{first_seq:016d}-{last_seq:016d}"
    return f"{journal_prefix(namespace_id)}{seqs}-{last_mark.hex()}"


def stretch_name_of(segment: Segment) -> str:
    """Returns the name of a stretch that is at hand."""
    _, namespace_id, _, first_seq, last_seq, _, last_mark, _, _ = segment
    return stretch_name(namespace_id, first_seq, last_seq, last_mark)


def checkpoint_prefix(namespace_id: NamespaceId) -> str:
    """Returns what the names of all checkpoints of a namespace begin with."""
    return f"{CHECKPOINTS}{namespace_id.hex()}/"


def checkpoint_folder(namespace_id: NamespaceId, seq: int, mark: bytes) -> str:
    """Returns what the names of a checkpoint's parts begin with, if it was begun at this seq."""
    return f"{checkpoint_prefix(namespace_id)}{seq:016d}-{mark.hex()}/"


def cut_name(folder: str, number: int) -> str:
    """Returns the name of one cut of a checkpoint, from 1 on."""
    return f"{folder}{number:08d}"


def end_name(folder: str) -> str:
    """Returns the name of a checkpoint's end."""
    return f"{folder}end"


def parse_stretch_name(name: str) -> StretchName | None:
    """Returns what the name of a stretch tells, or None if it is none."""
    match = _STRETCH.fullmatch(name)
    if match is None:
        return None
    namespace, first, last, mark = match.groups()
    namespace_id = NamespaceId(bytes.fromhex(namespace))
    return StretchName(name, namespace_id, Seq(int(first)), Seq(int(last)), bytes.fromhex(mark))


def parse_cut_name(name: str) -> CutName | None:
    """Returns what the name of a part of a checkpoint tells, or None if it is none."""
    match = _CUT.fullmatch(name)
    if match is None:
        return None
    namespace, begun, part = match.groups()
    namespace_id = NamespaceId(bytes.fromhex(namespace))
    folder = f"{checkpoint_prefix(namespace_id)}{begun}/"
    return CutName(name, namespace_id, folder, 0 if part == "end" else int(part))
