# SPDX-License-Identifier: Apache-2.0
"""Codec: messages to bytes and back, compressed where that pays, bounded always."""

from functools import cache
from typing import Final, TypeVar

import msgspec

from drystone.core.content import zstd
from drystone.core.errors import Corrupt, Refused
from drystone.core.limits import REQUEST_JSON_BYTES_MAX
from drystone.wire.messages import Message

M = TypeVar("M", bound=Message)

JSON_MEDIA_TYPE: Final = "application/json"
ZSTD_ENCODING: Final = "zstd"
COMPRESSED_BYTES_MIN: Final = 1024
"""A body up to this size travels as it is: it fits a packet anyway."""

_LEVEL: Final = 3
_encoder: Final = msgspec.json.Encoder()


class MalformedMessage(Refused):
    """A body is not the message that was expected."""

    code = "malformed-message"


class MessageTooLarge(Refused):
    """A body is, or would become, larger than one may be: ask for less at once."""

    code = "message-too-large"


def encode(message: Message) -> bytes:
    """Returns a message as JSON.

    Raises:
        MalformedMessage: A text in it cannot be written as UTF-8.
    """
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError as error:
        name = type(message).__name__
        raise MalformedMessage(f"a {name} message holds text that UTF-8 cannot hold") from error


def decode(kind: type[M], body: bytes | memoryview) -> M:
    """Returns the message of type ``kind`` that ``body`` holds as JSON.

    Raises:
        MalformedMessage: It does not; what is wrong and where is told.
    """
    decoder: msgspec.json.Decoder[M] = _decoder(kind)
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise MalformedMessage(f"this is not a {kind.__name__} message: {error}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"this is not a {kind.__name__} message") from error


def encode_body(message: Message, *, accept_zstd: bool) -> tuple[bytes, str | None]:
    """Returns a message as a body, and its ``Content-Encoding`` (None: as it is)."""
    plain = encode(message)
    if accept_zstd and len(plain) > COMPRESSED_BYTES_MIN:
        packed = zstd.compress(plain, _LEVEL)
        if len(packed) < len(plain):
            return packed, ZSTD_ENCODING
    return plain, None


def decode_body(
    kind: type[M], body: bytes, encoding: str | None, *, bytes_max: int = REQUEST_JSON_BYTES_MAX
) -> M:
    """Returns the message that a body with this ``Content-Encoding`` holds.

    Raises:
        MalformedMessage: It does not hold one, or its encoding is unknown or damaged.
        MessageTooLarge: It has more than ``bytes_max``, or would when decompressed.
    """
    return decode(kind, decompress_body(body, encoding, bytes_max=bytes_max))


def decompress_body(
    body: bytes, encoding: str | None, *, bytes_max: int = REQUEST_JSON_BYTES_MAX
) -> bytes:
    """Returns the plain bytes of a body. Raises as ``decode_body``."""
    if len(body) > bytes_max:
        raise MessageTooLarge(f"a body of {len(body)} bytes; at most {bytes_max} are allowed")
    if encoding in (None, "", "identity"):
        return body
    if encoding != ZSTD_ENCODING:
        raise MalformedMessage("a body has an unknown Content-Encoding; use zstd or none")
    try:
        plain_bytes = zstd.content_size(body)
        if plain_bytes is None:
            raise MalformedMessage("a compressed body does not tell its content size")
        if plain_bytes > bytes_max:
            raise MessageTooLarge(
                f"a body of {plain_bytes} bytes when decompressed; at most {bytes_max} are allowed"
            )
        return zstd.decompress(body, plain_bytes)
    except Corrupt as error:
        raise MalformedMessage(f"a compressed body is damaged: {error.message}") from error


@cache
def _decoder(kind: type[M]) -> msgspec.json.Decoder[M]:
    return msgspec.json.Decoder(kind)
