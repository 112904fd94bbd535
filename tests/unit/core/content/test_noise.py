# SPDX-License-Identifier: Apache-2.0
"""Noise is what encrypted files look like, and nothing that people work with."""

import bz2
import gzip
import lzma
import sysconfig
import zipfile
import zlib
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from random import Random

import pytest

from drystone.core import limits
from drystone.core.content.noise import looks_like_noise

LIBRARY = Path(sysconfig.get_path("stdlib"))


def noise(length: int, seed: int = 0) -> bytes:
    return Random(seed).randbytes(length)


def archive(data: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("word/document.xml", data)
    return out.getvalue()


@pytest.mark.parametrize("length", [limits.NOISE_BYTES_MIN, 500, 4096, 100_000])
def test_random_bytes_are_noise(length: int) -> None:
    assert all(looks_like_noise(noise(length, seed)) for seed in range(30))


def test_little_is_never_noise() -> None:
    assert not looks_like_noise(b"")
    assert not looks_like_noise(noise(limits.NOISE_BYTES_MIN - 1))


def test_what_is_dense_but_says_what_it_is_is_no_noise() -> None:
    data = noise(9000)
    for dense in (
        gzip.compress(data), bz2.compress(data), lzma.compress(data), zlib.compress(data),
        archive(data), b"\xff\xd8\xff\xe0" + data, b"\0\0\0\x18ftypmp42" + data,
    ):  # fmt: skip
        assert not looks_like_noise(dense)


def test_what_has_a_shape_is_no_noise() -> None:
    for shaped in (bytes(5000), b"text and more text\n" * 200, b64encode(noise(4000)),
                   noise(3000).hex().encode(), "Größe\n".encode("utf-16") * 90,
                   bytes(range(256)) * 9):  # fmt: skip
        assert not looks_like_noise(shaped)


def test_the_standard_library_is_no_noise_and_all_of_it_is_when_encrypted() -> None:
    """Sources and their bytecode, as they are, rewritten by a program, and encrypted."""
    heads = [path.read_bytes()[:4096] for path in sorted(LIBRARY.glob("*.py"))]
    heads += [p.read_bytes()[:4096] for p in sorted((LIBRARY / "__pycache__").glob("*.pyc"))]
    long = [head for head in heads if len(head) >= limits.NOISE_BYTES_MIN]
    assert len(long) > 200

    assert not any(map(looks_like_noise, heads))
    assert not any(looks_like_noise(head.replace(b"self", b"this")) for head in heads)
    key = Random(7)
    encrypted = [bytes(a ^ b for a, b in zip(h, key.randbytes(len(h)), strict=True)) for h in long]
    assert sum(map(looks_like_noise, encrypted)) > 0.99 * len(long)
