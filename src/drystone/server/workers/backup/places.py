# SPDX-License-Identifier: Apache-2.0
"""Places of backups: which there are, and which objects belong to each."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from drystone.core.errors import Corrupt
from drystone.server.ports.objects import Objects
from drystone.server.storage.packs.layout import parse_pack_name
from drystone.server.workers.backup.manifest import (
    BACKUPS,
    MARK_NAME,
    DamagedBackup,
    Manifest,
    NoBackup,
    NotForBackups,
    check_mark,
    decode_manifest,
    manifest_name,
    parse_manifest_name,
)
from drystone.server.workers.backup.pieces import iter_whole

NAMED: Final = "-"
"""In the place of a SHA-256 that stands in the name."""

KEYRING: Final = "keyring/"
"""The keys of objects that are encrypted, themselves encrypted with the master key."""

_MANIFEST_BYTES_MAX: Final = 1 << 28
_FIELDS: Final = 3


class ObjectLine(NamedTuple):
    """An object that belongs to a backup.

    Attributes:
        name: In the server's store and in the backup.
        length_bytes: As it is stored, encrypted or not.
        sha256: Of its bytes as they are stored, hexadecimal; ``-`` if they are a pack's own, whose
            name is their SHA-256.
    """

    name: str
    length_bytes: int
    sha256: str = NAMED


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


def load_manifest(backup: Objects, where: str, stamp: str = "") -> Manifest:
    """Returns the manifest of one backup; the newest one if none is named.

    Raises:
        NoBackup: There is none, or none that was finished.
        DamagedBackup, NewerBackup: It cannot be read.
    """
    stamps = list_stamps(backup)
    if not stamps or (stamp and stamp not in stamps):
        which = f"backup {stamp}" if stamp else "finished backup"
        raise NoBackup(
            f"there is no {which} in {where}",
            advice="drystone admin backup TARGET --list shows which there are.",
        )
    stamp = stamp or stamps[-1]
    [content] = backup.read(manifest_name(stamp), [(0, _MANIFEST_BYTES_MAX)])
    manifest = decode_manifest(content)
    if manifest.stamp != stamp:
        raise DamagedBackup(f"the manifest of {stamp} is that of another backup")
    return manifest


def iter_objects(backup: Objects, manifest: Manifest) -> Iterator[ObjectLine]:
    """Yields the objects that belong to a backup, in the order of their names.

    Raises:
        DamagedBackup: The lists of them are damaged.
    """
    for whole in manifest.objects:
        rest = b""
        for part in iter_whole(backup, whole):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                fields = line.decode("ascii", "replace").split(" ")
                if len(fields) != _FIELDS or not fields[1].isdecimal():
                    raise DamagedBackup("a list of objects does not follow the format")
                yield ObjectLine(fields[0], int(fields[1]), fields[2])


def load_hashes(target: Objects) -> dict[str, ObjectLine]:
    """Returns what the newest backup at a place tells of its objects; nothing if there is none."""
    stamps = list_stamps(target)
    if not stamps:
        return {}
    try:
        manifest = load_manifest(target, "", stamps[-1])
        return {line.name: line for line in iter_objects(target, manifest)}
    except DamagedBackup:
        return {}


def read_object(objects: Objects, line: ObjectLine) -> bytes | None:
    """Returns the bytes of an object, or None if it is gone, damaged, or not of its name."""
    try:
        [content] = objects.read(line.name, [(0, line.length_bytes + 1)])
    except (FileNotFoundError, Corrupt):
        return None
    return content if is_what_it_should_be(line, content) else None


def is_what_it_should_be(line: ObjectLine, content: bytes) -> bool:
    """Tells whether these are the bytes of an object: a pack's name is their SHA-256."""
    if len(content) != line.length_bytes:
        return False
    if line.sha256 != NAMED:
        return sha256(content).hexdigest() == line.sha256
    return parse_pack_name(line.name) in (None, sha256(content).digest())
