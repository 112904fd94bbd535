# SPDX-License-Identifier: Apache-2.0
"""Pieces: something long as objects of a bounded size, each compressed, all with checksums."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from drystone.core.content.zstd import compress, content_size, decompress
from drystone.core.errors import Corrupt
from drystone.core.limits import MIB
from drystone.server.ports.objects import Objects
from drystone.server.workers.backup.manifest import DamagedBackup, Piece, Whole

PIECE_BYTES: Final = 16 * MIB


def write_piece(objects: Objects, name: str, content: bytes) -> Piece:
    """Puts an object and returns what a manifest tells of it."""
    objects.put(name, [content])
    return Piece(name, len(content), sha256(content).hexdigest())


def read_piece(objects: Objects, piece: Piece) -> bytes:
    """Returns the bytes of an object, compared with the manifest.

    Raises:
        DamagedBackup: It is gone, or has other bytes.
    """
    try:
        [content] = objects.read(piece.name, [(0, piece.length_bytes + 1)])
    except FileNotFoundError as error:
        raise DamagedBackup(f"{piece.name} is missing") from error
    if len(content) != piece.length_bytes or sha256(content).hexdigest() != piece.sha256:
        raise DamagedBackup(f"{piece.name} does not have the bytes that its manifest tells of")
    return content


def write_whole(objects: Objects, folder: str, parts: Iterable[bytes]) -> Whole:
    """Puts something long below a folder, in pieces.

    Args:
        objects: Where to.
        folder: What the names of the pieces begin with, without a slash at its end.
        parts: The bytes, at most ``PIECE_BYTES`` each; one piece each.
    """
    hasher = sha256()
    length_bytes = 0
    pieces = []
    for number, part in enumerate(parts, 1):
        hasher.update(part)
        length_bytes += len(part)
        pieces.append(write_piece(objects, f"{folder}/{number:06d}.zst", compress(part, 3)))
    return Whole(length_bytes, hasher.hexdigest(), tuple(pieces))


def iter_whole(objects: Objects, whole: Whole) -> Iterator[bytes]:
    """Yields the bytes of something long, in parts; raises at the end if they are not the same.

    Raises:
        DamagedBackup: A piece is gone or damaged.
    """
    hasher = sha256()
    length_bytes = 0
    for piece in whole.pieces:
        content = read_piece(objects, piece)
        try:
            plain_bytes = content_size(content)
            if plain_bytes is None or plain_bytes > PIECE_BYTES:
                raise DamagedBackup(f"{piece.name} is longer than a piece may be")
            part = decompress(content, plain_bytes)
        except DamagedBackup:
            raise
        except Corrupt as error:
            raise DamagedBackup(f"{piece.name}: {error.message}") from error
        hasher.update(part)
        length_bytes += len(part)
        yield part
    if length_bytes != whole.length_bytes or hasher.hexdigest() != whole.sha256:
        raise DamagedBackup("its pieces do not make up what its manifest tells of")
