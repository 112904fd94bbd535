# SPDX-License-Identifier: Apache-2.0
"""History: what was: the revisions of an entry, and what was deleted.

To bring something back is a commit like any other (``Restore``); nothing here changes a tree.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from drystone.core.ids import AccountId, DeviceId, FileId, NamespaceId, Rev, Seq
from drystone.core.journal.record import Record, StoredEntry
from drystone.core.limits import CHANGES_PAGE_ENTRIES_MAX, REVISIONS_MAX
from drystone.server.ports.metadata import MalformedPage, Unit
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.shelf import find_held
from drystone.server.service.gate import opens, require_entry, require_namespace
from drystone.server.service.trees.lineage import Lineage
from drystone.server.service.trees.pages import EntryPage
from drystone.server.service.writer import Writer


class Revision(NamedTuple):
    """One record of an entry, and who made it, by name; ``""`` where that is no longer known.

    ``is_gone``: the content that it tells of is no longer there, or no longer kept: it cannot be
    read or brought back.
    """

    record: Record
    account_name: str
    device_name: str
    is_gone: bool


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
            stored = require_entry(unit, actor, namespace_id, file_id)
            records = unit.tree.list_revisions(namespace_id, file_id, REVISIONS_MAX)
            accounts, devices = _names(unit, {record.account_id for record in records})
            gone = _find_gone(unit, namespace_id, stored, records)
            return [
                Revision(
                    r,
                    accounts.get(r.account_id, ""),
                    devices.get(r.device_id, ""),
                    r.entry.rev in gone,
                )
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


def _find_gone(
    unit: Unit, namespace_id: NamespaceId, stored: StoredEntry, records: Sequence[Record]
) -> set[Rev]:
    """Returns the revs that cannot be brought back: history is not kept for so long, or their
    first block is not held; a manifest's other blocks are looked at when it is restored.

    Args:
        unit: Where.
        namespace_id: Whose entry it is.
        stored: The entry now.
        records: Its last ones, newest first.
    """
    contents = {r.entry.rev: r.entry.content for r in records}
    roots = {content.root for content in contents.values() if content and content.root}
    held = find_held(unit, namespace_id, roots) if roots else set()
    lost = {r for r, content in contents.items() if content and content.root not in held | {b""}}
    kept_after = unit.history.kept_after(namespace_id)
    if not kept_after:
        return lost
    lineage = Lineage(unit.tree, namespace_id)
    lineage.learn([stored])
    deletions = [one.seq for one in (stored, *lineage.folders_above(stored)) if one.is_deleted]
    if any(seq <= kept_after for seq in deletions):
        return set(contents)
    # What replaced a revision of the list is in it as well.
    last = max((r.entry.rev for r in records if r.seq <= kept_after), default=Rev(0))
    return lost | {rev for rev in contents if rev < last}


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
