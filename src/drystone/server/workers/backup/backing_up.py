# SPDX-License-Identifier: Apache-2.0
"""Backing up: one point in time of a server, beside the running server.

a copy of the metadata       of one instant; made by whoever calls
the objects that it names    linked or copied, unless they are there already
keys and settings
the manifest                 last: until then there is no backup
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import drystone
from drystone.core.errors import Corrupt
from drystone.server.ports.arrivals import ArrivalState
from drystone.server.ports.metadata import Metadata
from drystone.server.ports.objects import Objects
from drystone.server.ports.survey import survey_of
from drystone.server.storage.packs.layout import pack_name, parse_pack_name
from drystone.server.workers.backup.manifest import (
    BACKUPS,
    MARK_NAME,
    BackupsNotEncrypted,
    Manifest,
    Whole,
    encode_manifest,
    encode_mark,
    make_stamp,
    manifest_name,
)
from drystone.server.workers.backup.pieces import PIECE_BYTES, write_piece, write_whole
from drystone.server.workers.backup.places import (
    KEYRING,
    NAMED,
    ObjectLine,
    load_hashes,
    read_object,
)

_PAGE: Final = 4_096
_LINES_PER_LIST: Final = 100_000
_ALL: Final = 1 << 30
_END_OF_TIME_S: Final = 1 << 60

Tell = Callable[[str, int], None]
"""Is told how far something has come: what, and how many of it are done."""


class Source(NamedTuple):
    """What is backed up.

    Attributes:
        copy: A SQLite database with all metadata, of one instant, that nobody else uses.
        metadata: The same, opened.
        database: Where it came from: ``sqlite`` or ``postgresql``.
        objects: The server's store, as its objects lie there: encrypted, maybe.
        opened: The same store as the server reads it.
        files: Contents of keys and settings, by their paths in the data directory.
        now_ns: When the copy was made.
    """

    copy: Path
    metadata: Metadata
    database: str
    objects: Objects
    opened: Objects
    files: Mapping[str, bytes]
    now_ns: int


class BackingUp:
    """One backup.

    Args:
        source: Of what.
        target: Where to.
        link: Gives an object a second name in the target and tells whether it could; where both
            are files of one disk.
        flush: Makes what was linked durable.
        tell: Is told of progress.
    """

    def __init__(
        self,
        source: Source,
        target: Objects,
        *,
        link: Callable[[str], bool] = lambda _name: False,
        flush: Callable[[], None] = lambda: None,
        tell: Tell = lambda _what, _count: None,
    ) -> None:
        self._source = source
        self._target = target
        self._link = link
        self._flush = flush
        self._tell = tell
        self._lacking: list[str] = []
        self._is_sealed = any(True for _ in source.objects.iter_names(KEYRING))
        self._hashes: dict[str, ObjectLine] = {}
        self._objects_count = self._objects_bytes = 0
        self.copied_count = self.copied_bytes = 0

    def run(self) -> Manifest:
        """Makes the backup; returns its manifest, which is in its place then.

        Raises:
            ObjectStoreFull: The target has no room. What was copied stays for the next try.
            Unavailable: The target or the server's store is away.
        """
        self._target.put(MARK_NAME, [encode_mark()])
        if self._is_sealed:
            self._hashes = load_hashes(self._target)
        stamp = self._choose_stamp()
        folder = f"{BACKUPS}{stamp}"
        lists = tuple(self._copy_objects(folder))
        files = {
            path: write_piece(self._target, f"{folder}/files/{number:03d}", content)
            for number, (path, content) in enumerate(sorted(self._source.files.items()), 1)
        }
        manifest = Manifest(
            stamp,
            self._source.now_ns,
            drystone.__version__,
            self._source.database,
            write_whole(self._target, f"{folder}/database", self._iter_copy()),
            lists,
            self._objects_count,
            self._objects_bytes,
            files,
            tuple(self._lacking),
        )
        self._flush()
        self._target.put(manifest_name(stamp), [encode_manifest(manifest)])
        return manifest

    def _choose_stamp(self) -> str:
        """Returns a name that nothing has; what an interrupted backup of the same second left
        behind keeps its own.
        """
        stamp = make_stamp(self._source.now_ns)
        number, chosen = 1, stamp
        while any(True for _ in self._target.iter_names(f"{BACKUPS}{chosen}/")):
            number += 1
            chosen = f"{stamp}-{number}"
        return chosen

    def _iter_copy(self) -> Iterator[bytes]:
        done_bytes = 0
        with self._source.copy.open("rb") as file:
            while part := file.read(PIECE_BYTES):
                done_bytes += len(part)
                self._tell("bytes", self.copied_bytes + done_bytes)
                yield part

    def _copy_objects(self, folder: str) -> Iterator[Whole]:
        """Copies all objects that the metadata name; yields the lists of them."""
        lines: list[ObjectLine] = []
        number = 0
        for line in self._iter_lines():
            lines.append(line)
            if len(lines) == _LINES_PER_LIST:
                number += 1
                yield self._write_list(f"{folder}/objects/{number:04d}", lines)
                lines = []
        if lines:
            yield self._write_list(f"{folder}/objects/{number + 1:04d}", lines)

    def _write_list(self, folder: str, lines: Iterable[ObjectLine]) -> Whole:
        text = "".join(f"{' '.join(map(str, line))}\n" for line in lines).encode("ascii")
        parts = [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)]
        return write_whole(self._target, folder, parts)

    def _iter_lines(self) -> Iterator[ObjectLine]:
        """Yields the objects of the backup as soon as each is there."""
        known: dict[str, int] = {}
        shard = ""
        for name, length_bytes in self._iter_named():
            # Names come in their order: what is there already is listed a folder at a time.
            prefix = f"{name.rpartition('/')[0]}/"
            if prefix != shard:
                shard = prefix
                known = {s.name: s.length_bytes for s in self._target.iter_names(prefix)}
            line = self._find_known(name, length_bytes, known) or self._copy(name, length_bytes)
            if line is None:
                self._lacking.append(name)
                continue
            self._objects_count += 1
            self._objects_bytes += line.length_bytes
            self._tell("objects", self._objects_count)
            yield line

    def _find_known(
        self, name: str, length_bytes: int, known: Mapping[str, int]
    ) -> ObjectLine | None:
        """Returns an object that an earlier backup left there; None if it is to be copied."""
        if name not in known:
            return None
        if not self._is_sealed:
            return ObjectLine(name, length_bytes) if known[name] == length_bytes else None
        stored_bytes = self._source.objects.find_length(name)
        line = self._hashes.get(name)
        if line is None or not known[name] == stored_bytes == line.length_bytes:
            return None
        return line

    def _iter_named(self) -> Iterator[tuple[str, int]]:
        """Yields names and lengths of all objects that belong to it, as the metadata tell."""
        for stat in sorted(self._source.objects.iter_names(KEYRING)):
            yield stat.name, stat.length_bytes
        metadata = self._source.metadata
        after = b""
        while packs := metadata.read(
            lambda unit, after=after: survey_of(unit).list_packs(after, _PAGE)  # type: ignore[misc]
        ):
            for pack in packs:
                yield pack_name(pack.pack_id), pack.length_bytes
            after = packs[-1].pack_id
        for state in (ArrivalState.UNVERIFIED, ArrivalState.QUARANTINED):
            arrivals = metadata.read(
                lambda unit, state=state: unit.arrivals.list_due(state, _END_OF_TIME_S, _ALL)  # type: ignore[misc]
            )
            for arrival in sorted(arrivals, key=lambda arrival: arrival.name):
                yield arrival.name, arrival.length_bytes

    def _copy(self, name: str, length_bytes: int) -> ObjectLine | None:
        """Brings one object into the target; None if it cannot be had whole."""
        is_plain_pack = not self._is_sealed and parse_pack_name(name) is not None
        if is_plain_pack and self._link(name):
            line = ObjectLine(name, length_bytes)
            if self._target.find_length(name) == length_bytes:
                return line
            self._target.delete(name)
        content = self._read(name, length_bytes)
        if content is None:
            return None
        check = NAMED if is_plain_pack else sha256(content).hexdigest()
        if self._is_sealed:
            earlier = self._hashes.get(name)
            if earlier is not None and earlier.length_bytes == length_bytes != len(content):
                raise BackupsNotEncrypted(name)
            # What an earlier backup has may be the same, encrypted otherwise.
            self._target.delete(name)
        if not (self._is_sealed and self._link(name)):
            self._target.put(name, [content])
            self.copied_count += 1
            self.copied_bytes += len(content)
        self._tell("bytes", self.copied_bytes)
        return ObjectLine(name, len(content), check)

    def _read(self, name: str, length_bytes: int) -> bytes | None:
        """Returns an object as it is stored, if what it holds is what its name says."""
        line = ObjectLine(name, length_bytes)
        if not self._is_sealed or name.startswith(KEYRING):
            return read_object(self._source.objects, line)
        if read_object(self._source.opened, line) is None:
            return None
        try:
            stored_bytes = self._source.objects.find_length(name) or 0
            return self._source.objects.read(name, [(0, stored_bytes)])[0]
        except (FileNotFoundError, Corrupt):
            return None
