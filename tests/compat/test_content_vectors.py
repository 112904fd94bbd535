# SPDX-License-Identifier: Apache-2.0
"""Golden vectors of the content formats, version 1. They are read for ever.

A vector that no longer holds is not to be changed: the format has changed, and needs a new
version beside the old one. What a compressor makes may differ from version to version of
the compressor; what it once made must always be read.
"""

from hashlib import sha256, shake_256

import pytest

from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.coding import decode_frame
from drystone.core.content.content import EMPTY_CONTENT, EMPTY_CONTENT_HASH
from drystone.core.content.digest import digest_small, digest_whole, new_chunker
from drystone.core.content.fastcdc import FastCDCChunker
from drystone.core.content.fixed import FixedChunker
from drystone.core.content.frame import (
    Codec,
    Frame,
    absent_frame,
    encode_end,
    encode_frame,
    encode_header,
)
from drystone.core.content.hashing import BUNDLE_TAG, MANIFEST_TAG, PACK_TAG, block_id
from drystone.core.content.manifest import Manifest, decode_manifest, encode_manifest
from drystone.core.content.outline import encode_outline
from drystone.core.content.patch import make_patch
from drystone.core.limits import MIB
from drystone.wire.bundle import BundleReader


def unhex(text):
    return bytes.fromhex(text)


def stream(seed, length_bytes):
    """Bytes that look random, the same everywhere: SHAKE256 of the seed."""
    return shake_256(seed.encode()).digest(length_bytes)


# --- names of content ------------------------------------------------------------------------


def test_tags():
    assert (MANIFEST_TAG, BUNDLE_TAG, PACK_TAG) == (b"DSMANI1\n", b"DSBNDL1\n", b"DSPACK1\n")


def test_block_id_is_sha256():
    # Source: FIPS 180-2, appendix B.1.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert block_id(b"abc").hex() == abc
    assert digest_small(b"abc").content.root.hex() == abc


def test_content_hash_of_one_block():
    found = digest_small(b"abc").content.content_hash.hex()
    assert found == "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"
    assert EMPTY_CONTENT.content_hash == EMPTY_CONTENT_HASH == sha256().digest()


STREAM = stream("drystone compat 1", 24 * MIB)
CONTENT_HASH = "9def67a21e123052334931e92fc77283dc81da4b379b230c24d60ce784add078"


@pytest.mark.parametrize(
    ("chunker_id", "root"),
    [
        (ChunkerId.FASTCDC, "bcb3fe4ce59de3a1ebf59b8233f939abb9d00133a4995224bd433f758416453c"),
        (ChunkerId.FIXED, "5e3d2638c15e4a5911c8be842df6aa40619da7d17bd54fb5bf3e307c338c83f6"),
    ],
)
def test_content_of_a_large_file(chunker_id, root):
    content = digest_whole(STREAM, new_chunker(chunker_id)).content
    assert content.content_hash.hex() == CONTENT_HASH
    assert content.root.hex() == root
    assert content.chunked


# --- cut points ------------------------------------------------------------------------------


def test_cut_points_of_a_random_stream():
    assert FastCDCChunker.version == FixedChunker.version == 1
    assert list(map(len, FastCDCChunker().cut(STREAM))) == [
        1821203, 2230831, 328174, 1090590, 1243674, 1301224, 570602, 626013, 1309397, 1492493,
        516639, 1059086, 1361930, 475274, 493741, 1457574, 1161853, 1755124, 1363271, 1108345,
        1530534, 868252,
    ]  # fmt: skip


def test_cut_points_of_text():
    text = b"".join(b"%d\n" % number for number in range(1, 600_000))
    lengths = list(map(len, FastCDCChunker().cut(text)))
    assert lengths == [1118849, 1461511, 433999, 753519, 321010]


# --- manifests -------------------------------------------------------------------------------

MANIFEST = Manifest(
    2,
    1,
    5_000_000,
    b"\x11" * 32,
    (Chunk(0, 4_194_304, b"\xaa" * 32), Chunk(4_194_304, 805_696, b"\xbb" * 32)),
)
ENCODED_MANIFEST = unhex(
    "44534d414e49310a 02 01 0000 02000000 404b4c0000000000"
    + "11" * 32
    + "00004000"
    + "aa" * 32
    + "404b0c00"
    + "bb" * 32
)


def test_manifest():
    assert encode_manifest(MANIFEST) == ENCODED_MANIFEST
    assert decode_manifest(ENCODED_MANIFEST) == MANIFEST


# --- frames and bundles ----------------------------------------------------------------------


