# SPDX-License-Identifier: Apache-2.0
"""Pages: answers about a tree that may be kept beside the database, and never told too late.

The name under which a page is kept holds the end of its journal. The database is asked for that
end each time, and, in the same unit of work, whether the actor may open the namespace: so nothing
has to be dropped when something is committed, a right taken away counts at once, and a journal
that was put back to an earlier state finds nothing of the one before.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from hmac import compare_digest
from typing import Final, NamedTuple

import msgspec

from drystone.core.ids import NamespaceId, Seq
from drystone.core.journal.record import StoredEntry
from drystone.server.ports.brokers.cache import Cache
from drystone.server.ports.metadata import JournalEnd, Unit
from drystone.server.service.actor import Actor
from drystone.server.service.gate import NamespaceNotFound, opens
from drystone.server.service.writer import Writer

KEPT_S: Final = 3_600
"""How long a page is kept. Long, since it never becomes wrong; but nobody asks for old ones."""

What = Sequence[str | bytes | int]
"""What a page is of: a word for the question, and all that the answer depends on."""


class EntryPage(NamedTuple):
    """A page of a listing.

    Attributes:
        entries: In the order of the listing.
        after: What to pass for the next page; ``""`` at the end.
        head: The seq at which this page is true.
        times_ns: Of what is deleted: when it was, in the same order; else empty.
        folders: Of what is deleted: the paths of the folders that it was in; else empty.
    """

    entries: list[StoredEntry]
    after: str
    head: Seq
    times_ns: Sequence[int] = ()
    folders: Sequence[str] = ()


class Pages:
    """Reads pages, from the cache where there is one.

    Args:
        writer: The door to metadata.
        cache: Where pages are kept; None: nowhere.
        key: A secret that all workers on the database have, and nobody else.
    """

    def __init__(self, writer: Writer, cache: Cache | None = None, key: bytes = b"") -> None:
        self._writer = writer
        self._cache = cache
        # Servers of other databases that share the cache have another key, and so other names.
        self._key = blake2b(key, person=b"drystone cache").digest()

    async def read(
        self, actor: Actor, namespace_id: NamespaceId, what: What, work: Callable[[Unit], EntryPage]
    ) -> EntryPage:
        """Returns what ``work`` does, which has to be the same for the same end of the journal,
        whoever asks.

        Args:
            actor: Who asks.
            namespace_id: Of what.
            what: Tells this page from all others of the namespace.
            work: Reads it, and asks the gate.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
        """
        cache = self._cache
        if cache is None:
            return await self._writer.read_at_head(namespace_id, opens(actor, namespace_id), work)

        def look(unit: Unit) -> JournalEnd:
            end = unit.tree.find_end(actor.account_id, namespace_id)
            if end is None:
                raise NamespaceNotFound(namespace_id)
            return end

        def find(end: JournalEnd) -> EntryPage | None:
            name = self._name(namespace_id, end, what)
            (value,) = cache.get([name])
            return None if value is None else self._decode(name, value)

        def keep(end: JournalEnd, page: EntryPage) -> None:
            name = self._name(namespace_id, end, what)
            cache.put(name, self._encode(name, page), KEPT_S)

        return await self._writer.read_kept(namespace_id, look, work, find=find, keep=keep)

    def _name(self, namespace_id: NamespaceId, end: JournalEnd, what: What) -> bytes:
        parts = [
            part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            for part in (_FORMAT, namespace_id, *end, *what)
        ]
        return blake2b(msgspec.msgpack.encode(parts), key=self._key, digest_size=16).digest()

    def _encode(self, name: bytes, page: EntryPage) -> bytes:
        assert not page.times_ns, "a listing of what is deleted is not kept"
        body = msgspec.msgpack.encode(page[:3])
        return self._seal(name, body) + body

    def _decode(self, name: bytes, value: bytes) -> EntryPage | None:
        """Returns the page; None if this is not what one of us put under this name."""
        seal, body = value[:_SEAL_BYTES], value[_SEAL_BYTES:]
        if not compare_digest(seal, self._seal(name, body)):
            return None
        try:
            return EntryPage(*_DECODER.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _seal(self, name: bytes, body: bytes) -> bytes:
        told = blake2b(key=self._key, digest_size=_SEAL_BYTES, person=b"drystone page")
        told.update(name)
        told.update(body)
        return told.digest()


_FORMAT: Final = 1
"""Of what is kept. Another version finds nothing of this one."""

_SEAL_BYTES: Final = 16

_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[StoredEntry], str, Seq])
