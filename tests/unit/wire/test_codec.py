# SPDX-License-Identifier: Apache-2.0
"""Codec: messages survive it, anything else is refused with a reason."""

import pytest

from drystone.core.content import zstd
from drystone.wire.codec import (
    COMPRESSED_BYTES_MIN,
    MalformedMessage,
    MessageTooLarge,
    decode,
    decode_body,
    encode,
    encode_body,
)
from drystone.wire.messages import (
    Ask,
    CommitRequest,
    DeleteChange,
    MoveChange,
    SignIn,
    WireEntry,
)

SMALL = Ask(b"n" * 16, b"i" * 64)
LARGE = Ask(b"n" * 16, b"i" * 32 * 500)


@pytest.mark.parametrize("accept_zstd", [True, False])
@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
def test_a_message_survives_its_body(message, accept_zstd):
    body, encoding = encode_body(message, accept_zstd=accept_zstd)
    assert decode_body(Ask, body, encoding) == message
    assert encoding == ("zstd" if accept_zstd and message is LARGE else None)


def test_only_what_is_large_is_compressed():
    assert len(encode(SMALL)) < COMPRESSED_BYTES_MIN < len(encode(LARGE))
    assert len(encode_body(LARGE, accept_zstd=True)[0]) < len(encode(LARGE)) // 10


def test_changes_are_told_apart():
    request = CommitRequest([DeleteChange(b"i" * 16, 7), MoveChange(b"i", b"p", "n", b"q", "m")])
    assert decode(CommitRequest, encode(request)) == request


def test_a_newer_side_may_say_more():
    assert decode(SignIn, b'{"account":"a","password":"p","device_name":"d","new":[1]}') == SignIn(
        "a", "p", "d"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b'{"namespace_id":"AA==","ids":5}',
        b'{"namespace_id":"AA==","ids":"not base64!"}',
        b'{"namespace_id":"AA==","ids":"\xff"}',
        b'{"namespace_id":"AA==","ids":"\\ud800"}',
        b"[" * 200_000,
        b'{"do":"explode"}',
    ],
)
def test_junk_is_refused(body):
    with pytest.raises(MalformedMessage):
        decode(Ask, body)
    with pytest.raises(MalformedMessage):
        decode(CommitRequest, body)


def test_a_text_that_is_not_utf8_is_not_sent():
    with pytest.raises(MalformedMessage):
        encode(WireEntry(b"", b"", "\udcff", 1))


@pytest.mark.parametrize("encoding", [None, "", "identity"])
def test_a_plain_body_may_say_so(encoding):
    assert decode_body(Ask, encode(SMALL), encoding) == SMALL


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (encode(SMALL), "gzip"),
        (encode(SMALL), "zstd"),
        (b"", "zstd"),
        (zstd.compress(encode(SMALL), 3)[:-1], "zstd"),
        (zstd.compress(encode(SMALL), 3) + b"x", "zstd"),
    ],
)
def test_a_damaged_body_is_refused(body, encoding):
    with pytest.raises(MalformedMessage):
        decode_body(Ask, body, encoding)


def test_a_body_that_tells_no_size_is_refused():
    compressor = zstd.zstd.ZstdCompressor()
    body = compressor.compress(encode(LARGE)) + compressor.flush()
    with pytest.raises(MalformedMessage):
        decode_body(Ask, body, "zstd")


def test_a_body_that_is_too_large_is_refused_unread():
    with pytest.raises(MessageTooLarge):
        decode_body(Ask, encode(LARGE), None, bytes_max=1_000)
    with pytest.raises(MessageTooLarge):
        decode_body(Ask, zstd.compress(bytes(100_000_000), 3), "zstd")
