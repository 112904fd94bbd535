# SPDX-License-Identifier: Apache-2.0
"""Reading backups: verifying one, bringing one back, and letting older ones go."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from drystone.server.ports.objects import Objects
from drystone.server.workers.backup.manifest import (
    BACKUPS,
    DamagedBackup,
    Manifest,
    manifest_name,
)
from drystone.server.workers.backup.pieces import iter_whole, read_piece
from drystone.server.workers.backup.places import (
    iter_objects,
    list_stamps,
    load_manifest,
    read_object,
)

_MANIFEST_BYTES_MAX: Final = 1 << 28

Tell = Callable[[str, int], None]


def verify_backup(backup: Objects, manifest: Manifest, tell: Tell) -> list[str]:
    """Reads all of a backup; returns what is wrong with it, a sentence each.

    Memory: that of one object.
    """
    faults = []
    parts = [
        (manifest.metadata, "the metadata"),
        *((whole, "a list of objects") for whole in manifest.objects),
    ]
    for whole, what in parts:
        try:
            for _ in iter_whole(backup, whole):
                pass
        except DamagedBackup as error:
            faults.append(f"{what}: {error.message}")
    for path, piece in manifest.files.items():
        try:
            read_piece(backup, piece)
        except DamagedBackup as error:
            faults.append(f"{path}: {error.message}")
    return faults or list(_iter_damaged(backup, manifest, tell))


def _iter_damaged(backup: Objects, manifest: Manifest, tell: Tell) -> Iterator[str]:
    done_bytes = 0
    for count, line in enumerate(iter_objects(backup, manifest), 1):
        content = read_object(backup, line)
        if content is None:
            yield f"{line.name} is missing or damaged"
        done_bytes += len(content or b"")
        tell("objects", count)
        tell("bytes", done_bytes)


def find_missing(backup: Objects, manifest: Manifest) -> list[str]:
    """Returns the objects of a backup that are not there, or too long or short; reads none."""
    missing = []
    known: dict[str, int] = {}
    shard = ""
    for line in iter_objects(backup, manifest):
        prefix = f"{line.name.rpartition('/')[0]}/"
        if prefix != shard:
            shard = prefix
            known = {s.name: s.length_bytes for s in backup.iter_names(prefix)}
        if known.get(line.name) != line.length_bytes:
            missing.append(line.name)
    return missing


def restore_objects(
    backup: Objects, manifest: Manifest, target: Objects, tell: Tell, *, despite_damage: bool
) -> list[str]:
    """Copies the objects of a backup into a server's store, each compared with its name.

    Returns:
        Those that are missing or damaged and were left out.

    Raises:
        DamagedBackup: One is, and nobody said that this does not matter.
    """
    lacking = []
    count = done_bytes = 0
    for line in iter_objects(backup, manifest):
        content = read_object(backup, line)
        if content is None:
            if not despite_damage:
                raise DamagedBackup(f"{line.name} is missing or damaged")
            lacking.append(line.name)
            continue
        target.put(line.name, [content])
        count += 1
        done_bytes += len(content)
        tell("objects", count)
        tell("bytes", done_bytes)
    return lacking


def restore_metadata(backup: Objects, manifest: Manifest, path: Path) -> None:
    """Writes the SQLite database of a backup to a new file.

    Raises:
        DamagedBackup: It is damaged. The file is of no use then.
    """
    with path.open("xb") as file:
        for part in iter_whole(backup, manifest.metadata):
            file.write(part)


def remove_older(backup: Objects, kept_count: int) -> list[str]:
    """Removes all but the newest backups, what interrupted ones left, and the objects that no
    remaining one names. Returns the names of those that were whole.

    A manifest goes first, so that what is half removed is none.

    Raises:
        DamagedBackup: One that stays cannot be read: then nothing is removed.
    """
    stamps = list_stamps(backup)
    kept, removed = stamps[-kept_count:], stamps[:-kept_count]
    named = {
        line.name
        for stamp in kept
        for line in iter_objects(backup, load_manifest(backup, "", stamp))
    }
    for stamp in removed:
        backup.delete(manifest_name(stamp))
    for stat in list(backup.iter_names(BACKUPS)):
        if stat.name.removeprefix(BACKUPS).partition("/")[0] not in kept:
            backup.delete(stat.name)
    for prefix in ("packs/", "arriving/"):
        for stat in list(backup.iter_names(prefix)):
            if stat.name not in named:
                backup.delete(stat.name)
    return removed
