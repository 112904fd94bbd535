# SPDX-License-Identifier: Apache-2.0
"""Entries, between the core's values and the wire's messages.

Functions named ``..._from_wire`` treat what they get as hostile: what they return has ids,
hashes and numbers of possible length and range, and texts that UTF-8 can hold. Whether a
name is legal is for ``decide`` (the server) and the planner (the client) to say. They are
called for every entry of a first sync, so each costs a few microseconds at most.
"""

from typing import Final

from drystone.core.content.content import EMPTY_CONTENT, Content
from drystone.core.content.hashing import content_hash_of_block_id
from drystone.core.ids import BLOCK_ID_BYTES, ID_BYTES, BlockId, FileId, Rev, Seq, format_id
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.limits import (
    BLOCK_BYTES_MAX,
    FILE_BYTES_MAX,
    SMALL_FILE_BYTES_MAX,
    SYMLINK_TARGET_BYTES_MAX,
)
from drystone.core.tree.entry import Entry, Kind
from drystone.wire.codec import MalformedMessage
from drystone.wire.messages import EditChange, WireEntry

MODE_MAX: Final = 0o777
INT64_MAX: Final = (1 << 63) - 1

# Looking a number up costs a third of calling the enumeration.
_KINDS: Final = {kind.value: kind for kind in Kind}
_ACTIONS: Final = {action.value: action for action in Action}
_FILE: Final = Kind.FILE
_SYMLINK: Final = Kind.SYMLINK
_CREATE: Final = Action.CREATE


def stored_to_wire(stored: StoredEntry) -> WireEntry:
    """Returns an entry with its last record, as it is sent."""
    return entry_to_wire(stored.entry, stored.seq, stored.action)


def entry_to_wire(entry: Entry, seq: int = 0, action: int = _CREATE) -> WireEntry:
    """Returns an entry as it is sent; ``seq`` and ``action`` are of its last record."""
    file_id, parent_id, name, kind, content, mode, mtime_ns, target, rev = entry
    if content is None:
        return WireEntry(
            file_id, parent_id, name, int(kind), seq, rev, int(action),
            mode=mode, mtime=mtime_ns, target=target,
        )  # fmt: skip
    size_bytes, root, is_chunked, content_hash = content
    return WireEntry(
        file_id, parent_id, name, 1, seq, rev, int(action), size_bytes, root, is_chunked,
        content_hash if is_chunked else b"", mode, mtime_ns,
    )  # fmt: skip


def stored_from_wire(wire: WireEntry) -> StoredEntry:
    """Returns the entry and last record that a message tells.

    Raises:
        MalformedMessage: No entry can be like this.
    """
    action = _ACTIONS.get(wire.action)
    if action is None or not 0 <= wire.seq <= INT64_MAX:
        raise malformed(wire.id, f"seq {wire.seq} or action {wire.action} cannot be")
    return StoredEntry(entry_from_wire(wire), Seq(wire.seq), action)


def entry_from_wire(wire: WireEntry) -> Entry:
    """Returns the entry that a message tells.

    Raises:
        MalformedMessage: No entry can be like this.
    """
    file_id = wire.id
    kind = _KINDS.get(wire.kind)
    mode = wire.mode
    mtime_ns = wire.mtime
    rev = wire.rev
    if len(file_id) != ID_BYTES or len(wire.parent) != ID_BYTES:
        raise malformed(file_id, "an id does not have 16 bytes")
    if kind is None:
        raise malformed(file_id, f"there is no kind {wire.kind}")
    check_attributes(file_id, mode, mtime_ns)
    if not 0 <= rev <= INT64_MAX:
        raise malformed(file_id, f"rev {rev} cannot be")
    check_text(file_id, wire.name)
    content: Content | None = None
    target = ""
    if kind is _FILE:
        content = content_from_wire(wire)
    elif kind is _SYMLINK:
        target = check_target(file_id, wire.target)
    else:
        mtime_ns = 0
    return Entry(
        FileId(file_id), FileId(wire.parent), wire.name, kind,
        content, mode, mtime_ns, target, Rev(rev),
    )  # fmt: skip


def content_from_wire(wire: WireEntry | EditChange) -> Content:
    """Returns the content that a message about a file tells.

    Whether the manifest or block exists and covers the size is for the service to check.

    Raises:
        MalformedMessage: No content can be like this.
    """
    file_id = wire.id
    size_bytes = wire.size
    root = wire.root
    content_hash = wire.hash
    if wire.chunked:
        if len(root) != BLOCK_ID_BYTES or len(content_hash) != BLOCK_ID_BYTES:
            raise malformed(file_id, "its root or content hash does not have 32 bytes")
        if not SMALL_FILE_BYTES_MAX < size_bytes <= FILE_BYTES_MAX:
            raise malformed(file_id, f"a file of {size_bytes} bytes cannot have a manifest")
        return Content(size_bytes, BlockId(root), wire.chunked, content_hash)
    if not root:
        if size_bytes:
            raise malformed(file_id, f"its content of {size_bytes} bytes has no root")
        derived = EMPTY_CONTENT
    else:
        if len(root) != BLOCK_ID_BYTES:
            raise malformed(file_id, "its root does not have 32 bytes")
        if not 0 < size_bytes <= BLOCK_BYTES_MAX:
            raise malformed(file_id, f"one block cannot hold {size_bytes} bytes")
        block = BlockId(root)
        derived = Content(size_bytes, block, wire.chunked, content_hash_of_block_id(block))
    if content_hash and content_hash != derived.content_hash:
        raise malformed(file_id, "its content hash does not follow from its block")
    return derived


def check_attributes(file_id: bytes, mode: int, mtime_ns: int) -> None:
    """Raises ``MalformedMessage`` for a mode or mtime that no entry can have."""
    if not 0 <= mode <= MODE_MAX:
        raise malformed(file_id, f"mode {mode:o} has more than the nine permission bits")
    if not -INT64_MAX <= mtime_ns <= INT64_MAX:
        raise malformed(file_id, "its mtime is out of range")


def check_target(file_id: bytes, target: str) -> str:
    """Returns the target of a symlink. Raises ``MalformedMessage`` if it cannot be one."""
    check_text(file_id, target)
    if not target or "\0" in target or len(target.encode()) > SYMLINK_TARGET_BYTES_MAX:
        raise malformed(
            file_id, f"a symlink's target has 1 to {SYMLINK_TARGET_BYTES_MAX} bytes, none of them 0"
        )
    return target


def check_text(file_id: bytes, text: str) -> None:
    """Raises ``MalformedMessage`` for a text that UTF-8 cannot hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise malformed(file_id, "a text of it cannot be written as UTF-8") from error


def malformed(file_id: bytes, fault: str) -> MalformedMessage:
    """Returns the error that says what is wrong with which entry."""
    return MalformedMessage(f"entry {format_id(file_id[:ID_BYTES])}: {fault}")
