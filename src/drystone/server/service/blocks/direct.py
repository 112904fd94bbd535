# SPDX-License-Identifier: Apache-2.0
"""Direct transfer: devices and the object store exchange packs, and the server only says what.

A pack arrives in three steps. The device names it, and gets a ticket to put it; what may arrive
was made durable before. It puts the pack. It says so, and the server looks whether an object of the
right length stands there: from then on the blocks are held by the device's namespace, so that a
commit can follow. They are *claims*: no other namespace can read them or be spared sending
its own, until a worker has read the pack and verified every block (``workers.verifier``).

A ticket to read is for exactly the frames that were asked for and are held.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from drystone.core.content.frame import HEADER_BYTES
from drystone.core.errors import DrystoneError, Refused, Unavailable
from drystone.core.ids import ID_BYTES, BlockId, NamespaceId
from drystone.core.instant import NS_PER_S
from drystone.core.limits import (
    ARRIVAL_S,
    ARRIVALS_PROMISED_MAX,
    ASK_BLOCKS_MAX,
    DIRECT_PART_BYTES,
    DIRECT_RANGE_BYTES_MAX,
    DIRECT_RANGE_BYTES_MIN,
    GRANT_PACKS_MAX,
    TICKET_S,
)
from drystone.server.ports.arrivals import Arrival, ArrivalState
from drystone.server.ports.metadata import Unit
from drystone.server.ports.objects import Objects
from drystone.server.ports.places import BlockPlace
from drystone.server.ports.signing import Part, SignedRequest, Signing
from drystone.server.ports.watching.measuring import Measures
from drystone.server.service import gate
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.heads import Layout, Offer, UnfitPack, read_heads
from drystone.server.service.blocks.parts import (
    PackLength,
    PackMissing,
    complete_parts,
    is_as_expected,
    iter_parts,
    list_parts,
    part_hash,
)
from drystone.server.service.blocks.shelf import Shelf, find_held, locate_held
from drystone.server.service.blocks.tally import DirectTally

_RETRY_S: Final = 60.0
_TAKEN: Final = (ArrivalState.UNVERIFIED, ArrivalState.JOINED)


class DirectOff(Refused):
    """This server gives no tickets: its packs lie where it cannot, or it was told not to."""

    code = "direct-off"

    def __init__(self) -> None:
        super().__init__(
            "this server takes and gives blocks only itself",
            advice="Use PUT /v1/blocks and POST /v1/blocks/fetch.",
        )


class TooManyArrivals(Unavailable):
    """A namespace has too many packs under way, or begun and not told of any more."""

    code = "too-many-arrivals"

    def __init__(self) -> None:
        super().__init__(
            f"{ARRIVALS_PROMISED_MAX:,} packs are under way already",
            advice="Say which have arrived, or send through the server meanwhile.",
            retry_after_s=_RETRY_S,
        )


class ArrivalUnknown(Refused):
    """Nothing is known of such a pack (any more): it was verified long since, or given up."""

    code = "arrival-unknown"

    def __init__(self) -> None:
        super().__init__(
            "nothing is known of such a pack, or not any more",
            advice="Ask which of its blocks are to be sent.",
        )


class GrantedPart(NamedTuple):
    """A part of a pack, and how to put it."""

    offset_bytes: int
    length_bytes: int
    request: SignedRequest


class GrantedPack(NamedTuple):
    """What is answered for one offered pack.

    Attributes:
        arrival_id: What to call it; empty if all its blocks are held already.
        stands: It was put before.
        request: How to put it; None if it is held or stands, or is put in parts.
        parts: Those that the store does not have yet.
    """

    arrival_id: bytes
    stands: bool
    request: SignedRequest | None
    parts: tuple[GrantedPart, ...] = ()


class GrantedRange(NamedTuple):
    """Frames that lie back to back, and how to read them."""

    block_ids: list[BlockId]
    length_bytes: int
    request: SignedRequest


class DirectStore(NamedTuple):
    """Where devices go themselves.

    Attributes:
        objects: The store.
        signing: Signs requests to it.
    """

    objects: Objects
    signing: Signing


class Direct:
    """The verbs of direct transfer. Lives on the event loop.

    Args:
        shelf: Of the blocks.
        store: None: no direct transfer here; every verb says so.
        measures: Where they count what they do.
        new_id: Makes the ids of arrivals, 16 bytes by chance.
    """

    def __init__(
        self,
        shelf: Shelf,
        store: DirectStore | None,
        measures: Measures,
        new_id: Callable[[], bytes] = lambda: secrets.token_bytes(ID_BYTES),
    ) -> None:
        self._tally = DirectTally(measures)
        self._shelf = shelf
        self._store = store
        self._new_id = new_id

    @property
    def is_on(self) -> bool:
        """True if tickets are given."""
        return self._store is not None

    async def offer(
        self, actor: Actor, namespace_id: NamespaceId, offers: Sequence[Offer]
    ) -> list[GrantedPack]:
        """Returns how to put packs into the store, in order. What may arrive is durable then.

        A pack that was offered before, and not said to have arrived, keeps its place: asked again
        when a ticket has expired, and after a crash.

        Raises:
            DirectOff, NamespaceNotFound, TooManyArrivals: As their names say.
            UnfitPack: Of one of them. Nothing is kept of any.
        """
        store = self._require_store()
        if len(offers) > GRANT_PACKS_MAX:
            raise UnfitPack(f"{len(offers)} packs are offered at once; at most {GRANT_PACKS_MAX}")
        layouts = await self._shelf.run(lambda: [read_heads(offer) for offer in offers])
        due_s = self._now_s() + TICKET_S + ARRIVAL_S

        def promise(unit: Unit) -> list[_Promise | None]:
            gate.require_namespace(unit, actor, namespace_id)
            return [
                self._promise(unit, actor, namespace_id, offer, layout, due_s)
                for offer, layout in zip(offers, layouts, strict=True)
            ]

        promises = await self._shelf.writer.write(promise)
        granted = []
        for offer, one in zip(offers, promises, strict=True):
            if one is not None and offer.parts and one.arrival.length_bytes > DIRECT_PART_BYTES:
                granted.append(await self._grant_parts(store, offer, one))
            else:
                granted.append(await self._shelf.run(_grant, store, offer, one))
        self._note_granted(layouts, granted)
        return granted

    async def settle(
        self, actor: Actor, namespace_id: NamespaceId, arrival_ids: Sequence[bytes]
    ) -> list[DrystoneError | None]:
        """Takes packs that stand in the store now: their blocks are held, unverified.

        Returns:
            For each, in order, None, or why it was not taken: ``ArrivalUnknown``, ``PackMissing``,
            ``PackLength``. One of a wrong length is given up; it is put again under another ticket.

        Raises:
            DirectOff, NamespaceNotFound: As their names say.
            Unavailable: The store cannot be asked now. Nothing was taken.
        """
        store = self._require_store()
        if len(arrival_ids) > GRANT_PACKS_MAX:
            raise UnfitPack(f"{len(arrival_ids)} packs are told of; at most {GRANT_PACKS_MAX}")

        def look_up(unit: Unit) -> list[Arrival]:
            gate.require_namespace(unit, actor, namespace_id)
            return unit.arrivals.find(namespace_id, arrival_ids)

        arrivals = await self._shelf.writer.read(look_up)
        promised = [a for a in arrivals if a.state == ArrivalState.PROMISED]
        found = await self._shelf.run(_look, store, promised)
        troubles: dict[bytes, DrystoneError | None] = {
            one.arrival.arrival_id: one.trouble for one in found
        }
        # Asked twice, because the answer was lost.
        troubles.update((a.arrival_id, None) for a in arrivals if a.state in _TAKEN)
        now_s = self._now_s()

        def keep(unit: Unit) -> list[bytes]:
            gate.require_namespace(unit, actor, namespace_id)
            return [one.arrival.arrival_id for one in found if not _keep(unit, one, now_s)]

        for arrival_id in await self._shelf.writer.write(keep):
            troubles[arrival_id] = ArrivalUnknown()
        unfit = [one.arrival for one in found if isinstance(one.trouble, PackLength)]
        if unfit:
            # Out of the tables first, out of the store last.
            await self._shelf.run(_drop_all, store, unfit)
        answers = [troubles.get(arrival_id, ArrivalUnknown()) for arrival_id in arrival_ids]
        self._tally.note_arrived(answers)
        return answers

    async def read(
        self, actor: Actor, namespace_id: NamespaceId, block_ids: Sequence[BlockId]
    ) -> list[GrantedRange]:
        """Returns ranges in which some of these blocks lie, each with all that lies in it asked
        for and held. Others are to be fetched: short ones, and those that cannot be given so.

        Raises:
            DirectOff, NamespaceNotFound: As their names say.
            UnfitPack: Too many blocks are named.
        """
        store = self._require_store()
        if len(block_ids) > ASK_BLOCKS_MAX:
            raise UnfitPack(f"{len(block_ids):,} blocks are named; at most {ASK_BLOCKS_MAX:,}")

        def look_up(unit: Unit) -> Collection[BlockPlace]:
            gate.require_namespace(unit, actor, namespace_id)
            return locate_held(unit, namespace_id, set(block_ids)).values()

        places = await self._shelf.writer.read(look_up)
        if not store.signing.restricts_ranges:
            # Whoever may read one range reads the whole object: so only what the namespace put.
            places = [place for place in places if place.object_name]
        ranges = await self._shelf.run(self._sign_ranges, store.signing, places)
        self._tally.note_tickets("get", (granted.length_bytes for granted in ranges))
        return ranges

    def _note_granted(self, layouts: Sequence[Layout], granted: Sequence[GrantedPack]) -> None:
        for layout, one in zip(layouts, granted, strict=True):
            if one.request is not None:
                self._tally.note_tickets("put", (layout.length_bytes,))
            self._tally.note_tickets("put_part", (part.length_bytes for part in one.parts))

    async def _grant_parts(
        self, store: DirectStore, offer: Offer, promise: "_Promise"
    ) -> GrantedPack:
        """Returns how to put the parts that the store does not have; begins them if need be.

        What the store calls them is durable before one is signed, so that they can be dropped.
        """
        arrival, is_new = promise
        if not is_new and await self._shelf.run(_stands, store.objects, arrival):
            return GrantedPack(arrival.arrival_id, stands=True, request=None)
        parts: list[Part] | None = None
        if arrival.upload:
            parts = await self._shelf.run(list_parts, store.signing, arrival)
        if parts is None:
            upload = await self._shelf.run(store.signing.begin_parts, arrival.name)
            begun = arrival._replace(upload=upload)
            arrival = await self._shelf.writer.write(lambda unit: _begin(unit, begun, arrival))
            if arrival.upload != upload:
                await self._shelf.run(store.signing.abort_parts, arrival.name, upload)
                parts = await self._shelf.run(list_parts, store.signing, arrival)
        return await self._shelf.run(_sign_parts, store.signing, offer, arrival, parts or [])

    def _require_store(self) -> DirectStore:
        if self._store is None:
            raise DirectOff
        return self._store

    def _now_s(self) -> int:
        return self._shelf.clock.now_ns() // NS_PER_S

    def _promise(  # noqa: PLR0917  what an arrival is made of
        self,
        unit: Unit,
        actor: Actor,
        namespace_id: NamespaceId,
        offer: Offer,
        layout: Layout,
        due_s: int,
    ) -> "_Promise | None":
        """Returns the arrival that a pack is, kept by this unit of work; None if all is held."""
        block_ids = [place.block_id for place in layout.places]
        if len(find_held(unit, namespace_id, block_ids)) == len(block_ids):
            return None
        known = unit.arrivals.find_promised(namespace_id, (offer.pack_id,)).get(offer.pack_id)
        if known is not None and known.heads == offer.heads:
            known = known._replace(due_s=due_s)
            unit.arrivals.change(known)
            return _Promise(known, is_new=False)
        if unit.arrivals.count_promised(namespace_id) >= ARRIVALS_PROMISED_MAX:
            raise TooManyArrivals
        arrival = Arrival(
            namespace_id,
            self._new_id(),
            actor.device_id,
            offer.pack_id,
            layout.length_bytes,
            offer.heads,
            ArrivalState.PROMISED,
            due_s,
        )
        unit.arrivals.add(arrival)
        return _Promise(arrival, is_new=True)

    def _sign_ranges(self, signing: Signing, places: Iterable[BlockPlace]) -> list[GrantedRange]:
        ranges = []
        for name, run in _iter_runs(places, self._shelf.packs.object_name):
            start = run[0].offset_bytes - HEADER_BYTES
            length_bytes = run[-1].offset_bytes + run[-1].stored_bytes - start
            if length_bytes >= DIRECT_RANGE_BYTES_MIN:
                request = signing.sign_get(name, start, length_bytes, TICKET_S)
                block_ids = [place.block_id for place in run]
                ranges.append(GrantedRange(block_ids, length_bytes, request))
        return ranges


class _Promise(NamedTuple):
    """An arrival, and whether nobody was told of it before."""

    arrival: Arrival
    is_new: bool


class _Look(NamedTuple):
    """What stands in the place of an arrival: None if it is as was said."""

    arrival: Arrival
    trouble: DrystoneError | None


def _stands(objects: Objects, arrival: Arrival) -> bool:
    return objects.find_length(arrival.name) == arrival.length_bytes


def _begin(unit: Unit, begun: Arrival, before: Arrival) -> Arrival:
    """Keeps what the store calls the upload of an arrival; returns the arrival as it is kept:
    whoever asked for the same beside us may have been quicker, and its upload counts.
    """
    [*known] = unit.arrivals.find(begun.namespace_id, (begun.arrival_id,))
    if known and known[0].upload != before.upload:
        return known[0]
    unit.arrivals.change(begun)
    return begun


def _sign_parts(
    signing: Signing, offer: Offer, arrival: Arrival, there: Iterable[Part]
) -> GrantedPack:
    """Signs the parts that are not there as they should be."""
    whole = {part.number for part in there if is_as_expected(part, arrival, offer.parts)}
    granted = []
    for number, (offset_bytes, length_bytes) in enumerate(iter_parts(arrival.length_bytes), 1):
        if number not in whole:
            request = signing.sign_part(
                arrival.name,
                arrival.upload,
                number,
                length_bytes,
                part_hash(offer.parts, number),
                TICKET_S,
            )
            granted.append(GrantedPart(offset_bytes, length_bytes, request))
    return GrantedPack(arrival.arrival_id, not granted, None, tuple(granted))


def _grant(store: DirectStore, offer: Offer, promise: _Promise | None) -> GrantedPack:
    if promise is None:
        return GrantedPack(b"", stands=False, request=None)
    arrival, is_new = promise
    # One that was promised before may have been put before, and its device not have said so.
    if not is_new and _stands(store.objects, arrival):
        return GrantedPack(arrival.arrival_id, stands=True, request=None)
    request = store.signing.sign_put(arrival.name, arrival.length_bytes, offer.pack_id, TICKET_S)
    return GrantedPack(arrival.arrival_id, stands=False, request=request)


def _look(store: DirectStore, arrivals: Iterable[Arrival]) -> list[_Look]:
    """Looks what stands; makes objects of those whose parts are all there."""
    found = []
    for arrival in arrivals:
        trouble = complete_parts(store.signing, arrival) if arrival.upload else None
        length_bytes = None if trouble else store.objects.find_length(arrival.name)
        if trouble is None and length_bytes is None:
            trouble = PackMissing()
        elif length_bytes is not None and length_bytes != arrival.length_bytes:
            trouble = PackLength(length_bytes, arrival.length_bytes)
        found.append(_Look(arrival, trouble))
    return found


def _keep(unit: Unit, look: _Look, now_s: int) -> bool:
    """Keeps what was found out of an arrival; False if it was given up meanwhile."""
    arrival, trouble = look
    [*known] = unit.arrivals.find(arrival.namespace_id, (arrival.arrival_id,))
    if not known:
        return False
    if known[0].state != ArrivalState.PROMISED:
        return True
    if isinstance(trouble, PackLength):
        unit.arrivals.remove(arrival.namespace_id, arrival.arrival_id)
    elif trouble is None:
        layout = read_heads(Offer(arrival.pack_id, arrival.heads), arrival.name)
        unit.arrivals.add_places(layout.places)
        unit.arrivals.change(arrival._replace(state=ArrivalState.UNVERIFIED, due_s=now_s))
    return True


def _drop_all(store: DirectStore, arrivals: Iterable[Arrival]) -> None:
    for arrival in arrivals:
        if arrival.upload:
            store.signing.abort_parts(arrival.name, arrival.upload)
        store.objects.delete(arrival.name)


def _iter_runs(
    places: Iterable[BlockPlace], name_of: Callable[[BlockPlace], str]
) -> Iterator[tuple[str, list[BlockPlace]]]:
    """Yields places that lie back to back in one object, with its name; none longer than a range
    may be, unless it is one block.
    """
    run: list[BlockPlace] = []
    run_bytes, run_name, next_bytes = 0, "", 0
    named = sorted((name_of(place), place.offset_bytes, place) for place in places)
    for name, offset_bytes, place in named:
        frame_bytes = HEADER_BYTES + place.stored_bytes
        is_next = name == run_name and offset_bytes == next_bytes
        if run and (not is_next or run_bytes + frame_bytes > DIRECT_RANGE_BYTES_MAX):
            yield run_name, run
            run, run_bytes = [], 0
        run.append(place)
        run_bytes += frame_bytes
        run_name, next_bytes = name, offset_bytes + frame_bytes
    if run:
        yield run_name, run
