# SPDX-License-Identifier: Apache-2.0
"""Cursors as the service gives them out, and whether what they have read is still its past."""

import sys
from collections.abc import Callable
from typing import Final

from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.cursor import (
    Cursor,
    UnknownCursorVersion,
    advance,
    decode_cursor,
    encode_cursor,
)
from drystone.core.journal.eras import (
    ERAS_TOLD_MAX,
    NO_MARK,
    Era,
    Past,
    find_common_seq,
    is_same_past,
    make_mark,
)
from drystone.server.ports.metadata import Unit
from drystone.server.service.actor import Actor


class Cursors:
    """Signs cursors, reads them, and sees to it that records are written in the present era.

    Args:
        key: Signs them.
        make_era_id: Returns an id that no era has, nor had: ``ERA_ID_BYTES`` by chance.
    """

    def __init__(self, key: bytes, make_era_id: Callable[[], bytes]) -> None:
        self._key = key
        self._make_era_id = make_era_id

    def decode(self, text: str, actor: Actor) -> Cursor | None:
        """Returns the cursor; a fresh one for ``""``; None if its version is not known.

        Raises:
            ForgedCursor: It was not given out by this server.
        """
        if not text:
            return Cursor(actor.account_id)
        try:
            return decode_cursor(text, self._key)
        except UnknownCursorVersion:
            return None

    def move(self, unit: Unit, cursor: Cursor, namespace_id: NamespaceId, seq: Seq) -> str:
        """Returns the text of a cursor that has read a namespace up to ``seq``."""
        past = _find_past(unit, namespace_id, seq)
        return encode_cursor(advance(cursor, namespace_id, seq, past), self._key)

    def make(self, unit: Unit, actor: Actor, namespace_id: NamespaceId, seq: Seq) -> str:
        """Returns a cursor for somebody who knows all of a namespace up to ``seq``."""
        return self.move(unit, Cursor(actor.account_id), namespace_id, seq)

    def find_rewind(self, unit: Unit, cursor: Cursor, namespace_id: NamespaceId) -> Seq | None:
        """Returns up to which seq a namespace is still as the cursor's reader knows it, if it was
        put back to an earlier state since; None if it was not.

        Never too far. Cost: two lookups, and one that reads all eras if it was put back.
        """
        seq = cursor.seq_of(namespace_id)
        head = unit.tree.head(namespace_id)
        past = cursor.past_of(namespace_id)
        if seq <= head and is_same_past(past, _find_past(unit, namespace_id, seq)):
            return None
        eras = unit.tree.list_eras(namespace_id, head, _ALL)
        running_id = unit.shared.find_era_id()
        return find_common_seq(seq, past.eras, head, eras, running_id)

    def begin_era(self, unit: Unit, namespace_id: NamespaceId) -> None:
        """Lets the next record begin an era, unless the journal's last one is still written."""
        head = unit.tree.head(namespace_id)
        newest = unit.tree.list_eras(namespace_id, head, 1)
        era_id = unit.shared.join_era(self._make_era_id())
        if not newest or newest[0].era_id != era_id:
            unit.tree.begin_era(namespace_id, Era(era_id, Seq(head + 1)))


def _find_past(unit: Unit, namespace_id: NamespaceId, seq: Seq) -> Past:
    record = unit.tree.find_record(namespace_id, seq) if seq else None
    eras = unit.tree.list_eras(namespace_id, seq, ERAS_TOLD_MAX) if seq else []
    return Past(NO_MARK if record is None else make_mark(record), tuple(eras))


_ALL: Final = sys.maxsize
