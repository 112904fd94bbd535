# SPDX-License-Identifier: Apache-2.0
"""The JSON messages of the native protocol, as msgspec types.

``bytes`` fields are base64 on the wire. Defaults are left out, unknown fields are ignored
(so that either side may be newer), wrong types are refused by the decoder.
Source: docs/protocol/native.md.
"""

from msgspec import Struct


class Message(Struct, omit_defaults=True, frozen=True, gc=False):
    """Parent of all messages."""


# --- signing in ------------------------------------------------------------------------------


class SignIn(Message, frozen=True):
    """``POST /v1/devices``: a new device of an account."""

    account: str
    password: str
    device_name: str


class SignedIn(Message, frozen=True):
    """The answer: the only time the token is shown."""

    device_id: bytes
    token: str
    account_id: bytes
    account: str
    namespace_id: bytes
    """The account's root namespace."""


class DeviceLine(Message, frozen=True):
    """One device of the caller's account."""

    device_id: bytes
    name: str
    created_ns: int
    seen_ns: int = 0
    revoked: bool = False
    current: bool = False


class Devices(Message, frozen=True):
    """``GET /v1/devices``."""

    devices: list[DeviceLine]


class AccountView(Message, frozen=True):
    """``GET /v1/account``: who the caller is, and what this server is."""

    account_id: bytes
    account: str
    device_id: bytes
    device_name: str
    namespace_id: bytes
    server_version: str = ""
    protocol: int = 1


# --- blocks ----------------------------------------------------------------------------------


class Ask(Message, frozen=True):
    """``POST /v1/blocks/ask``: which of these must I send?

    With ``verify``, blocks are read back from the server's disk first, and what is damaged
    there must be sent, too.
    """

    namespace_id: bytes
    ids: bytes
    """Block ids back to back, 32 bytes each."""
    verify: bool = False


class AskAnswer(Message, frozen=True):
    """One bit per asked id, first id in the lowest bit of the first byte; 1 = send it."""

    missing: bytes


class PutAnswer(Message, frozen=True):
    """``PUT /v1/blocks?namespace=HEX``: what a bundle brought."""

    blocks: int
    stored_blocks: int
    stored_bytes: int


class Fetch(Message, frozen=True):
    """``POST /v1/blocks/fetch``: send these blocks, in this order.

    ``bases`` is empty or as long as ``ids``: for each id a block the caller holds that it
    may be sent as a delta against, or 32 zero bytes for none.
    ``doubted`` are ids that arrived damaged before: they are verified before they are sent.
    """

    namespace_id: bytes
    ids: bytes
    bases: bytes = b""
    doubted: bytes = b""


class OutlineAsk(Message, frozen=True):
    """``POST /v1/blocks/outline``: outlines of blocks, to make patches against them."""

    namespace_id: bytes
    ids: bytes


class OutlineAnswer(Message, frozen=True):
    """One encoded outline per id, in order; empty bytes if the caller does not hold it."""

    outlines: list[bytes]


class PackOffer(Message, frozen=True):
    """A pack that the caller would put into the object store itself."""

    id: bytes
    """SHA-256 of the whole pack."""
    heads: bytes
    """The headers of its frames (44 bytes each, codecs 0 and 1), in their order: they tell all but
    the payloads, and how long the pack is."""
    parts: bytes = b""
    """If it may travel in parts: SHA-256 of each 8 MiB of it, back to back."""


class Grant(Message, frozen=True):
    """``POST /v1/blocks/grant``: tickets to put these packs into the object store, and to read
    these blocks out of it.
    """

    namespace_id: bytes
    packs: list[PackOffer] = []
    ids: bytes = b""
    """Block ids back to back."""


class Ticket(Message, frozen=True):
    """A request that the object store answers to whoever sends it, until ``expires_s``.

    It is sent exactly as it stands here, with all headers.
    """

    method: str
    url: str
    expires_s: int
    headers: dict[str, str] = {}


class PartTicket(Message, frozen=True):
    """How to put one part of a pack."""

    offset: int
    length: int
    ticket: Ticket


