# SPDX-License-Identifier: Apache-2.0
"""Content: what one version of a file holds, in a value of constant size."""

from typing import Final, NamedTuple

from drystone.core.ids import BlockId


class Content(NamedTuple):
    """The bytes of one file, described.

    Attributes:
        size_bytes: Length of the file.
        root: ``b""`` for an empty file; the id of the only block; or, if ``chunked``, the
            manifest id (the block id of the manifest's encoding).
        chunked: True if ``root`` names a manifest.
        content_hash: 32 bytes; independent of the chunker. Two contents are the same
            bytes exactly when size and content hash are equal.
    """

    size_bytes: int
    root: BlockId
    chunked: bool
    content_hash: bytes

    def is_same(self, other: "Content | None") -> bool:
        """Tells whether both describe the same bytes, however they were cut."""
        return (
            other is not None
            and self.content_hash == other.content_hash
            and self.size_bytes == other.size_bytes
        )


EMPTY_CONTENT_HASH: Final = bytes.fromhex(
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)
"""SHA-256 of nothing: the content hash of an empty file."""

EMPTY_CONTENT: Final = Content(0, BlockId(b""), False, EMPTY_CONTENT_HASH)  # noqa: FBT003
