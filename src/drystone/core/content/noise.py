# SPDX-License-Identifier: Apache-2.0
"""Noise: bytes that look random, as encrypted ones do.

Two signs together: the bytes do not compress, and they do not begin as any of the formats do
that are compressed already. A photo, a document of an office program or an archive is as dense as
something encrypted, but tells at once what it is; what a stranger's program has encrypted does not.
"""

from typing import Final

from drystone.core import limits
from drystone.core.content.hashing import Buffer
from drystone.core.content.zstd import compress

_LEVEL: Final = 1
_DENSE: Final = 0.98
"""Of its length, so much is left when noise is compressed: in truth, a little more than all."""
_DISTINCT: Final = 0.85
"""Of the different byte values that chance would give, so many at least are found in noise. In
256 bytes that is five standard deviations below the mean, and far above what text has."""
_VALUES: Final = 256

_BEGINNINGS: Final = (
    # Pictures
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"\xff\x0a",
    b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ", b"AT&TFORM", b"8BPS", b"FUJIFILM",
    # Sound and film
    b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"fLaC", b"OggS",
    b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"0&\xb2u",
    # Archives, and documents that are archives
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"(\xb5/\xfd",
    b'\x04"M\x18', b"7z\xbc\xaf\x27\x1c", b"Rar!", b"LZIP", b"\x78\x01", b"\x78\x5e", b"\x78\x9c",
    b"\x78\xda", b"MSCF", b"%PDF", b"\xd0\xcf\x11\xe0", b"wOFF", b"wOF2", b"PACK", b"DIRC",
    b"\xfftOc", b"PAR1", b"\x89HDF", b"\x93NUMPY", b"SQLite format 3",
)  # fmt: skip
_FILM: Final = b"ftyp"
"""From the fifth byte on: MP4, MOV, HEIC, AVIF."""


def looks_like_noise(head: Buffer) -> bool:
    """Tells whether a file that begins with these bytes looks as if it were encrypted.

    Args:
        head: Its first ``limits.NOISE_HEAD_BYTES``, or all of it if it is shorter. What is
            shorter than ``limits.NOISE_BYTES_MIN`` is not judged: it never looks like noise.

    Cost: about three microseconds for what has a shape, twenty for noise.
    """
    if len(head) < limits.NOISE_BYTES_MIN:
        return False
    first = bytes(head[:_VALUES])
    if first.startswith(_BEGINNINGS) or first[4:8] == _FILM:
        return False
    if len(set(first)) < _DISTINCT * _VALUES * (1 - (1 - 1 / _VALUES) ** len(first)):
        return False
    sample = bytes(head[: limits.NOISE_HEAD_BYTES])
    return len(compress(sample, _LEVEL)) > _DENSE * len(sample)
