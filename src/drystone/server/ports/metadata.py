# SPDX-License-Identifier: Apache-2.0
"""Metadata: accounts, devices, namespaces, entries, journal, block index, in transactions.

All methods are synchronous; a whole unit of work runs in one thread and never awaits, so
its preconditions stay true to its end. The service hands units of work to ``write`` and
``read``; what they get is only valid inside.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from drystone.core.errors import Refused
from drystone.core.ids import AccountId, BlockId, DeviceId, FileId, NamespaceId, PackId, Seq
from drystone.core.journal.eras import Era
from drystone.core.journal.record import Record, StoredEntry
from drystone.server.ports.arrivals import ArrivalsUnit
from drystone.server.ports.collecting import HistoryUnit, HoldersUnit, PacksUnit
from drystone.server.ports.duties import DutiesUnit
from drystone.server.ports.places import BlockPlace as BlockPlace  # noqa: PLC0414  part of this port
from drystone.server.ports.projections import ProjectionsUnit
from drystone.server.ports.shared import SharedUnit

T = TypeVar("T")


class AccountExists(Refused):
    """There is already an account with this name."""

    code = "account-exists"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is already an account {name!r}, in whatever case",
            advice="Choose another name.",
        )


class MalformedPage(Refused):
    """What should say where the next page of a listing begins was not given out by us."""

    code = "page-invalid"

    def __init__(self) -> None:
        super().__init__(
            "that is not where a page of this listing begins",
            advice="Leave it out to list from the beginning.",
        )


class Account(NamedTuple):
    """Who. ``name`` is unique under case folding."""

    account_id: AccountId
    name: str
    password_hash: str
    root_namespace_id: NamespaceId
    created_ns: int
    disabled: bool = False


class Device(NamedTuple):
    """One installation of the client. Its token is kept only as a SHA-256."""

    device_id: DeviceId
    account_id: AccountId
    name: str
    token_hash: bytes
    created_ns: int
    seen_ns: int
    revoked_ns: int = 0


class Brake(NamedTuple):
    """The brake of one device in one namespace; see ``service.trees.brakes``.

    Attributes:
        device_id: Whose it is.
        held_ns: When a commit was held last; 0: never.
        held_count: How many entries it would have destroyed; 0: nothing is held.
        allowed_count: How many a human has allowed it to destroy.
        allowed_until_ns: Until when.
    """

    device_id: DeviceId
    held_ns: int = 0
    held_count: int = 0
    allowed_count: int = 0
    allowed_until_ns: int = 0


class Destroyed(NamedTuple):
    """How many entries somebody deleted, or overwrote with what does not compress."""

    deleted: int = 0
    overwritten: int = 0


class JournalEnd(NamedTuple):
    """Where a journal ends. Two with the same end are the same from their beginning.

    Attributes:
        seq: The last; 0 if it is empty.
        mark: Of the record there, see ``make_mark``; zeros if there is none.
        era_id: Of the era that it belongs to: a journal that was put back to an earlier state
            goes on in another. ``b""`` if it was written before there were eras.
    """

    seq: Seq
    mark: bytes
    era_id: bytes


class AccountsUnit(Protocol):
    """Accounts and devices, inside one unit of work."""

    def add_account(self, account: Account) -> None:
        """Adds an account and its root namespace. Raises ``AccountExists`` (Refused)."""
        ...

    def find_account(self, name: str) -> Account | None:
        """Returns the account with this name (compared case-folded), or None."""
        ...

    def get_account(self, account_id: AccountId) -> Account | None:
        """Returns the account with this id, or None."""
        ...

    def list_accounts(self) -> list[Account]:
        """Returns all accounts, by name."""
        ...

    def save_account(self, account: Account) -> None:
        """Replaces the name, password hash and ``disabled`` of an existing account."""
        ...

    def add_device(self, device: Device) -> None:
        """Adds a device."""
        ...

    def find_device_by_token(self, token_hash: bytes) -> Device | None:
        """Returns the device with this token hash, revoked ones too, or None."""
        ...

    def list_devices(self, account_id: AccountId) -> list[Device]:
        """Returns an account's devices, revoked ones too, oldest first."""
        ...

    def save_device(self, device: Device) -> None:
        """Replaces the name, token hash, ``seen_ns`` and ``revoked_ns`` of a device."""
        ...


