# SPDX-License-Identifier: Apache-2.0
"""Manifests of backups: names, checksums, and what else is to be known. docs/formats/backup.md."""

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from drystone.core.errors import Corrupt, Misconfigured, Refused
from drystone.core.instant import NS_PER_S

FORMAT: Final = 1
MARK_NAME: Final = "drystone-backup"
BACKUPS: Final = "backups/"

_MARK: Final = "drystone backup, format "
_STAMP: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")
_CHECK_CHARS: Final = 64


class DamagedBackup(Corrupt):
    """Something in a backup is missing, cut off, or is not what its manifest says."""

    code = "damaged-backup"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the backup is damaged: {what}",
            advice="Take another one: drystone admin backup TARGET --list shows which there are.",
        )


class NewerBackup(Misconfigured):
    """A backup was made by a newer version, which this one cannot read."""

    code = "newer-backup"


class NoBackup(Refused):
    """There is no whole backup at a place, or not of that time."""

    code = "no-backup"


class BackupsNotEncrypted(Refused):
    """Backups of before the server's packs were encrypted lie in the same place, and share packs
    that have other bytes by now.
    """

    code = "backups-not-encrypted"

    def __init__(self, name: str) -> None:
        super().__init__(
            "the backups there were made before the server's packs were encrypted, and need"
            f" {name} as it was then",
            advice="Name another place. What is in the old ones is not encrypted: remove them when"
            " you no longer need them.",
        )


class NotForBackups(Refused):
    """A place that backups should go to holds something else."""

    code = "not-for-backups"

    def __init__(self, where: str, found: str) -> None:
        super().__init__(
            f"{where} holds something else than backups: {found!r}",
            advice="Name an empty place, or one that has backups already.",
        )


class Piece(NamedTuple):
    """One object of a backup: its name, its length, and the SHA-256 of its bytes, hexadecimal."""

    name: str
    length_bytes: int
    sha256: str


class Whole(NamedTuple):
    """A file in compressed pieces.

    Attributes:
        length_bytes: Of all of it, decompressed.
        sha256: Of all of it, hexadecimal.
        pieces: In order; each a zstd frame.
    """

    length_bytes: int
    sha256: str
    pieces: tuple[Piece, ...]


class Manifest(NamedTuple):
    """One backup.

    Attributes:
        stamp: Its name: when it was made, in UTC.
        made_ns: When.
        version: Of the program that made it.
        database: Where the metadata came from: ``sqlite`` or ``postgresql``.
        metadata: A SQLite database of all metadata.
        objects: Lists of the objects: a line for each, its name, a blank, its length.
        objects_count: How many they are.
        objects_bytes: How long they are together.
        files: Keys and settings, by their paths in the data directory.
        lacking: Objects that belong to it, and were gone or damaged when it was made.
    """

    stamp: str
    made_ns: int
    version: str
    database: str
    metadata: Whole
    objects: tuple[Whole, ...]
    objects_count: int
    objects_bytes: int
    files: dict[str, Piece]
    lacking: tuple[str, ...]


def make_stamp(now_ns: int) -> str:
    """Returns the name of a backup that is made now."""
    return f"{datetime.fromtimestamp(now_ns // NS_PER_S, UTC):%Y%m%dT%H%M%SZ}"


def manifest_name(stamp: str) -> str:
    """Returns the name of the object that closes a backup."""
    return f"{BACKUPS}{stamp}/manifest"


def parse_manifest_name(name: str) -> str | None:
    """Returns the stamp of the backup that an object closes, or None."""
    stamp = name.removeprefix(BACKUPS).removesuffix("/manifest")
    return stamp if name == manifest_name(stamp) and _STAMP.fullmatch(stamp) else None


def encode_mark() -> bytes:
    """Returns what tells that a place is one of backups."""
    return f"{_MARK}{FORMAT}\n".encode("ascii")


def check_mark(content: bytes, where: str) -> None:
    """Returns if a place holds backups that this version can read.

    Raises:
        NewerBackup: It is of a newer one.
        DamagedBackup: It does not say what it should.
    """
    text = content.decode("ascii", "replace").strip()
    number = text.removeprefix(_MARK)
    if not text.startswith(_MARK) or not number.isdecimal():
        raise DamagedBackup(f"{MARK_NAME} in {where} does not say what it should")
    if int(number) > FORMAT:
        raise NewerBackup(
            f"the backups in {where} have format {number}; this version reads up to {FORMAT}",
            advice="Install the version that made them.",
        )


def encode_manifest(manifest: Manifest) -> bytes:
    """Returns a manifest as text: JSON, and a line with its SHA-256."""
    body = json.dumps({"format": FORMAT, **_plain(manifest)}, indent=1, ensure_ascii=True).encode()
    return body + b"\n" + sha256(body).hexdigest().encode("ascii") + b"\n"


def decode_manifest(content: bytes) -> Manifest:
    """Returns what the text of a manifest says.

    Raises:
        DamagedBackup: It is cut off or damaged.
        NewerBackup: It is of a newer version.
    """
    body, _, check = content.rstrip(b"\n").rpartition(b"\n")
    if sha256(body).hexdigest().encode("ascii") != check:
        raise DamagedBackup("its manifest is cut off, or was changed")
    try:
        values = json.loads(body)
        number = values.pop("format")
        if number > FORMAT:
            raise NewerBackup(
                f"the backup has format {number}; this version reads up to {FORMAT}",
                advice="Install the version that made it.",
            )
        return Manifest(
            **{
                **values,
                "metadata": _whole(values["metadata"]),
                "objects": tuple(_whole(item) for item in values["objects"]),
                "files": {path: Piece(**piece) for path, piece in values["files"].items()},
                "lacking": tuple(values["lacking"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedBackup(f"its manifest does not follow the format ({error})") from error


def _whole(value: dict[str, Any]) -> Whole:
    return Whole(**{**value, "pieces": tuple(Piece(**piece) for piece in value["pieces"])})


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
