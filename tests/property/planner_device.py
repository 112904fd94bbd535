# SPDX-License-Identifier: Apache-2.0
"""A device for planner tests: its disk, its three trees as dicts, and a loop.

Obviously right rather than quick. Whatever a plan asks for is checked as a real disk or
server would check it: a step that cannot be carried out is an assertion error.
"""

from collections.abc import Mapping
from random import Random

from drystone.core.ids import ROOT_ID, FileId, Seq
from drystone.core.journal.change import Accepted, Refusal, RefusalCode
from drystone.core.journal.record import Action, StoredEntry
from drystone.core.planning.plan import (
    Discard,
    Place,
    Plan,
    Replace,
    SetAside,
    Shift,
    Step,
    Submit,
)
from drystone.core.planning.policy import Policy, Traits
from drystone.core.planning.progress import Noted, Renewed, Settled, advance
from drystone.core.planning.reconcile import reconcile
from drystone.core.tree.entry import Entry, Kind
from tests.property.planner_disk import Disk, Node, NotThereError, child_of, observed, write
from tests.property.planner_server import Ids, Server

PLAIN = Traits()


class Overlay:
    """A view: synced with some entries replaced."""

    def __init__(self, synced: Mapping[FileId, tuple], changes: Mapping) -> None:
        self._synced = synced
        self._changes = changes

    def _changed(self, file_id: FileId) -> Entry | None:
        found = self._changes[file_id]
        if isinstance(found, StoredEntry):
            return None if found.is_deleted else found.entry
        return found[0]

    def find(self, file_id: FileId) -> Entry | None:
        if file_id in self._changes:
            return self._changed(file_id)
        row = self._synced.get(file_id)
        return None if row is None else row[0]

    def children(self, parent_id: FileId) -> dict[str, Entry]:
        found = {}
        for file_id, (entry, _) in self._synced.items():
            if entry.parent_id == parent_id and file_id not in self._changes:
                found[entry.name] = entry
        for file_id in self._changes:
            entry = self._changed(file_id)
            if entry is not None and entry.parent_id == parent_id:
                found[entry.name] = entry
        return found


class IdInUseError(Exception):
    """A new entry has an id that was used before."""


