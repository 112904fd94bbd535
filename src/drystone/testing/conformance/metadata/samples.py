# SPDX-License-Identifier: Apache-2.0
"""Samples: accounts, entries, records and places that the suites write and read."""

from collections.abc import Iterable

from drystone.core.ids import (
    ROOT_ID,
    AccountId,
    BlockId,
    DeviceId,
    FileId,
    NamespaceId,
    PackId,
    Rev,
    Seq,
)
from drystone.core.journal.record import Action, Record, StoredEntry
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.metadata import (
    Account,
    BlockPlace,
    Device,
    Metadata,
    Unit,
)
from drystone.testing.strategies import (
    make_content,
    make_file_id,
)

ANNA = Account(AccountId(b"A" * 16), "Anna", "hash", NamespaceId(b"a" * 16), 1)
BOB = Account(AccountId(b"B" * 16), "bob", "hash", NamespaceId(b"b" * 16), 2)
NAMESPACE = ANNA.root_namespace_id
OTHER = BOB.root_namespace_id
NOWHERE = NamespaceId(b"n" * 16)
LAPTOP = Device(DeviceId(b"l" * 16), ANNA.account_id, "laptop", b"t" * 32, 5, 5)
PHONE = Device(DeviceId(b"p" * 16), ANNA.account_id, "phone", b"u" * 32, 4, 4)

A, B, C, D, E, F = (make_file_id(number) for number in range(1, 7))


class Journalist:
    """Writes records into one namespace, seq after seq, and remembers them."""

    def __init__(self, metadata: Metadata, namespace_id: NamespaceId = NAMESPACE) -> None:
        self._metadata = metadata
        self._namespace_id = namespace_id
        self.records: list[Record] = []

    def append(self, *steps: tuple[Action, Entry]) -> None:
        """Appends one record per step, in one transaction."""
        records = [
            Record(Seq(seq), action, entry, ANNA.account_id, LAPTOP.device_id, 1_000 + seq)
            for seq, (action, entry) in enumerate(steps, len(self.records) + 1)
        ]
        self._metadata.write(lambda unit: unit.tree.append(self._namespace_id, records))
        self.records += records

    def create(self, *entries: Entry) -> None:
        """Appends a record of creation for each."""
        self.append(*((Action.CREATE, entry) for entry in entries))


def folder(file_id: FileId, name: str, parent_id: FileId = ROOT_ID) -> Entry:
    """Returns a folder as a record has it."""
    return Entry(file_id, parent_id, name, Kind.FOLDER, None, 0o755, 0, "", Rev(1))


def file(file_id: FileId, name: str, parent_id: FileId = ROOT_ID, text: str = "one") -> Entry:
    """Returns a file as a record has it."""
    return Entry(file_id, parent_id, name, Kind.FILE, make_content(text), 0o644, 7, "", Rev(1))


def block_id(number: int) -> BlockId:
    """Returns an id that could be a block's."""
    return BlockId(number.to_bytes(2, "big") * 16)


def pack_id(number: int) -> PackId:
    """Returns an id that could be a pack's."""
    return PackId(number.to_bytes(1, "big") * 32)


def make_places(pack: PackId, numbers: Iterable[int]) -> list[BlockPlace]:
    """Returns places of these blocks in a pack."""
    return [BlockPlace(block_id(n), pack, 52 + n * 100, 90, 100, n % 2) for n in numbers]


def add_accounts(metadata: Metadata) -> None:
    """Adds Anna and Bob, each with a namespace, and Anna's laptop."""

    def work(unit: Unit) -> None:
        unit.accounts.add_account(ANNA)
        unit.accounts.add_account(BOB)
        unit.accounts.add_device(LAPTOP)

    metadata.write(work)


def read_page(
    metadata: Metadata, folder_id: FileId, after: str, limit: int
) -> tuple[list[StoredEntry], str]:
    """Reads a page of what lives below a folder, in a unit of work of its own."""

    def work(unit: Unit) -> tuple[list[StoredEntry], str]:
        return unit.tree.list_below(NAMESPACE, folder_id, after, limit)

    page, after = metadata.read(work)
    assert len(page) <= limit
    return page, after


def collect_below(metadata: Metadata, folder_id: FileId, limit: int) -> list[StoredEntry]:
    """Reads all that lives below a folder, page by page."""
    found, after = read_page(metadata, folder_id, "", limit)
    while after:
        page, after = read_page(metadata, folder_id, after, limit)
        found += page
    return found
