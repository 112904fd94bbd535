# SPDX-License-Identifier: Apache-2.0
"""Rebuilding: the metadata made anew from what lies in the object store.

    packs            the block index: every frame of every pack that can be read; and those that
                     devices put there themselves, if each of their blocks is what it is said to be
    accounts         who there is; without passwords, and with every device signed out
    journals         records appended as they were; eras; who holds which block

What was committed after the last stretch of a journal was written is not in the store: devices
notice that the journal was put back, and send it again.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from drystone.core.content.coding import decode_frame
from drystone.core.content.frame import Frame
from drystone.core.errors import Corrupt
from drystone.core.ids import AccountId, BlockId, NamespaceId, PackId, Seq
from drystone.core.journal.eras import Era
from drystone.core.journal.record import Record
from drystone.core.journal.segment import Segment
from drystone.server.ports.arrivals import ARRIVING
from drystone.server.ports.blocks import CorruptPack, Packs
from drystone.server.ports.metadata import Account, BlockPlace, Device, Metadata, Unit
from drystone.server.ports.objects import Objects
from drystone.server.ports.survey import Adopting, survey_of
from drystone.server.storage.packs.layout import pack_name, parse_pack
from drystone.server.workers.journals.people import People, find_people
from drystone.server.workers.journals.reading import (
    Life,
    find_life,
    iter_cuts,
    list_namespaces,
    read_segment,
)
from drystone.server.workers.manifests import iter_opened

NO_PASSWORD: Final = "none"  # noqa: S105  what no password's hash looks like
_HELD_AT_ONCE: Final = 50_000
"""Blocks of which is noted at once that a namespace holds them: a few MiB."""


class RebuiltJournal(NamedTuple):
    """What became of one namespace.

    Attributes:
        namespace_id: Which.
        account: The name of whose it is.
        head: The last seq that there is now.
        last_ns: When that record was written; 0 if that is not known.
        lost_upto: Up to this seq history is gone, but for each entry's last state; 0: none is.
        set_aside: Objects with records of another life of the journal, left where they are.
        unreadable: Objects that are damaged, and how.
    """

    namespace_id: NamespaceId
    account: str
    head: Seq
    last_ns: int
    lost_upto: Seq
    set_aside: tuple[str, ...]
    unreadable: tuple[str, ...]


class Rebuilt(NamedTuple):
    """What was made anew.

    Attributes:
        accounts: Names; each needs a new password.
        journals: One per namespace.
        packs_count: Packs in the index now.
        blocks_count: Blocks in the index now.
        damaged_packs: Names of those that are not whole; what could be read of them is there.
        lost_contents_count: Contents that records name and that lack blocks.
    """

    accounts: tuple[str, ...]
    journals: tuple[RebuiltJournal, ...]
    packs_count: int
    blocks_count: int
    damaged_packs: tuple[str, ...]
    lost_contents_count: int


Tell = Callable[[str, int], None]
"""Is told how far something has come: what, and how many of it are done."""


class Rebuilding:
    """One rebuild, into metadata that are empty.

    Args:
        metadata: Where to; of an engine that can adopt.
        objects: Where journals and accounts lie.
        packs: Where blocks lie.
        now_ns: The time.
        tell: Is told of progress.
    """

    def __init__(
        self,
        metadata: Metadata,
        objects: Objects,
        packs: Packs,
        now_ns: int,
        tell: Tell = lambda _what, _count: None,
    ) -> None:
        self._metadata = metadata
        self._objects = objects
        self._packs = packs
        self._now_ns = now_ns
        self._tell = tell
        self._damaged: list[str] = []
        self._lost_count = 0

    def run(self) -> Rebuilt:
        """Makes everything anew; returns what was found and what was not.

        Memory: one pack, or one stretch with the manifests of a few MiB.
        """
        packs_count, blocks_count = self._index_packs()
        lives = [find_life(self._objects, n) for n in list_namespaces(self._objects)]
        names = self._add_people(find_people(self._objects) or People((), ()), lives)
        journals = [self._replay(life, names) for life in lives]
        return Rebuilt(
            tuple(sorted(names.values())),
            tuple(journals),
            packs_count,
            blocks_count,
            tuple(self._damaged),
            self._lost_count,
        )

    def _index_packs(self) -> tuple[int, int]:
        packs_count = 0
        for found in self._packs.iter_packs():
            pack = found
            if isinstance(pack, CorruptPack):
                self._damaged.append(pack.name)
                if pack.readable is None:
                    continue
                pack = pack.readable
            self._metadata.write(lambda unit, pack=pack: unit.blocks.add_pack(*pack))  # type: ignore[misc]
            packs_count += 1
            self._tell("packs", packs_count)
        self._join_arrivals()
        totals = self._metadata.read(lambda unit: unit.blocks.totals())
        return totals["packs"], totals["blocks"]

    def _join_arrivals(self) -> None:
        """Makes packs of what arrived and was not verified yet: nobody knows for whom any more."""
        for stat in list(self._objects.iter_names(ARRIVING)):
            [content] = self._objects.read(stat.name, [(0, stat.length_bytes)])
            name = pack_name(PackId(sha256(content).digest()))
            try:
                pack = parse_pack(name, content)
                for place in pack.places:
                    _verify(content, place)
            except Corrupt:
                self._damaged.append(stat.name)
                continue
            self._objects.put(name, [content])
            self._metadata.write(lambda unit, pack=pack: unit.blocks.add_pack(*pack))  # type: ignore[misc]

    def _add_people(self, people: People, lives: Sequence[Life]) -> dict[AccountId, str]:
        """Adds accounts and devices; whoever is only known from a journal gets a made-up name."""
        accounts = {account.account_id: account for account in people.accounts}
        for life in lives:
            if life.account_id is not None and life.account_id not in accounts:
                name = f"recovered-{life.account_id.hex()[:8]}"
                accounts[life.account_id] = Account(
                    life.account_id, name, "", life.namespace_id, self._now_ns
                )

        def work(unit: Unit) -> None:
            for account in accounts.values():
                unit.accounts.add_account(account._replace(password_hash=NO_PASSWORD))
            for device in people.devices:
                if device.account_id in accounts:
                    unit.accounts.add_device(self._sign_out(device))

        self._metadata.write(work)
        return {account_id: account.name for account_id, account in accounts.items()}

    def _sign_out(self, device: Device) -> Device:
        """Returns a device that has no token: nobody can know one whose hash is this."""
        nothing = device.device_id + device.account_id
        return device._replace(token_hash=nothing, revoked_ns=device.revoked_ns or self._now_ns)

    def _replay(self, life: Life, names: dict[AccountId, str]) -> RebuiltJournal:
        head = Seq(0)
        unreadable = [f"{name}: {reason}" for name, reason in life.unreadable]
        if life.account_id is not None and not self._has_namespace(life.namespace_id):
            unreadable.append("it belongs to an account that has another namespace")
        elif life.account_id is not None:
            if life.checkpoint is not None:
                for cut in iter_cuts(self._objects, life.folder, life.checkpoint):
                    self._adopt(cut)
                head = life.checkpoint.seq
            for part in life.parts:
                segment = read_segment(self._objects, part.name)
                head = self._append(segment, head)
                self._tell("records", head)
        return RebuiltJournal(
            life.namespace_id,
            "" if life.account_id is None else names[life.account_id],
            head,
            life.last_ns,
            Seq(0) if life.checkpoint is None else life.checkpoint.seq,
            life.set_aside,
            tuple(unreadable),
        )

    def _has_namespace(self, namespace_id: NamespaceId) -> bool:
        before = (int.from_bytes(namespace_id) - 1).to_bytes(len(namespace_id))
        lines = self._metadata.read(lambda unit: survey_of(unit).list_namespaces(before, 1))
        return [line.namespace_id for line in lines] == [namespace_id]

    def _append(self, segment: Segment, head: Seq) -> Seq:
        """Appends what a stretch has beyond the head; returns the new one."""
        records = [record for record in segment.records if record.seq > head]
        eras = [era for era in segment.eras if era.first_seq > head]
        if not records:
            return head

        def work(unit: Unit) -> None:
            _begin_eras(unit, segment.namespace_id, eras)
            unit.tree.append(segment.namespace_id, records)

        self._metadata.write(work)
        self._hold(segment.namespace_id, records)
        return records[-1].seq

    def _adopt(self, cut: Segment) -> None:
        def work(unit: Unit) -> None:
            survey = survey_of(unit)
            assert isinstance(survey, Adopting), "an engine that cannot adopt"
            _begin_eras(unit, cut.namespace_id, cut.eras)
            survey.adopt_records(cut.namespace_id, cut.records)

        self._metadata.write(work)
        self._hold(cut.namespace_id, cut.records)

    def _hold(self, namespace_id: NamespaceId, records: Iterable[Record]) -> None:
        """Lets a namespace hold all blocks of its records that there are."""
        found = (record.entry.content for record in records)
        contents = {content for content in found if content is not None and content.root}
        roots = {content.root for content in contents}
        places = self._locate(roots)
        lost = {content for content in contents if content.root not in places}
        held, lines = set(places), []
        for content, manifest, _ in iter_opened(self._packs, contents, places):
            chunks = {chunk.block_id for chunk in manifest.chunks} if manifest else set()
            known = self._locate(chunks)
            held.update(known)
            if manifest is None or len(known) < len(chunks):
                lost.add(content)
                continue
            chunks_count = len(manifest.chunks)
            lines.append((content.root, content.size_bytes, content.content_hash, chunks_count))
            if len(held) > _HELD_AT_ONCE:
                self._keep(namespace_id, held, lines)
                held, lines = set(), []
        self._keep(namespace_id, held, lines)
        self._lost_count += len(lost)

    def _keep(
        self,
        namespace_id: NamespaceId,
        held: set[BlockId],
        manifests: Sequence[tuple[BlockId, int, bytes, int]],
    ) -> None:
        def work(unit: Unit) -> None:
            unit.blocks.hold(namespace_id, held, 0)
            for manifest in manifests:
                unit.tree.keep_manifest(namespace_id, *manifest)

        self._metadata.write(work)

    def _locate(self, block_ids: set[BlockId]) -> dict[BlockId, BlockPlace]:
        return self._metadata.read(lambda unit: unit.blocks.locate(block_ids))


def _verify(content: bytes, place: BlockPlace) -> None:
    """Raises ``Corrupt`` unless what lies there is the block that its header names."""
    payload = memoryview(content)[place.offset_bytes :][: place.stored_bytes]
    frame = Frame(place.block_id, place.plain_bytes, place.codec, payload)
    decode_frame(frame, lambda _: None)


def _begin_eras(unit: Unit, namespace_id: NamespaceId, eras: Iterable[Era]) -> None:
    for era in eras:
        unit.tree.begin_era(namespace_id, era)
