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
    Manifest,
    NotForBackups,
    Whole,
    check_mark,
    encode_manifest,
    encode_mark,
    make_stamp,
    manifest_name,
    parse_manifest_name,
)
from drystone.server.workers.backup.pieces import PIECE_BYTES, write_piece, write_whole

_PAGE: Final = 4_096
_LINES_PER_LIST: Final = 100_000
_ALL: Final = 1 << 30
_END_OF_TIME_S: Final = 1 << 60

Tell = Callable[[str, int], None]
"""Is told how far something has come: what, and how many of it are done."""


class ObjectLine(NamedTuple):
    """An object that belongs to a backup."""

    name: str
    length_bytes: int


class Source(NamedTuple):
    """What is backed up.

    Attributes:
        copy: A SQLite database with all metadata, of one instant, that nobody else uses.
        metadata: The same, opened.
        database: Where it came from: ``sqlite`` or ``postgresql``.
        objects: The server's.
        files: Contents of keys and settings, by their paths in the data directory.
        now_ns: When the copy was made.
    """

    copy: Path
    metadata: Metadata
    database: str
    objects: Objects
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
        keep: Called again and again, so that no collection begins meanwhile; raises if one might.
        tell: Is told of progress.
    """

    def __init__(
        self,
        source: Source,
        target: Objects,
        *,
        link: Callable[[str], bool] = lambda _name: False,
        flush: Callable[[], None] = lambda: None,
        keep: Callable[[], None] = lambda: None,
        tell: Tell = lambda _what, _count: None,
    ) -> None:
        self._source = source
        self._target = target
        self._link = link
        self._flush = flush
        self._keep = keep
        self._tell = tell
        self._lacking: list[str] = []
        self._objects_count = self._objects_bytes = 0
        self.copied_count = self.copied_bytes = 0

    def run(self) -> Manifest:
        """Makes the backup; returns its manifest, which is in its place then.

        Raises:
            ObjectStoreFull: The target has no room. What was copied stays for the next try.
            Unavailable: The target or the server's store is away.
        """
        self._target.put(MARK_NAME, [encode_mark()])
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
        self._keep()
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
                self._keep()
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
        text = "".join(f"{name} {length_bytes}\n" for name, length_bytes in lines).encode("ascii")
        parts = [text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES)]
        return write_whole(self._target, folder, parts)

    def _iter_lines(self) -> Iterator[ObjectLine]:
        """Yields the objects of the backup as soon as each is there."""
        known: dict[str, int] = {}
        shard = ""
        for line in self._iter_named():
            self._keep()
            # Names come in their order: what is there already is listed a folder at a time.
            prefix = f"{line.name.rpartition('/')[0]}/"
            if prefix != shard:
                shard = prefix
                known = {s.name: s.length_bytes for s in self._target.iter_names(prefix)}
            if known.get(line.name) == line.length_bytes or self._copy(line):
                self._objects_count += 1
                self._objects_bytes += line.length_bytes
                self._tell("objects", self._objects_count)
                yield line

    def _iter_named(self) -> Iterator[ObjectLine]:
        metadata = self._source.metadata
        after = b""
        while packs := metadata.read(
            lambda unit, after=after: survey_of(unit).list_packs(after, _PAGE)  # type: ignore[misc]
        ):
            for pack in packs:
                yield ObjectLine(pack_name(pack.pack_id), pack.length_bytes)
            after = packs[-1].pack_id
        for state in (ArrivalState.UNVERIFIED, ArrivalState.QUARANTINED):
            arrivals = metadata.read(
                lambda unit, state=state: unit.arrivals.list_due(state, _END_OF_TIME_S, _ALL)  # type: ignore[misc]
            )
            for arrival in sorted(arrivals, key=lambda arrival: arrival.name):
                yield ObjectLine(arrival.name, arrival.length_bytes)

    def _copy(self, line: ObjectLine) -> bool:
        """Brings one object into the target; False, noted, if it cannot be had whole."""
        if self._link(line.name):
            if self._target.find_length(line.name) == line.length_bytes:
                return True
            self._target.delete(line.name)
        content = read_object(self._source.objects, line)
        if content is None:
            self._lacking.append(line.name)
            return False
        self._target.put(line.name, [content])
        self.copied_count += 1
        self.copied_bytes += len(content)
        self._tell("bytes", self.copied_bytes)
        return True


def read_object(objects: Objects, line: ObjectLine) -> bytes | None:
    """Returns the bytes of an object, or None if it is gone, damaged, or not of its name."""
    try:
        [content] = objects.read(line.name, [(0, line.length_bytes + 1)])
    except (FileNotFoundError, Corrupt):
        return None
    return content if is_what_it_should_be(line, content) else None


def is_what_it_should_be(line: ObjectLine, content: bytes) -> bool:
    """Tells whether these are the bytes of an object: a pack's name is their SHA-256."""
    pack_id = parse_pack_name(line.name)
    return len(content) == line.length_bytes and pack_id in (None, sha256(content).digest())


def check_place(objects: Objects, where: str) -> None:
    """Returns if backups may be made at a place: there are some already, or it is empty.

    Raises:
        NewerBackup: There are some of a newer version.
        NotForBackups: There is something else.
    """
    try:
        [content] = objects.read(MARK_NAME, [(0, 100)])
    except FileNotFoundError:
        first = next(iter(objects.iter_names()), None)
        if first is not None:
            raise NotForBackups(where, first.name) from None
        return
    check_mark(content, where)


def list_stamps(objects: Objects) -> list[str]:
    """Returns the names of all backups that have a manifest, oldest first."""
    stamps = (parse_manifest_name(stat.name) for stat in objects.iter_names(BACKUPS))
    return sorted(stamp for stamp in stamps if stamp is not None)
