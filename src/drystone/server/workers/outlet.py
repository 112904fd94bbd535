# SPDX-License-Identifier: Apache-2.0
"""Outlet: journals published record by record, for other systems to read.

What a message looks like is a promise to them: docs/operations/outlet.md tells it, and a new
version of it gets a new number.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from drystone.core.ids import NamespaceId
from drystone.core.journal.eras import make_mark
from drystone.core.journal.record import Record
from drystone.server.ports.brokers.publishing import Message, Publishing

VERSION: Final = 1


class Outlet:
    """Implements ``Projector`` on a stream.

    Args:
        name: Of its positions: another stream is another name.
        stream: Takes the messages.
    """

    def __init__(self, name: str, stream: Publishing) -> None:
        self._name = name
        self._stream = stream

    @property
    def name(self) -> str:
        """What its positions are kept under."""
        return self._name

    async def project(self, namespace_id: NamespaceId, records: Sequence[Record]) -> None:
        """Publishes records; returns once the stream has them durably.

        Raises:
            OutletAway: The stream does not take them now.
        """
        await self._stream.publish([make_message(namespace_id, record) for record in records])


def make_message(namespace_id: NamespaceId, record: Record) -> Message:
    """Returns what is published of a record: the same bytes each time.

    Its id holds the record's mark: a server that was restored from a backup gives seqs a second
    time, to other records, which must not be taken for those before.
    """
    namespace, mark = namespace_id.hex(), make_mark(record).hex()
    entry = record.entry
    content: dict[str, Any] | None = None
    if entry.content is not None:
        content = {
            "size_bytes": entry.content.size_bytes,
            "root": entry.content.root.hex(),
            "chunked": entry.content.chunked,
            "content_hash": entry.content.content_hash.hex(),
        }
    message_id = f"{namespace}:{record.seq}:{mark}"
    body = {
        "version": VERSION,
        "id": message_id,
        "namespace": namespace,
        "seq": int(record.seq),
        "mark": mark,
        "action": record.action.name.lower(),
        "at_ns": record.at_ns,
        "account": record.account_id.hex(),
        "device": record.device_id.hex(),
        "entry": {
            "file_id": entry.file_id.hex(),
            "parent_id": entry.parent_id.hex(),
            "name": entry.name,
            "kind": entry.kind.name.lower(),
            "rev": int(entry.rev),
            "mode": entry.mode,
            "mtime_ns": entry.mtime_ns,
            "target": entry.target,
            "content": content,
        },
    }
    return Message(namespace, message_id, msgspec.json.encode(body))