def test_frame_headers():
    name, base = b"\xaa" * 32, b"\xbb" * 32
    zstd_frame = Frame(name, 1000, Codec.ZSTD, b"x" * 500)
    assert encode_header(zstd_frame) == unhex("b7d5 01 00 f4010000 e8030000" + "aa" * 32)
    delta = Frame(name, 1000, Codec.DELTA, b"x" * 500, base)
    assert encode_header(delta) == unhex("b7d5 02 00 f4010000 e8030000" + "aa" * 32 + "bb" * 32)
    raw = Frame(name, 3, Codec.RAW, b"raw")
    assert encode_frame(raw) == unhex("b7d5 00 00 03000000 03000000" + "aa" * 32 + "726177")
    assert encode_end(7) == unhex("b7d5 ff 00 07000000 00000000" + "00" * 32)
    absent = absent_frame(name, "code", "why")
    assert encode_frame(absent) == unhex(
        "b7d5 fe 00 08000000 00000000" + "aa" * 32 + b"code\nwhy".hex()
    )


OLD = b"".join(b"register %d is at %d\n" % (i, i * i % 97) for i in range(60))
NEW = OLD.replace(b"register 30 ", b"register thirty ")

ZSTD_PAYLOAD = unhex(
    "28b52ffd60d903950600928b1a12b025e950cd6296545c4a99524af2f825e762c3a9c81ddf764d929a3dcc22"
    "cdd4dc6456599a54b876f42f9e88dbd03c77b3a814216b21d13832f812a2e1e9e9b5e54be8896cc89822c935"
    "3f5d19ce841b554fd5396ff1d762651b8628000882400c310814088280c02076a8517cbeff06b0a3a40d10a6"
    "91e01d0072093f30f13cef259a7f3af3074e891aae7f866b339ef1c0b7b5141f023e99e694b74ab446bb4e11"
    "fc5befab31bf33cc9de4bce8b7e3facd704738321ab2dc01103ac94ec8037e290a9f82a1e8e7b6f0a3655b05"
)
DELTA_PAYLOAD = unhex("28b52ffd60dd0395000030746869727479020066c0c955ade1a6ca40")
PATCH_PAYLOAD = unhex(
    "0108020002010128b52ffd60dd03a503000403383839367468697274793331383833323532323338393336"
    "3133333533313334303438313332323138333439330a726524a0805e9703304392c80d35e054841b0b37db9c"
    "37e599ca4737b2285a31be42e3936c91f7e43d527bd827c8c99ddf37ebaf065419e9672abf26a7e8563ffa56"
    "5b05"
)
OUTLINE = unhex("010883527d706dc3c1e58a5bb4d6eb9f923b")


@pytest.mark.parametrize(
    ("codec", "payload", "block", "base"),
    [
        (Codec.RAW, OLD, OLD, None),
        (Codec.ZSTD, ZSTD_PAYLOAD, OLD, None),
        (Codec.DELTA, DELTA_PAYLOAD, NEW, OLD),
        (Codec.PATCH, PATCH_PAYLOAD, NEW, OLD),
    ],
)
def test_payloads_once_made_are_read(codec, payload, block, base):
    frame = Frame(block_id(block), len(block), codec, payload, base and block_id(base))
    assert decode_frame(frame, {block_id(OLD): OLD}.get) == block


def test_bundle():
    bundle = unhex(
        b"DSBNDL1\n".hex()
        + "b7d50000 03000000 03000000"
        + "d7439bee24773bcbfa2d0a97947ee36227b10d1022b1a55847e928965bb6bfde"
        + "726177"
        + "b7d50100 16000000 78000000"
        + "4d96890e88a4f30c1e5811f706f539bd2dfed0b14fc6933f3eeedcef61b2ca11"
        + "28b52ffd20786d000030616761696e2001002f692902"
        + "b7d50200 1c000000 dd040000"
        + "773fe301322c6b61f22b0aa43bda8e7bb68115f27a9a98cfebf184a3609ffeb9"
        + "e0934a538a3359e9ba1e5b0f770fb9a48a1364ac92b065586fa1d8d7c2a960d5"
        + DELTA_PAYLOAD.hex()
        + "b7d5ff00 03000000 00000000"
        + "00" * 32
    )
    reader = BundleReader()
    found = [decode_frame(frame, {block_id(OLD): OLD}.get) for frame in reader.feed(bundle)]
    reader.finish()
    assert found == [b"raw", b"again " * 20, NEW]


# --- outlines and patches --------------------------------------------------------------------


def test_outline_of_a_small_block():
    assert encode_outline(OLD) == OUTLINE
    assert encode_outline(b"") == unhex("0108")


@pytest.mark.parametrize(
    ("size", "length", "digest"),
    [
        (700_000, 2917, "cd48a76719ac722cfc1281167e19638d02a8d0f377832a716e1e4b8d327d11bc"),
    ],
)
def test_outline_of_a_large_block(size, length, digest):
    outline = encode_outline(stream("outline", size))
    assert (len(outline), sha256(outline).hexdigest()) == (length, digest)


def test_a_patch_names_the_same_pieces_as_ever():
    # The zstd frame behind it may come out otherwise with another library.
    payload = bytes(make_patch(block_id(NEW), NEW, block_id(OLD), OUTLINE).payload)
    assert payload[:7] == PATCH_PAYLOAD[:7] == unhex("01 08 02 00 02 01 01")
