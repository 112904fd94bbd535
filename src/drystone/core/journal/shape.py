# SPDX-License-Identifier: Apache-2.0
"""Shapes: what an entry must be in itself, wherever it stands. Nothing of it is trusted."""

from typing import Final

from drystone.core import limits
from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.ids import BLOCK_ID_BYTES, ID_BYTES, ROOT_ID, FileId
from drystone.core.tree.entry import Entry, Kind

MODE_MAX: Final = 0o777
TIME_NS_MAX: Final = (1 << 63) - 1
"""Times are kept as signed 64-bit nanoseconds: from the year 1677 to 2262."""


def find_id_fault(file_id: FileId) -> str:
    """Returns what is wrong with ``file_id`` as the id of an entry, or ``""``."""
    if len(file_id) != ID_BYTES:
        return f"a file id has {ID_BYTES} bytes, not {len(file_id)}"
    return "the root folder cannot be changed" if file_id == ROOT_ID else ""


def find_state_fault(entry: Entry) -> str:
    """Returns what is wrong with content, mode, mtime or target for its kind, or ``""``."""
    if not 0 <= entry.mode <= MODE_MAX:
        return f"the mode {entry.mode:#o} has more than the nine permission bits"
    if not -TIME_NS_MAX <= entry.mtime_ns <= TIME_NS_MAX:
        return "the modification time is not within the years 1678 to 2261"
    if entry.kind is Kind.FILE:
        if entry.target:
            return "only a symlink has a target"
        return "a file has content" if entry.content is None else find_content_fault(entry.content)
    if entry.content is not None:
        return "only a file has content"
    if entry.kind is Kind.SYMLINK:
        return find_target_fault(entry.target)
    if entry.kind is not Kind.FOLDER:
        return f"{entry.kind!r} is no kind of entry"
    if entry.target:
        return "only a symlink has a target"
    return "folders carry no modification time" if entry.mtime_ns else ""


def find_content_fault(content: Content) -> str:
    """Returns what is wrong with a content by itself, or ``""``. Its blocks are not looked at."""
    size_bytes = content.size_bytes
    if not 0 <= size_bytes <= limits.FILE_BYTES_MAX:
        return f"a file has at most {limits.FILE_BYTES_MAX} bytes, not {size_bytes}"
    if size_bytes == 0:
        return "" if content == EMPTY_CONTENT else "an empty file has the empty content"
    if len(content.root) != BLOCK_ID_BYTES or len(content.content_hash) != BLOCK_ID_BYTES:
        return f"a root and a content hash have {BLOCK_ID_BYTES} bytes"
    if not content.chunked and size_bytes > limits.BLOCK_BYTES_MAX:
        return f"{size_bytes} bytes are too many for one block"
    return ""


def find_target_fault(target: str) -> str:
    """Returns what is wrong with a symlink's target, or ``""``. Where it points is its own."""
    if not target:
        return "a symlink has a target"
    if "\0" in target:
        return "the symlink's target holds a zero byte"
    try:
        length_bytes = len(target.encode())
    except UnicodeEncodeError:
        return "the symlink's target is not text that UTF-8 can hold"
    if length_bytes > limits.SYMLINK_TARGET_BYTES_MAX:
        return (
            f"the symlink's target has {length_bytes} bytes,"
            f" {limits.SYMLINK_TARGET_BYTES_MAX} are allowed"
        )
    return ""
