# SPDX-License-Identifier: Apache-2.0
"""Tables: dictionaries that can be put back to where they were."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Generic, NamedTuple, TypeVar

from drystone.core.ids import AccountId, BlockId, DeviceId, FileId, NamespaceId, PackId, Seq
from drystone.core.journal.eras import Era
from drystone.core.journal.record import Record, StoredEntry
from drystone.server.ports.arrivals import Arrival
from drystone.server.ports.collecting import RetiredPack
from drystone.server.ports.metadata import Account, BlockPlace, Brake, Destroyed, Device

K = TypeVar("K")
V = TypeVar("V")


class Undo:
    """What to do to return to where a work began, last step first."""

    def __init__(self) -> None:
        self._steps: list[tuple[dict[object, object], object, object]] = []

    def note(self, rows: dict[object, object], key: object) -> None:
        """Remembers what a table holds under a key, before that is changed."""
        self._steps.append((rows, key, rows.get(key, _ABSENT)))

    def mark(self) -> int:
        """Returns where we are now, for ``roll_back``."""
        return len(self._steps)

    def forget(self) -> None:
        """All works are done and stay."""
        self._steps.clear()

    def roll_back(self, mark: int) -> None:
        """Puts all tables back to where they were at ``mark``."""
        while len(self._steps) > mark:
            rows, key, value = self._steps.pop()
            if value is _ABSENT:
                rows.pop(key, None)
            else:
                rows[key] = value


class Table(MutableMapping[K, V], Generic[K, V]):
    """A dictionary whose changes are noted in an ``Undo``. Values are never changed in place."""

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._rows: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return self._rows[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._undo.note(self._rows, key)  # type: ignore[arg-type]  # any dict will do
        self._rows[key] = value

    def __delitem__(self, key: K) -> None:
        self._undo.note(self._rows, key)  # type: ignore[arg-type]
        del self._rows[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def fill(self, rows: Mapping[K, V]) -> None:
        """Takes these rows in place of its own. Not to be undone."""
        self._rows = dict(rows)


class Namespace(NamedTuple):
    """Whose a namespace is."""

    account_id: AccountId


class Manifest(NamedTuple):
    """A manifest that was checked."""

    size_bytes: int
    content_hash: bytes
    chunks_count: int


class Answer(NamedTuple):
    """The answer kept for an idempotency key."""

    answer: bytes
    until_ns: int


class PackRow(NamedTuple):
    """A pack of the index."""

    number: int
    length_bytes: int
    verified_s: int = 0


class Duty(NamedTuple):
    """Who has taken a duty, until when, and how long that was to last."""

    holder: str
    until_ns: int
    lasts_ns: int


class RunningEra(NamedTuple):
    """The era that is being written, as long as the database is what it was."""

    era_id: bytes
    run: object


class Tables:
    """All there is. Keys lead with the namespace unless they are about accounts or blocks."""

    def __init__(self) -> None:
        self.undo = Undo()
        self.accounts: Table[AccountId, Account] = Table(self.undo)
        self.devices: Table[DeviceId, Device] = Table(self.undo)
        self.namespaces: Table[NamespaceId, Namespace] = Table(self.undo)
        self.records: Table[NamespaceId, tuple[Record, ...]] = Table(self.undo)
        self.eras: Table[NamespaceId, tuple[Era, ...]] = Table(self.undo)
        self.entries: Table[tuple[NamespaceId, FileId], StoredEntry] = Table(self.undo)
        # Who stands where, among the undeleted.
        self.children: Table[tuple[NamespaceId, FileId, str], FileId] = Table(self.undo)
        self.manifests: Table[tuple[NamespaceId, BlockId], Manifest] = Table(self.undo)
        self.answers: Table[tuple[NamespaceId, DeviceId, str], Answer] = Table(self.undo)
        # What devices destroyed, by minute.
        self.bursts: Table[tuple[NamespaceId, DeviceId, int], Destroyed] = Table(self.undo)
        self.brakes: Table[tuple[NamespaceId, DeviceId], Brake] = Table(self.undo)
        # How many numbers were given to blocks and packs.
        self.counts: Table[str, int] = Table(self.undo)
        self.packs: Table[PackId, PackRow] = Table(self.undo)
        self.retired: Table[PackId, RetiredPack] = Table(self.undo)
        self.horizons: Table[NamespaceId, Seq] = Table(self.undo)
        self.places: Table[BlockId, BlockPlace] = Table(self.undo)
        self.numbers: Table[BlockId, int] = Table(self.undo)
        # Blocks that nobody was seen to hold, and since when.
        self.unheld: Table[BlockId, int] = Table(self.undo)
        # Those of the places where a block cannot be read back.
        self.damaged: Table[BlockId, BlockPlace] = Table(self.undo)
        self.leases: Table[tuple[NamespaceId, BlockId], int] = Table(self.undo)
        self.duties: Table[str, Duty] = Table(self.undo)
        self.projectors: Table[str, None] = Table(self.undo)
        # How far each projector has carried a journal.
        self.positions: Table[tuple[NamespaceId, str], Seq] = Table(self.undo)
        self.secrets: Table[str, bytes] = Table(self.undo)
        self.stamps: Table[str, int] = Table(self.undo)
        self.running_eras: Table[str, RunningEra] = Table(self.undo)
        self.arrivals: Table[tuple[NamespaceId, bytes], Arrival] = Table(self.undo)
        # Where blocks lie in an arrival, and whether they are damaged there.
        self.arrived: Table[tuple[NamespaceId, bytes, BlockId], tuple[BlockPlace, bool]] = Table(
            self.undo
        )

    def next_number(self) -> int:
        """Returns a number that was never given before."""
        self.counts["given"] = number = self.counts.get("given", 0) + 1
        return number

    def copy(self) -> "Tables":
        """Returns the same rows, which no longer change with these. Between two works."""
        assert self.undo.mark() == 0, "a work is under way"
        other = Tables()
        for name, table in vars(self).items():
            if isinstance(table, Table):
                getattr(other, name).fill(table)
        return other


_ABSENT = object()