class PackTicket(Message, frozen=True):
    """The answer for one pack: ``held``: the namespace holds all its blocks already. ``stands``:
    it was put before; only say that it has arrived. Else it is to be put with the ticket, or these
    parts of it are, which the store does not have yet.
    """

    arrival: bytes = b""
    """What to call it when it has arrived; empty if it is held."""
    held: bool = False
    stands: bool = False
    ticket: Ticket | None = None
    parts: list[PartTicket] = []


class RangeTicket(Message, frozen=True):
    """Frames that lie back to back in the object store."""

    ids: bytes
    """Their block ids, in the order in which they lie."""
    length: int
    """Of all frames together, with their headers."""
    ticket: Ticket


class GrantAnswer(Message, frozen=True):
    """A ticket per pack, in order, and ranges in which some of the wanted blocks lie. The other
    blocks are fetched as ever.
    """

    packs: list[PackTicket] = []
    ranges: list[RangeTicket] = []


class Arrived(Message, frozen=True):
    """``POST /v1/blocks/arrived``: these packs stand in the object store now."""

    namespace_id: bytes
    arrivals: bytes
    """As ``PackTicket.arrival``, 16 bytes each, back to back."""


class ArrivedOutcome(Message, frozen=True):
    """What became of one pack. ``code`` empty: the namespace holds its blocks."""

    code: str = ""
    message: str = ""


class ArrivedAnswer(Message, frozen=True):
    """An outcome per pack, in order."""

    outcomes: list[ArrivedOutcome]


# --- entries ---------------------------------------------------------------------------------


class WireEntry(Message, frozen=True):
    """An entry with its last record; see docs/protocol/changes.md."""

    id: bytes
    parent: bytes
    name: str
    kind: int
    seq: int = 0
    rev: int = 0
    action: int = 1
    """The last record's action: 4 says that the entry is deleted."""
    size: int = 0
    root: bytes = b""
    chunked: bool = False
    hash: bytes = b""
    """Content hash; left out where it follows from ``root`` (one block, or empty)."""
    mode: int = 0
    mtime: int = 0
    target: str = ""


class ChangesPage(Message, frozen=True):
    """``GET /v1/changes?cursor=&under=``: what changed since the cursor.

    ``gone`` are ids that left the watched folder (only with ``under``).
    ``reset`` says: forget what you know of the server and start from no cursor. With it
    ``rewound_to`` says, if it is there, that the journal was put back to an earlier state since,
    and is only up to this seq as the cursor's reader knows it.
    """

    entries: list[WireEntry]
    cursor: str
    head: int
    has_more: bool = False
    reset: bool = False
    gone: list[bytes] = []
    namespace_id: bytes = b""
    rewound_to: int | None = None


class Listing(Message, frozen=True):
    """A page of entries: of one folder, of all below a folder, of deleted ones."""

    entries: list[WireEntry]
    next: str = ""
    """Opaque; pass it as ``after`` for the next page; empty at the end."""
    head: int = 0
    times_ns: list[int] = []
    """Of deleted entries: when each was deleted."""
    folders: list[str] = []
    """Of deleted entries: the path of the folder that each was in, by its names of today."""


class RevisionLine(Message, frozen=True):
    """One record of an entry's history, newest first."""

    entry: WireEntry
    at_ns: int
    account: str
    device: str
    gone: bool = False
    """Its content is no longer on the server: it can be neither read nor restored."""


class Revisions(Message, frozen=True):
    """``GET /v1/namespaces/{ns}/entries/{id}/revisions``."""

    revisions: list[RevisionLine]


class BellMessage(Message, frozen=True):
    """What the bell says: this namespace's head moved. It may be lost."""

    namespace_id: bytes
    head: int


class WaitAnswer(Message, frozen=True):
    """``GET /v1/changes/wait``: True if there is more to read than the cursor has."""

    changed: bool
    backoff_s: float = 0.0


# --- commits ---------------------------------------------------------------------------------