class TreeUnit(Protocol):
    """Namespaces, entries and journal, inside one unit of work."""

    def may_open(self, account_id: AccountId, namespace_id: NamespaceId) -> bool:
        """Tells whether the account owns the namespace (grants come to this place)."""
        ...

    def head(self, namespace_id: NamespaceId) -> Seq:
        """Returns the last seq; 0 for an empty or unknown namespace."""
        ...

    def find_end(self, account_id: AccountId, namespace_id: NamespaceId) -> JournalEnd | None:
        """Returns where a namespace's journal ends; None if the account may not open it (see
        ``may_open``) or there is none. Two lookups; it waits for nobody who is appending.
        """
        ...

    def find_heads(self, namespace_ids: Collection[NamespaceId]) -> dict[NamespaceId, Seq]:
        """Returns the last seqs of those of these namespaces that there are. One query; it waits
        for nobody who is appending.
        """
        ...

    def find_entries(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, StoredEntry]:
        """Returns those entries that exist or existed, tombstones included."""
        ...

    def find_lineage(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, StoredEntry]:
        """Returns what ``find_entries`` returns and all folders above those. One query."""
        ...

    def find_child(
        self, namespace_id: NamespaceId, parent_id: FileId, name: str
    ) -> StoredEntry | None:
        """Returns the undeleted entry with exactly this name in a folder, or None."""
        ...

    def find_children(
        self, namespace_id: NamespaceId, places: Collection[tuple[FileId, str]]
    ) -> dict[tuple[FileId, str], StoredEntry]:
        """Returns for each place (folder, legal name) the undeleted entry that stands there;
        places where none does are left out. One query for all.
        """
        ...

    def list_folders(
        self, namespace_id: NamespaceId, parent_ids: Collection[FileId]
    ) -> list[FileId]:
        """Returns the undeleted folders directly in any of these folders, in no order."""
        ...

    def list_children(
        self, namespace_id: NamespaceId, parent_id: FileId, after_name: str, limit: int
    ) -> list[StoredEntry]:
        """Returns a page of a folder's undeleted entries with a name greater than
        ``after_name``, by name in code point order.
        """
        ...

    def list_below(
        self, namespace_id: NamespaceId, folder_id: FileId, after: str, limit: int
    ) -> tuple[list[StoredEntry], str]:
        """Returns a page of all living entries below a folder, parents before children,
        and what to pass as ``after`` for the next page (empty at the end).

        Pages are read in separate units of work; an entry moved meanwhile may be missed or
        seen twice, and is then also in the changes after the first page's head.

        Nothing is below a folder that is not living itself.

        Raises:
            MalformedPage: ``after`` was not given out by this engine.
        """
        ...

    def count_below(
        self, namespace_id: NamespaceId, folder_id: FileId, upto_rev: Seq, limit: int
    ) -> int:
        """Returns how many undeleted entries with a rev of at most ``upto_rev`` are anywhere below
        a folder, deleted or not; at most ``limit``. Cost: a walk that ends at ``limit``.
        """
        ...

    def append(self, namespace_id: NamespaceId, records: Sequence[Record]) -> None:
        """Appends records and brings entries and head up to date with them.

        The first record's seq is head + 1 and the rest follow without gaps; anything else
        is an ``AssertionError`` and nothing is kept.
        """
        ...

    def list_changes(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[StoredEntry]:
        """Returns a page of the entries whose last record is after ``after_seq``, each once,
        in the order of that seq, tombstones included. Cost: index walk, O(page + skipped).
        """
        ...

    def list_revisions(
        self, namespace_id: NamespaceId, file_id: FileId, limit: int
    ) -> list[Record]:
        """Returns an entry's records, newest first."""
        ...

    def list_deleted(self, namespace_id: NamespaceId, before_seq: Seq, limit: int) -> list[Record]:
        """Returns the last records of entries that are deleted, newest first, seq < before_seq
        (0: from the newest).
        """
        ...

    def find_record(self, namespace_id: NamespaceId, seq: Seq) -> Record | None:
        """Returns one record of the journal."""
        ...

    def list_records(self, namespace_id: NamespaceId, after_seq: Seq, limit: int) -> list[Record]:
        """Returns a page of the journal: the records after ``after_seq``, in their order."""
        ...

    def list_eras(self, namespace_id: NamespaceId, upto_seq: Seq, limit: int) -> list[Era]:
        """Returns the eras that begin at or before ``upto_seq``, newest first."""
        ...

    def begin_era(self, namespace_id: NamespaceId, era: Era) -> None:
        """Begins an era: its first record is the next that is appended."""
        ...

    def find_idempotent(
        self, namespace_id: NamespaceId, device_id: DeviceId, key: str
    ) -> bytes | None:
        """Returns the answer kept for an idempotency key, or None."""
        ...

    def keep_idempotent(
        self, namespace_id: NamespaceId, device_id: DeviceId, key: str, answer: bytes, until_ns: int
    ) -> None:
        """Keeps an answer for a key; drops those whose time has passed."""
        ...

    def has_manifest(self, namespace_id: NamespaceId, manifest_id: BlockId) -> bool:
        """Tells whether this manifest was checked and accepted in the namespace before."""
        ...

    def keep_manifest(
        self,
        namespace_id: NamespaceId,
        manifest_id: BlockId,
        size_bytes: int,
        content_hash: bytes,
        chunks_count: int,
    ) -> None:
        """Remembers a manifest as checked: it covers its size and its blocks were held."""
        ...


class BrakesUnit(Protocol):
    """What devices destroy, and their brakes, inside one unit of work."""

    def count_destroyed(
        self, namespace_id: NamespaceId, device_id: DeviceId, since_ns: int
    ) -> Destroyed:
        """Returns what a device has destroyed since then, to the minute."""
        ...

    def note_destroyed(
        self,
        namespace_id: NamespaceId,
        device_id: DeviceId,
        destroyed: Destroyed,
        at_ns: int,
        since_ns: int,
    ) -> None:
        """Adds to what a device has destroyed; forgets of it what is older than ``since_ns``."""
        ...

    def find_brake(self, namespace_id: NamespaceId, device_id: DeviceId) -> Brake | None:
        """Returns the brake of a device, or None if none was ever saved."""
        ...

    def list_brakes(self, namespace_id: NamespaceId) -> list[Brake]:
        """Returns all brakes, by device id."""
        ...

    def save_brake(self, namespace_id: NamespaceId, brake: Brake) -> None:
        """Adds or replaces a brake."""
        ...


class BlocksUnit(Protocol):
    """Block index and who holds what, inside one unit of work.

    A block that was marked as damaged is for all methods but ``find_damaged`` as if nobody held
    it and it lay nowhere, until it is marked as whole or comes again.
    """

    def find_held(self, namespace_id: NamespaceId, block_ids: Collection[BlockId]) -> set[BlockId]:
        """Returns which of these blocks the namespace holds (refers to or leases)."""
        ...

    def find_damaged(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, BlockPlace]:
        """Returns where those of these blocks lie that are damaged and that the namespace
        would hold otherwise.
        """
        ...

    def mark(self, places: Collection[BlockPlace], *, is_damaged: bool) -> None:
        """Notes that blocks cannot be read back from where they lie, or that they can after
        all. A block that lies elsewhere by now stays as it is.
        """
        ...

    def hold(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], leased_until_s: int
    ) -> None:
        """Lets the namespace hold blocks that are in the index, leased until then; a lease
        already longer stays.

        Raises:
            BlocksRemoved: Some are not, or no longer: they were collected meanwhile.
        """
        ...

    def renew(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId], below_s: int, until_s: int
    ) -> None:
        """Prolongs to ``until_s`` the leases of those held whose lease ends before ``below_s``."""
        ...

    def find_leases(
        self, namespace_id: NamespaceId, block_ids: Collection[BlockId]
    ) -> dict[BlockId, int]:
        """Returns for those of these blocks that the namespace holds until when they are
        leased, in seconds; a lease in the past has ended.
        """
        ...

    def locate(self, block_ids: Collection[BlockId]) -> dict[BlockId, BlockPlace]:
        """Returns where blocks lie; those unknown are left out. No access check: callers
        ask ``find_held`` first.
        """
        ...

    def add_pack(
        self,
        pack_id: PackId,
        length_bytes: int,
        places: Sequence[BlockPlace],
        *,
        is_there: bool = False,
    ) -> None:
        """Adds a durable pack and its blocks to the index. A block already in the index
        keeps its old place, unless it is damaged there: then it is whole again. A pack that was
        retired is so no longer.

        Args:
            pack_id: The pack.
            length_bytes: Of its object.
            places: Of its blocks.
            is_there: Its object was put, or seen, after ``PackRemoved`` said that nobody removes
                it any more.

        Raises:
            PackRemoved: The same pack was retired, and its object is being removed or gone.
        """
        ...

    def totals(self) -> Mapping[str, int]:
        """Returns ``packs``, ``pack_bytes``, ``blocks``, ``plain_bytes``, ``stored_bytes``."""
        ...