class Device:
    """One device with its disk and three trees, and a loop that can be interrupted anywhere.

    ``synced`` holds (entry, inode number); ``local`` (entry or None, inode number or None).
    """

    def __init__(
        self, name: str, server: Server, ids: Ids, chance: Random, traits: Traits = PLAIN
    ) -> None:
        self.name = name
        self.server = server
        self.disk = Disk(traits)
        self.synced: dict[FileId, tuple[Entry, int]] = {}
        self.local: dict[FileId, tuple[Entry | None, int | None]] = {}
        self.remote: dict[FileId, StoredEntry] = {}
        self.seen = Seq(0)
        self.conflicts: list = []
        self.waiting: tuple[FileId, ...] = ()
        self._traits = traits
        self._ids = ids
        self._chance = chance

    # --- observing ---------------------------------------------------------------------------

    def pull(self, limit: int = 1 << 30) -> bool:
        """Reads changes of the server; returns whether these were all."""
        changed = self.server.changed_after(self.seen, limit)
        for stored in changed:
            self.note_remote(stored)
        if len(changed) == limit:
            self.seen = changed[-1].seq
            return False
        self.seen = self.server.head
        # What nobody ever synced and is below a deleted folder is of no interest.
        for file_id in list(self.remote):
            if file_id not in self.synced and not self._lives_remotely(file_id):
                del self.remote[file_id]
        return True

    def note_remote(self, stored: StoredEntry) -> None:
        file_id = stored.entry.file_id
        row = self.synced.get(file_id)
        if (stored.is_deleted and row is None) or (
            row is not None and not stored.is_deleted and stored.entry == row[0]
        ):
            self.remote.pop(file_id, None)
        else:
            self.remote[file_id] = stored

    def scan(self, *, unread_chance: float = 0.0) -> None:
        """Compares the whole disk with synced, as the real scan does: inode, then place."""
        nodes = {node.ino: node for _, _, node in self.disk.walk()}
        by_ino = {row[1]: row[0] for row in self.synced.values()}
        overlay_by_ino = {
            ino: entry
            for entry, ino in self.local.values()
            if entry is not None and ino is not None
        }
        synced = Overlay(self.synced, {})
        seen: dict[FileId, tuple[Entry, int]] = {}
        ids = {self.disk.root.ino: ROOT_ID}
        for folder, name, node in self.disk.walk():
            parent_id = ids[folder.ino]
            known = by_ino.get(node.ino)
            if known is None or known.kind != node.kind or known.file_id in seen:
                known = self._known_place(synced, parent_id, name, node, nodes)
            if known is None or known.file_id in seen:
                known = overlay_by_ino.get(node.ino)
            if known is not None and known.file_id in seen:
                known = None
            file_id = self._ids() if known is None else known.file_id
            ids[node.ino] = file_id
            entry = observed(node, file_id, parent_id, name, self._traits)
            if known is not None and file_id in self.synced:
                entry = entry._replace(rev=known.rev)
            seen[file_id] = (entry, node.ino)
        self.local = {}
        for file_id, (entry, ino) in seen.items():
            row = self.synced.get(file_id)
            if row is None or not same(row[0], entry):
                is_unread = entry.kind == Kind.FILE and self._chance.random() < unread_chance
                self.local[file_id] = (entry._replace(content=None) if is_unread else entry, ino)
            else:
                self.synced[file_id] = (row[0], ino)
        for file_id, (entry, _) in self.synced.items():
            above = entry.parent_id
            if file_id not in seen and (above in seen or above not in self.synced):
                self.local[file_id] = (None, None)

    def half_scan(self) -> None:
        """Sees no more than some new entries, as a scan under way does."""
        known = {row[1] for row in self.synced.values()} | {ino for _, ino in self.local.values()}
        before = dict(self.local)
        self.scan()
        self.local = before | {
            file_id: (entry, ino)
            for file_id, (entry, ino) in self.local.items()
            if entry is not None
            and ino not in known
            and file_id not in self.synced
            and self._chance.random() < 0.7
        }

    def restart(self) -> None:
        """Only synced and the remote tree are kept."""
        self.local = {}

    def _known_place(self, synced, parent_id, name, node, nodes) -> Entry | None:
        known = synced.children(parent_id).get(name)
        if known is None or known.kind != node.kind:
            return None
        # It may have moved away itself, and this be another one.
        return None if self.synced[known.file_id][1] in nodes else known

    # --- planning ----------------------------------------------------------------------------

    def policy(self, **changes) -> Policy:
        return Policy(self.name, "2026-11-21", self._ids, traits=self._traits)._replace(**changes)

    def plan(self, **changes) -> Plan:
        """Plans for all that differs; ``changes`` are those of the policy."""
        candidates = [*self.local, *self.remote]
        self._chance.shuffle(candidates)
        if changes.get("is_any_part"):
            # While a side is incomplete any part of what is known may be planned.
            candidates = candidates[: self._chance.randrange(len(candidates) + 1)]
        changes.pop("is_any_part", None)
        return self.plan_for(dict.fromkeys(candidates), **changes)

    def plan_for(self, candidates, **changes) -> Plan:
        local = Overlay(self.synced, self.local)
        synced = Overlay(self.synced, {})
        remote = Overlay(self.synced, self.remote)
        plan = reconcile(candidates, local, synced, remote, self.policy(**changes))
        assert len(plan.after) == len(plan.steps)
        for index, after in enumerate(plan.after):
            assert all(earlier < index for earlier in after)
        self.waiting = plan.waiting
        return plan

    def carry_out(
        self,
        plan: Plan,
        *,
        skip_chance: float = 0.0,
        stop_chance: float = 0.0,
        crash_chance: float = 0.0,
        lost_chance: float = 0.0,
        is_half_seen: bool = False,
    ) -> None:
        """Carries out steps in any order that ``after`` allows.

        Args:
            plan: What to do.
            skip_chance: Of each step, not to be done, nor what waits for it.
            stop_chance: Of each step, to be the one before which the plan is broken off.
            crash_chance: Of each step, to be done and never noted, by the last act of the
                program.
            lost_chance: Of each step, to be done and never noted, because the answer is lost.
            is_half_seen: The plan was made while the disk had not been seen wholly.
        """
        failed: set[int] = set()
        for index in shuffled_order(plan, self._chance):
            if self._chance.random() < stop_chance:
                break
            is_held_up = any(earlier in failed for earlier in plan.after[index])
            if is_held_up or self._chance.random() < skip_chance:
                failed.add(index)
                continue
            try:
                fortune = self._chance.random()
                if fortune < crash_chance + lost_chance:
                    seen = self.seen
                    self.act(plan.steps[index])
                    self.seen = seen
                    if fortune < crash_chance:
                        self.restart()
                    break
                self.do(plan.steps[index])
            except IdInUseError:
                failed.add(index)
                used_id = plan.steps[index].entry.file_id
                entry, ino = self.local[used_id]
                self._renew_local(used_id, entry._replace(file_id=self._ids()), ino)
            except NotThereError:
                # Only a plan made from half a scan may be mistaken about the disk: the real
                # one finds out by the fingerprint.
                assert is_half_seen, f"{plan.steps[index]} finds nothing, or another inode"
                failed.add(index)
        self.conflicts.extend(plan.conflicts)

    # --- acting ------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """Carries out one step and advances the trees."""
        self._advance(step, *self.act(step))

    def act(self, step: Step) -> tuple[Accepted | None, int | None]:
        """Carries out one step; returns the server's answer or the inode that it left."""
        accepted, ino = None, None
        match step:
            case Submit():
                (outcome,) = self.server.commit([step.change], self.seen)
                if isinstance(outcome, Refusal) and outcome.code == RefusalCode.ID_IN_USE:
                    # It was made before, the answer was lost, and somebody has deleted it since.
                    raise IdInUseError
                assert isinstance(outcome, Accepted), f"{step} refused: {outcome}"
                accepted = outcome
                self.seen = self.server.head
            case Place(entry):
                node = self.disk.make(entry.kind)
                write(node, entry)
                self.disk.put(self._folder(entry.parent_id), entry.name, node)
                ino = node.ino
            case Replace(before, entry, _):
                node = self._take(before, leave=True)
                write(node, entry)
                ino = node.ino
            case Shift(before, entry, _) | SetAside(before, entry):
                target = self._folder(entry.parent_id)
                moving = self._take(before, leave=True)
                assert not self.disk.is_below(target, moving), f"{step} makes a ring"
                node = self._take(before)
                self.disk.put(target, entry.name, node)
                ino = node.ino
            case Discard(before):
                self.disk.trash.append(self._take(before))
        return accepted, ino

    def _advance(self, step: Step, accepted: Accepted | None, ino: int | None) -> None:
        match advance(step, accepted):
            case Settled() as settled:
                self._settle(settled, ino)
            case Renewed(file_id, None):
                row = self.synced.pop(file_id)
                self.remote.setdefault(file_id, StoredEntry(row[0], Seq(row[0].rev), Action.CREATE))
                self.local.pop(file_id, None)
            case Renewed(file_id, local):
                assert local is not None
                self._renew_local(file_id, local, ino)
            case Noted(file_id, local):
                known = self._ino(file_id) if ino is None else ino
                self.local[file_id] = (local, known)

    def _settle(self, settled: Settled, ino: int | None) -> None:
        file_id = settled.file_id
        if settled.local_id is not None:
            self._rename_id(settled.local_id, file_id)
        if settled.entry is None:
            if settled.is_exact:
                self.local.pop(file_id, None)
            self._forget_below(file_id)
            return
        if ino is None:
            ino = self._ino(file_id)
        self.synced[file_id] = (settled.entry, ino)
        local = self.local.pop(file_id, None)
        if settled.local is not None:
            self.local[file_id] = (settled.local, ino)
        elif local is not None and not settled.is_exact and not same(settled.entry, local[0]):
            self.local[file_id] = local
        stored = self.remote.get(file_id)
        if stored is not None and (
            stored.seq <= settled.seq or (stored.entry == settled.entry and not stored.is_deleted)
        ):
            del self.remote[file_id]

    def _forget_below(self, file_id: FileId) -> None:
        below = [i for i, row in self.synced.items() if row[0].parent_id == file_id]
        self.synced.pop(file_id, None)
        for overlay in (self.local, self.remote):
            view = Overlay(self.synced, overlay)
            if file_id in overlay and view.find(file_id) is None:
                del overlay[file_id]
        stored = self.remote.get(file_id)
        if stored is not None and self.server.stored[file_id].is_deleted:
            del self.remote[file_id]
        for child in below:
            self._forget_below(child)

    def _rename_id(self, old: FileId, new: FileId) -> None:
        entry, ino = self.local.pop(old)
        assert entry is not None
        self.local[new] = (entry._replace(file_id=new), ino)
        for child, (below, below_ino) in list(self.local.items()):
            if below is not None and below.parent_id == old:
                self.local[child] = (below._replace(parent_id=new), below_ino)

    def _renew_local(self, old: FileId, local: Entry, ino: int | None) -> None:
        if ino is None:
            ino = self._ino(old)
        for child in Overlay(self.synced, self.local).children(old).values():
            self.local[child.file_id] = (
                child._replace(parent_id=local.file_id),
                self._ino(child.file_id),
            )
        self.local.pop(old, None)
        self.synced.pop(old, None)
        # The server's side stays known only while it lives: then it counts as new there.
        if not self._lives_remotely(old):
            self.remote.pop(old, None)
        self.local[local.file_id] = (local, ino)

    def _lives_remotely(self, file_id: FileId) -> bool:
        view = Overlay(self.synced, self.remote)
        while file_id != ROOT_ID:
            entry = view.find(file_id)
            if entry is None:
                return False
            file_id = entry.parent_id
        return True

    def _ino(self, file_id: FileId) -> int:
        found = self.local.get(file_id)
        if found is not None and found[1] is not None:
            return found[1]
        return self.synced[file_id][1]

    def _path(self, file_id: FileId) -> list[str]:
        names: list[str] = []
        view = Overlay(self.synced, self.local)
        while file_id != ROOT_ID:
            entry = view.find(file_id)
            assert entry is not None, f"{file_id.hex()} is not on the disk of {self.name}"
            names.append(entry.name)
            file_id = entry.parent_id
            assert len(names) < 100, "a ring on the disk"
        return names[::-1]

    def _folder(self, file_id: FileId) -> Node:
        node = self.disk.root
        for name in self._path(file_id):
            node = child_of(node, name)
        assert node.kind == Kind.FOLDER
        return node

    def _take(self, before: Entry, *, leave: bool = False) -> Node:
        """Takes what stands where the local tree has an entry, if it is as expected."""
        *_, name = self._path(before.file_id)
        local = Overlay(self.synced, self.local).find(before.file_id)
        assert local is not None
        assert name == before.name, f"{before} is called {name}"
        folder = self._folder(local.parent_id)
        node = child_of(folder, name)
        if node.ino != self._ino(before.file_id):
            raise NotThereError(f"another inode at {before}")
        seen = observed(node, before.file_id, before.parent_id, name)
        assert seen.is_same_content(before), f"{before} expected, {seen} found"
        if not leave:
            del folder.children[name]
        return node


def same(one: Entry, other: Entry | None) -> bool:
    return other is not None and one.is_at_same_place(other) and one.is_same_state(other)


def shuffled_order(plan: Plan, chance: Random) -> list[int]:
    """Returns the indexes of a plan's steps in a random order that ``after`` allows."""
    open_counts = [len(after) for after in plan.after]
    waiters: dict[int, list[int]] = {}
    for index, after in enumerate(plan.after):
        for earlier in after:
            waiters.setdefault(earlier, []).append(index)
    ready = [index for index, count in enumerate(open_counts) if count == 0]
    order = []
    while ready:
        index = ready.pop(chance.randrange(len(ready)))
        order.append(index)
        for waiter in waiters.get(index, ()):
            open_counts[waiter] -= 1
            if open_counts[waiter] == 0:
                ready.append(waiter)
    assert len(order) == len(plan.steps)
    return order