class CreateChange(Message, frozen=True, tag="create", tag_field="do"):
    """See ``core.journal.change.Create``."""

    entry: WireEntry
    on_conflict: int = 0


class EditChange(Message, frozen=True, tag="edit", tag_field="do"):
    """See ``core.journal.change.Edit``; the entry's place is ignored."""

    id: bytes
    base_rev: int
    size: int = 0
    root: bytes = b""
    chunked: bool = False
    hash: bytes = b""
    kind: int = 1
    mode: int = 0
    mtime: int = 0
    target: str = ""
    on_conflict: int = 0


class MoveChange(Message, frozen=True, tag="move", tag_field="do"):
    """See ``core.journal.change.Move``."""

    id: bytes
    parent: bytes
    name: str
    base_parent: bytes
    base_name: str


class DeleteChange(Message, frozen=True, tag="delete", tag_field="do"):
    """See ``core.journal.change.Delete``."""

    id: bytes
    base_rev: int


class RestoreChange(Message, frozen=True, tag="restore", tag_field="do"):
    """See ``core.journal.change.Restore``."""

    id: bytes
    rev: int = 0
    parent: bytes = b""
    name: str = ""


WireChange = CreateChange | EditChange | MoveChange | DeleteChange | RestoreChange


class CommitRequest(Message, frozen=True):
    """``POST /v1/namespaces/{ns}/commits`` (with an ``Idempotency-Key``).

    ``cursor`` is how far the committer has read, if it is told: if the journal was put back to an
    earlier state since, all changes are refused with ``history-rewound``.
    """

    changes: list[WireChange]
    seen_seq: int = 0
    all_or_nothing: bool = False
    cursor: str = ""


class WireOutcome(Message, frozen=True):
    """What became of one change. ``code`` empty: accepted."""

    seq: int = 0
    rev: int = 0
    name: str = ""
    """Set if it was kept under another name than asked (a conflicted copy)."""
    id: bytes = b""
    """With ``name``: the file id of that copy (new if an edit became a copy)."""
    code: str = ""
    message: str = ""
    occupant: bytes = b""
    missing: bytes = b""
    """Block ids back to back."""


class CommitAnswer(Message, frozen=True):
    """The head before and after, and an outcome per change, in order.

    ``cursor`` is a cursor at ``head``. If ``head_before`` is where the caller's own cursor
    stood, the caller knows all there is up to ``head`` and may take this cursor.
    """

    head_before: int
    head: int
    cursor: str
    outcomes: list[WireOutcome]


# --- brakes ----------------------------------------------------------------------------------


class BrakeLine(Message, frozen=True):
    """The brake of one device of the caller's account in a namespace.

    ``held_count``: entries that the commit which was held last would have destroyed; 0: none is
    held. ``allowed_count`` and ``allowed_until_ns``: what a human has allowed it.
    """

    device_id: bytes
    device: str
    held_ns: int = 0
    held_count: int = 0
    allowed_count: int = 0
    allowed_until_ns: int = 0


class BrakeLines(Message, frozen=True):
    """``GET /v1/namespaces/{ns}/brakes``."""

    brakes: list[BrakeLine]


class AllowBurst(Message, frozen=True):
    """``POST /v1/namespaces/{ns}/brakes/{device}``: let it destroy so many entries.

    ``entries`` 0: as many as were held last. ``password``: of the account, if it is the caller's
    own brake.
    """

    entries: int = 0
    seconds: int = 3600
    password: str = ""


# --- health ----------------------------------------------------------------------------------


class Health(Message, frozen=True):
    """``GET /v1/health`` and ``GET /v1/ready``: what answers here, and that it does.

    Attributes:
        parts: What was found to be well; only of ``ready``.
    """

    status: str
    server_version: str = ""
    protocol: int = 0
    parts: list[str] = []


# --- trouble ---------------------------------------------------------------------------------


class Problem(Message, frozen=True):
    """RFC 9457 problem details (``application/problem+json``)."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    advice: str = ""
    retryable: bool = False
    retry_after_s: float = 0.0
    request_id: str = ""
