# SPDX-License-Identifier: Apache-2.0
"""History: what was: the revisions of an entry, and what was deleted.

To bring something back is a commit like any other (``Restore``); nothing here changes a tree.
"""

from collections.abc import Iterable
from typing import NamedTuple

from drystone.core.ids import AccountId, DeviceId, FileId, NamespaceId, Seq
from drystone.core.journal.record import Record, StoredEntry
from drystone.core.limits import CHANGES_PAGE_ENTRIES_MAX, REVISIONS_MAX
from drystone.server.ports.metadata import MalformedPage, Unit
from drystone.server.service.actor import Actor
from drystone.server.service.gate import opens, require_entry, require_namespace
from drystone.server.service.trees.lineage import Lineage
from drystone.server.service.trees.pages import EntryPage
from drystone.server.service.writer import Writer


class Revision(NamedTuple):
    """One record of an entry, and who made it, by name; ``""`` where that is no longer known."""

    record: Record
    account_name: str
    device_name: str


class History:
    """Reads the journal backwards."""

    def __init__(self, writer: Writer, *, page_entries_max: int = CHANGES_PAGE_ENTRIES_MAX) -> None:
        self._writer = writer
        self._page_max = page_entries_max

    async def list_revisions(
        self, actor: Actor, namespace_id: NamespaceId, file_id: FileId
    ) -> list[Revision]:
        """Returns an entry's last ``REVISIONS_MAX`` records, newest first.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
            EntryNotFound: There never was such an entry.
        """

        def work(unit: Unit) -> list[Revision]:
            require_entry(unit, actor, namespace_id, file_id)
            records = unit.tree.list_revisions(namespace_id, file_id, REVISIONS_MAX)
            accounts, devices = _names(unit, {record.account_id for record in records})
            return [
                Revision(r, accounts.get(r.account_id, ""), devices.get(r.device_id, ""))
                for r in records
            ]

        return await self._writer.read_at_head(namespace_id, opens(actor, namespace_id), work)

    async def list_deleted(self, actor: Actor, namespace_id: NamespaceId, after: str) -> EntryPage:
        """Returns a page of what is deleted, last deleted first.

        What was deleted with a folder is not told of by itself: it returns with the folder.
        With each goes when it was deleted, and where it was.

        Args:
            actor: Who asks.
            namespace_id: Where.
            after: ``""``, or that of the page before.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
            MalformedPage: ``after`` is not that of a page.
        """
        if after and not (after.isascii() and after.isdecimal() and len(after) < 20):
            raise MalformedPage
        before = Seq(int(after or 0))

        def work(unit: Unit) -> EntryPage:
            require_namespace(unit, actor, namespace_id)
            head = unit.tree.head(namespace_id)
            records = unit.tree.list_deleted(namespace_id, before, self._page_max)
            entries = [StoredEntry(r.entry, r.seq, r.action) for r in records]
            is_full = len(entries) == self._page_max
            lineage = Lineage(unit.tree, namespace_id)
            lineage.learn(entries)
            return EntryPage(
                entries,
                str(entries[-1].seq) if is_full else "",
                head,
                [record.at_ns for record in records],
                [_folder_of(lineage, stored) for stored in entries],
            )

        return await self._writer.read_at_head(namespace_id, opens(actor, namespace_id), work)


def _folder_of(lineage: Lineage, stored: StoredEntry) -> str:
    """Returns the path of the folder that an entry is in, by the names that it has now."""
    names = [folder.entry.name for folder in lineage.folders_above(stored)]
    return "/" + "/".join(reversed(names))


def _names(
    unit: Unit, account_ids: Iterable[AccountId]
) -> tuple[dict[AccountId, str], dict[DeviceId, str]]:
    """Returns the names of accounts and of all their devices."""
    accounts: dict[AccountId, str] = {}
    devices: dict[DeviceId, str] = {}
    for account_id in account_ids:
        if account := unit.accounts.get_account(account_id):
            accounts[account_id] = account.name
        for device in unit.accounts.list_devices(account_id):
            devices[device.device_id] = device.name
    return accounts, devices
