# SPDX-License-Identifier: Apache-2.0
"""Brakes: what one device destroys in a burst waits for a human at another one.

A commit *destroys* an entry if it deletes it (a folder: all below it), or overwrites it with
what does not compress, as encrypted content does not. What came into being, or was written,
within the window does not count: who makes something may unmake it. Per namespace and device,
what was destroyed within the window is summed up, in the unit of work of each
commit. A commit that goes beyond the bounds is refused as a whole, until somebody at another
device, or with the password, has allowed it.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from drystone.core import limits
from drystone.core.errors import Refused
from drystone.core.ids import ROOT_ID, BlockId, DeviceId, FileId, NamespaceId, Seq
from drystone.core.instant import NS_PER_S
from drystone.core.journal.record import Action, Record
from drystone.core.journal.view import JournalView
from drystone.core.tree.entry import Kind
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Brake, Destroyed, Device, Unit
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.shelf import locate_held
from drystone.server.service.gate import require_namespace
from drystone.server.service.identity.accounts import Accounts
from drystone.server.service.identity.devices import DeviceNotFound
from drystone.server.service.writer import Writer

_ANY: Final = 1 << 62
_DENSE_PERCENT: Final = 95
"""Of its plain length, so much of a block is stored if it does not compress."""


class BurstHeld(Refused):
    """One device would destroy much of a namespace in a short time; nothing of it was done."""

    code = "burst-held"

    def __init__(self, entries_count: int) -> None:
        super().__init__(
            f"with {entries_count:,} more entries this device would have deleted or overwritten"
            " much of all there is, within hours: the server does nothing of it before a human"
            " agrees",
            advice="If it is meant: drystone review DIR --accept, with the account's password; or"
            " on another device: drystone devices allow NAME. If not: drystone review DIR --undo.",
        )


class BrakeNeedsPassword(Refused):
    """A device cannot lift its own brake: whatever works on it could do so, too."""

    code = "brake-needs-password"

    def __init__(self) -> None:
        super().__init__(
            "a device may lift its own brake only with the account's password",
            advice="Give the password, or do it on another device of the account.",
        )


class UnfitAllowance(Refused):
    """So much, or for so long, nothing can be allowed."""

    code = "unfit-allowance"


class BrakeBounds(NamedTuple):
    """When a burst is held.

    Attributes:
        entries_min: So many destroyed entries at least; 0 turns the brake off.
        percent_min: And more than so much of all entries, in percent.
        window_s: Summed up over so many seconds; what is younger does not count.
    """

    entries_min: int = limits.BRAKE_ENTRIES_MIN
    percent_min: int = limits.BRAKE_PERCENT_MIN
    window_s: float = limits.BRAKE_WINDOW_S


class BrakeLine(NamedTuple):
    """A brake, and whose it is."""

    device: Device
    brake: Brake


class Brakes:
    """Holds bursts, tells of them, and lets them go.

    Args:
        writer: The door to metadata.
        clock: The time.
        accounts: Checks passwords.
        bounds: When a burst is held.
    """

    def __init__(
        self, writer: Writer, clock: Clock, accounts: Accounts, bounds: BrakeBounds
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._accounts = accounts
        self._bounds = bounds
        self._window_ns = round(bounds.window_s * NS_PER_S)

    def hold(
        self,
        unit: Unit,
        actor: Actor,
        namespace_id: NamespaceId,
        view: JournalView,
        records: Sequence[Record],
    ) -> int:
        """Decides whether records may be appended, and notes what they destroy.

        Args:
            unit: That of the commit, before anything is appended.
            actor: Who commits.
            namespace_id: Where.
            view: The namespace now.
            records: What the commit would append.

        Returns:
            0 if they may; else how many entries they would destroy: append nothing.

        Cost: nothing for commits that destroy nothing; else a dozen point lookups, and one walk
        for each deleted folder.
        """
        is_harmless = all(r.action not in (Action.DELETE, Action.EDIT) for r in records)
        if is_harmless or not self._bounds.entries_min:
            return 0
        now_ns = self._clock.now_ns()
        since_ns = now_ns - self._window_ns
        destroyed = _count_destroyed(unit, namespace_id, view, records, since_ns)
        count = sum(destroyed)
        if not count:
            return 0
        device_id, brakes = actor.device_id, unit.brakes
        brake = brakes.find_brake(namespace_id, device_id) or Brake(device_id)
        if brake.allowed_until_ns > now_ns and brake.allowed_count >= count:
            left = brake.allowed_count - count
            brakes.save_brake(namespace_id, brake._replace(allowed_count=left, held_count=0))
            return 0
        recent = brakes.count_destroyed(namespace_id, device_id, since_ns)
        if self._is_burst(unit, namespace_id, view.head, count, recent):
            held = brake._replace(held_ns=now_ns, held_count=count)
            brakes.save_brake(namespace_id, held)
            return count
        brakes.note_destroyed(namespace_id, device_id, destroyed, now_ns, since_ns)
        if brake.held_count:
            brakes.save_brake(namespace_id, brake._replace(held_count=0))
        return 0

    async def list_brakes(self, actor: Actor, namespace_id: NamespaceId) -> list[BrakeLine]:
        """Returns the brakes of devices that were held there, or are allowed more.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
        """
        # A device that is held tries again every minute; one that does not has given it up.
        stale_ns = self._clock.now_ns() - self._window_ns

        def now_of(brake: Brake) -> Brake:
            return brake if brake.held_ns >= stale_ns else brake._replace(held_count=0)

        def work(unit: Unit) -> list[BrakeLine]:
            require_namespace(unit, actor, namespace_id)
            devices = {d.device_id: d for d in unit.accounts.list_devices(actor.account_id)}
            found = unit.brakes.list_brakes(namespace_id)
            own = [brake for brake in found if brake.device_id in devices]
            return [BrakeLine(devices[brake.device_id], now_of(brake)) for brake in own]

        return await self._writer.read(work)

    async def allow(
        self,
        actor: Actor,
        namespace_id: NamespaceId,
        device_id: DeviceId,
        entries_count: int,
        seconds: int,
        *,
        password: str = "",
        address: str = "",
    ) -> BrakeLine:
        """Lets a device destroy so many entries within the next so many seconds.

        Args:
            actor: Who agrees.
            namespace_id: Where.
            device_id: Whose brake it is.
            entries_count: How many; 0: as many as the commit that was held last.
            seconds: For how long.
            password: Of the account, if the actor is that device itself.
            address: Of the caller, for the limit of guesses.

        Raises:
            NamespaceNotFound, DeviceNotFound: It is not the actor's.
            BrakeNeedsPassword: It is the actor's own, and no password was given.
            SignInFailed, TooManyTries: The password is wrong, or was too often.
            UnfitAllowance: The numbers do not do.
        """
        if not 0 <= entries_count <= limits.BRAKE_ALLOWED_ENTRIES_MAX:
            raise UnfitAllowance(f"{entries_count:,} entries cannot be allowed")
        if not 0 < seconds <= limits.BRAKE_ALLOWED_S_MAX:
            raise UnfitAllowance(f"nothing can be allowed for {seconds:,} seconds")
        if device_id == actor.device_id:
            if not password:
                raise BrakeNeedsPassword
            await self._accounts.check_password(actor, password, address)
        until_ns = self._clock.now_ns() + seconds * NS_PER_S

        def work(unit: Unit) -> BrakeLine:
            require_namespace(unit, actor, namespace_id)
            devices = unit.accounts.list_devices(actor.account_id)
            device = next((d for d in devices if d.device_id == device_id), None)
            if device is None:
                raise DeviceNotFound(device_id)
            known = unit.brakes.find_brake(namespace_id, device_id) or Brake(device_id)
            count = max(entries_count, known.held_count)
            brake = known._replace(allowed_count=count, allowed_until_ns=until_ns)
            unit.brakes.save_brake(namespace_id, brake)
            return BrakeLine(device, brake)

        return await self._writer.write(work)

    def _is_burst(
        self, unit: Unit, namespace_id: NamespaceId, head: Seq, count: int, recent: Destroyed
    ) -> bool:
        total = count + sum(recent)
        if total < self._bounds.entries_min:
            return False
        # Of so many entries it is an ordinary share: more need not be counted.
        enough = -(-total * 100 // self._bounds.percent_min)
        living = unit.tree.count_below(namespace_id, ROOT_ID, head, enough)
        return living + recent.deleted < enough


def _count_destroyed(
    unit: Unit,
    namespace_id: NamespaceId,
    view: JournalView,
    records: Sequence[Record],
    since_ns: int,
) -> Destroyed:
    old = _find_seq_at(view, since_ns)
    deleted = {r.entry.file_id for r in records if r.action is Action.DELETE}
    covered: dict[FileId, bool] = {ROOT_ID: False}
    deletions = edits = 0
    overwritten: list[BlockId] = []
    for record in records:
        if record.action not in (Action.DELETE, Action.EDIT):
            continue
        stored = view.find(record.entry.file_id)
        if stored is None:
            continue  # Made by this very commit.
        before, entry = stored.entry, record.entry
        is_old = before.rev <= old
        if record.action is Action.DELETE:
            if _is_covered(view, before.parent_id, deleted, covered):
                continue
            deletions += is_old
            if before.kind == Kind.FOLDER:
                file_id = before.file_id
                deletions += unit.tree.count_below(namespace_id, file_id, old, _ANY)
        elif is_old and entry.content is not None and not entry.is_same_content(before):
            if entry.content.chunked:
                edits += 1
            elif entry.content.size_bytes >= limits.NOISE_BYTES_MIN:
                overwritten.append(entry.content.root)
    return Destroyed(deletions, edits + _count_dense(unit, namespace_id, overwritten))


def _count_dense(unit: Unit, namespace_id: NamespaceId, block_ids: Iterable[BlockId]) -> int:
    """Returns how many of these blocks are stored as long as they are."""
    wanted = list(block_ids)
    places = locate_held(unit, namespace_id, set(wanted)) if wanted else {}
    return sum(
        place.stored_bytes * 100 >= place.plain_bytes * _DENSE_PERCENT
        for block_id in wanted
        if (place := places.get(block_id)) is not None
    )


def _find_seq_at(view: JournalView, at_ns: int) -> Seq:
    """Returns the last seq that was written before an instant, by halving."""
    low, high = 0, int(view.head)
    while low < high:
        middle = (low + high + 1) // 2
        record = view.find_record(Seq(middle))
        if record is not None and record.at_ns <= at_ns:
            low = middle
        else:
            high = middle - 1
    return Seq(low)


def _is_covered(
    view: JournalView, folder_id: FileId, deleted: set[FileId], known: dict[FileId, bool]
) -> bool:
    """Tells whether a folder, or one above it, is deleted by the same commit, and counted there."""
    chain: list[FileId] = []
    while folder_id not in known:
        chain.append(folder_id)
        if folder_id in deleted:
            known[folder_id] = True
            break
        stored = view.find(folder_id)
        folder_id = ROOT_ID if stored is None else stored.entry.parent_id
    is_covered = known[folder_id]
    known.update(dict.fromkeys(chain, is_covered))
    return is_covered