class Unit(Protocol):
    """One unit of work: all of it happens, durably, or nothing."""

    @property
    def accounts(self) -> AccountsUnit:
        """Accounts and devices."""
        ...

    @property
    def tree(self) -> TreeUnit:
        """Namespaces, entries and journal."""
        ...

    @property
    def brakes(self) -> BrakesUnit:
        """What devices destroy."""
        ...

    @property
    def blocks(self) -> BlocksUnit:
        """Block index and holders."""
        ...

    @property
    def history(self) -> HistoryUnit:
        """How much of the past is kept."""
        ...

    @property
    def holders(self) -> HoldersUnit:
        """Who holds what, block by block."""
        ...

    @property
    def packs(self) -> PacksUnit:
        """Packs, and those on their way out."""
        ...

    @property
    def duties(self) -> DutiesUnit:
        """Who does what only one worker may."""
        ...

    @property
    def projections(self) -> ProjectionsUnit:
        """How far projectors have come."""
        ...

    @property
    def shared(self) -> SharedUnit:
        """What all workers have in common."""
        ...

    @property
    def arrivals(self) -> ArrivalsUnit:
        """Packs that devices put into the object store themselves."""
        ...


class Metadata(Protocol):
    """Transactions. Safe to call from several threads."""

    @property
    def writes_at_once(self) -> int:
        """How many works that write are worth beginning side by side: 1, or connections."""
        ...

    def write(self, work: Callable[[Unit], T]) -> T:
        """Runs ``work`` alone (no other write to what it touches beside it), then makes it durable.

        If ``work`` raises, nothing of it is kept and the error passes through.
        """
        ...

    def write_group(self, works: Sequence[Callable[[Unit], object]]) -> list[object]:
        """Runs several works one after the other with one durable flush at the end.

        Each is atomic by itself: one that raises is undone alone, and its exception stands
        in the answer in its place. If the flush fails, the error is raised and none is kept.
        """
        ...

    def read(self, work: Callable[[Unit], T]) -> T:
        """Runs ``work`` on one consistent state, beside writes; it must not write."""
        ...

    @property
    def has_copy(self) -> bool:
        """Whether there is a copy that may lag behind, and it seems to be within reach."""
        ...

    def read_copy(self, work: Callable[[Unit], T]) -> T:
        """Like ``read``, but on the copy. Only for who looks, in ``work``, how far it is.

        Raises:
            Unavailable: It did not answer, or broke the reading off; not tried again here.
        """
        ...

    def close(self) -> None:
        """Ends all connections. Idempotent."""
        ...
