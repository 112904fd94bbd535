# SPDX-License-Identifier: Apache-2.0
"""Survey: all that the metadata hold, page by page, for who goes through the whole of it.

Devices ask for what they need by id; what checks, copies, collects or projects reads everything
once, in an order of its own. Every engine has it, beside the families of ``Unit``:

    lines = survey_of(unit).list_packs(after, 1_000)
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from drystone.core.ids import AccountId, FileId, NamespaceId, PackId, Seq
from drystone.core.journal.record import Record
from drystone.server.ports.metadata import BlockPlace, Unit


class NamespaceLine(NamedTuple):
    """One namespace: whose it is, and the last seq of its journal as it is noted."""

    namespace_id: NamespaceId
    account_id: AccountId
    head: Seq


class EntryRow(NamedTuple):
    """What the current tree says of an entry itself, not through its last record.

    Attributes:
        file_id: Of the entry.
        parent_id: The folder it is in.
        name: There.
        folded: The name under case folding.
        kind: A number of ``Kind``.
        seq: Of its last record.
        rev: Of its content.
        is_deleted: Whether the entry itself is.
    """

    file_id: FileId
    parent_id: FileId
    name: str
    folded: str
    kind: int
    seq: Seq
    rev: int
    is_deleted: bool


class PackLine(NamedTuple):
    """A pack that the metadata know, and how long its object is."""

    pack_id: PackId
    length_bytes: int


class PlaceLine(NamedTuple):
    """One line of the block index.

    Attributes:
        number: Where it stands in the order of the index: new ones come last.
        place: Where the block lies. Without a pack id (``b""``): its pack is not known.
        pack_bytes: Length of the pack, as it is noted; 0 if the pack is not known.
        is_damaged: Whether it could not be read back from there.
    """

    number: int
    place: BlockPlace
    pack_bytes: int
    is_damaged: bool


class SurveyUnit(Protocol):
    """Pages of everything, inside one unit of work. An empty page is the end.

    Pages of one listing may be read in several units of work; each says what it then gives.
    """

    def list_namespaces(self, after: bytes, limit: int) -> list[NamespaceLine]:
        """Returns namespaces whose id is greater than ``after``, by id."""
        ...

    def list_records(self, namespace_id: NamespaceId, after_seq: Seq, limit: int) -> list[Record]:
        """Returns records after a seq, in their order. What was read once never changes."""
        ...

    def list_last_records(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[Record]:
        """Returns the last records of entries, tombstones included, after a seq, in their order.

        An entry that changes between two pages comes once more: who takes what comes later for
        right has, at the end, the tree as it is then.
        """
        ...

    def list_entry_rows(
        self, namespace_id: NamespaceId, after_seq: Seq, limit: int
    ) -> list[EntryRow]:
        """Returns the rows of entries, by the seq of their last records, after a seq."""
        ...

    def find_entry_rows(
        self, namespace_id: NamespaceId, file_ids: Collection[FileId]
    ) -> dict[FileId, EntryRow]:
        """Returns the rows of these entries; those that never were are left out."""
        ...

    def list_packs(self, after: bytes, limit: int) -> list[PackLine]:
        """Returns packs whose id is greater than ``after``, by id."""
        ...

    def list_places(self, after: int, limit: int) -> list[PlaceLine]:
        """Returns lines of the block index whose number is greater than ``after`` (0: from the
        first), by number: those that came in one pack stand together.
        """
        ...


@runtime_checkable
class Surveyed(Protocol):
    """A unit of work that has a survey."""

    @property
    def survey(self) -> SurveyUnit:
        """Pages of everything."""
        ...


def survey_of(unit: Unit) -> SurveyUnit:
    """Returns the survey of a unit of work; every engine has one."""
    assert isinstance(unit, Surveyed), "an engine without a survey"
    return unit.survey


@runtime_checkable
class Adopting(Protocol):
    """What a survey has whose engine can take over a tree without its history."""

    def adopt_records(self, namespace_id: NamespaceId, records: Sequence[Record]) -> None:
        """Takes over last records of entries, with seqs beyond the head that need not follow.

        Entries and head are then as the records say, each entry as the last of them tells.
        """
        ...


@runtime_checkable
class Examined(Protocol):
    """Metadata whose engine can look for damage in what it stands on."""

    def examine(self, *, is_deep: bool) -> list[str]:
        """Returns what is wrong with the database's own structures, a line each; some at most."""
        ...
