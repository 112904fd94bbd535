# SPDX-License-Identifier: Apache-2.0
"""Commits: the one verb that changes trees.

    contents are checked against their blocks        beside other commits: it may read much
    gate, view, decide, append, keep the outcome     one unit of work, grouped with others
    the bell rings                                   once that is durable

What became of a commit is kept for its idempotency key in the same unit as its records: a commit
that is sent again, because its answer was lost, gets the same answer and changes nothing.
"""

import asyncio
import hashlib
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from drystone.core.content.content import Content
from drystone.core.errors import Refused
from drystone.core.ids import BlockId, FileId, NamespaceId, Seq
from drystone.core.instant import NS_PER_S
from drystone.core.journal import refusals
from drystone.core.journal.change import Accepted, Commit, Create, Edit, Outcome, Refusal
from drystone.core.journal.cursor import Cursor
from drystone.core.journal.decide import Contents, decide
from drystone.core.journal.draft import Author
from drystone.core.limits import IDEMPOTENCY_KEY_CHARS_MAX, IDEMPOTENCY_S
from drystone.server.ports.bell import Bell
from drystone.server.ports.clock import Clock
from drystone.server.ports.metadata import Unit
from drystone.server.ports.watching.measuring import Measures
from drystone.server.service.actor import Actor
from drystone.server.service.blocks.contents import Verdict
from drystone.server.service.blocks.shelf import find_held
from drystone.server.service.gate import require_namespace
from drystone.server.service.trees.brakes import Brakes, BurstHeld
from drystone.server.service.trees.cursors import Cursors
from drystone.server.service.trees.restorable import (
    Brought,
    find_brought,
    find_lost_folders,
    has_restorations,
)
from drystone.server.service.view import load_view
from drystone.server.service.writer import Writer


class IdempotencyKeyReused(Refused):
    """Another commit of this device had the same key: one of the two would be taken for the
    other.
    """

    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__(
            "this idempotency key was used for another commit",
            advice="Give every new commit a new key; repeat a commit unchanged.",
        )


class UnfitIdempotencyKey(Refused):
    """An idempotency key is longer than ``IDEMPOTENCY_KEY_CHARS_MAX``, or not ASCII."""

    code = "unfit-idempotency-key"


_NOTHING_NAMED: Final = Verdict(Contents(), [])


class ContentChecks(Protocol):
    """What commits ask of the blocks."""

    async def check_contents(
        self, actor: Actor, namespace_id: NamespaceId, contents: Collection[Content]
    ) -> Verdict:
        """Returns which of these contents lack blocks in the namespace, or contradict them.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
            LostBlock: A manifest cannot be read back.
        """
        ...


class Committed(NamedTuple):
    """What became of a commit.

    Attributes:
        head_before: The namespace's last seq before it.
        head: And after it; the same if nothing changed.
        cursor: At ``head``, for a committer who knew all up to ``head_before``.
        outcomes: One per change, in order.
    """

    head_before: Seq
    head: Seq
    cursor: str
    outcomes: tuple[Outcome, ...]


class Commits:
    """Decides commits and appends their records.

    Args:
        writer: The door to metadata; groups commits that come together.
        blocks: Checks contents.
        bell: Rings once a commit is durable.
        clock: The time in the records.
        cursors: Signs and reads cursors, and knows the era in which records are written.
        brakes: Hold bursts.
        measures: Where commits and how long they take are counted.
    """

    def __init__(
        self,
        writer: Writer,
        blocks: ContentChecks,
        bell: Bell,
        clock: Clock,
        *,
        cursors: Cursors,
        brakes: Brakes,
        measures: Measures,
    ) -> None:
        self._writer = writer
        self._blocks = blocks
        self._bell = bell
        self._clock = clock
        self._cursors = cursors
        self._brakes = brakes
        self._tally = _Tally(measures)

    async def commit(
        self,
        actor: Actor,
        namespace_id: NamespaceId,
        commit: Commit,
        key: str,
        cursor_text: str = "",
    ) -> Committed:
        """Decides a commit; returns once what was accepted is durable.

        Linearizable per namespace. If the caller goes away, the commit is carried to its end
        all the same.

        Args:
            actor: Who commits.
            namespace_id: Where.
            commit: What; at most ``COMMIT_CHANGES_MAX`` changes.
            key: The idempotency key; ``""`` for none: then a repeat is only recognised change
                by change.
            cursor_text: How far the committer has read; ``""``: not told. If the journal was put
                back to an earlier state since, revs and seqs mean something else by now, and all
                changes are refused.

        Raises:
            NamespaceNotFound: The actor may not open the namespace.
            ForgedCursor: The cursor was not given out by this server.
            UnfitIdempotencyKey, IdempotencyKeyReused: As their names say; nothing changed.
            BurstHeld: The device would destroy too much in a short time; nothing changed.
            Unavailable: The database cannot be written now; nothing changed.
        """
        if len(key) > IDEMPOTENCY_KEY_CHARS_MAX or not key.isascii():
            raise UnfitIdempotencyKey(
                f"an idempotency key has at most {IDEMPOTENCY_KEY_CHARS_MAX} ASCII characters"
            )
        began_s = asyncio.get_running_loop().time()
        cursor = self._cursors.decode(cursor_text, actor)
        named = _contents_of(commit)

        def ring(kept: _Kept) -> None:
            if kept.is_new and kept.head > kept.head_before:
                self._bell.ring(namespace_id, kept.head)

        kept = None
        while kept is None:
            brought, lost_folders = await self._look_back(actor, namespace_id, commit)
            verdict = _NOTHING_NAMED
            if looked := named | brought.contents:
                verdict = await self._blocks.check_contents(actor, namespace_id, looked)
            if lost_folders:
                contents = verdict.contents._replace(lost_folders=lost_folders)
                verdict = verdict._replace(contents=contents)
            order = _Order(actor, namespace_id, commit, key, cursor, looked, brought, verdict)
            kept = await self._write(order, ring)
        self._tally.note(kept, asyncio.get_running_loop().time() - began_s)
        if kept.held_count:
            raise BurstHeld(kept.held_count)
        return Committed(kept.head_before, kept.head, kept.cursor, kept.outcomes)

    async def _look_back(
        self, actor: Actor, namespace_id: NamespaceId, commit: Commit
    ) -> tuple[Brought, frozenset[FileId]]:
        """Returns what a commit brings back, and which folders of that are lost."""
        if not has_restorations(commit):
            return Brought(), frozenset()

        def work(unit: Unit) -> tuple[Brought, frozenset[FileId]]:
            require_namespace(unit, actor, namespace_id)
            brought = find_brought(unit.tree, namespace_id, commit)
            return brought, find_lost_folders(unit, namespace_id, brought.folders)

        return await self._writer.read(work)

    async def _write(self, order: "_Order", ring: "Callable[[_Kept], None]") -> "_Kept | None":
        """Returns what became of a commit; None if its contents must be looked at once more."""
        try:
            return await self._writer.write(
                lambda unit: self._decide(unit, order), lane=order.namespace_id, then=ring
            )
        except _LookedTooLongAgo:
            return None

    def _decide(self, unit: Unit, order: "_Order") -> "_Kept":
        """Decides in a unit of work, or finds what was decided before for the same key."""
        actor, namespace_id, commit, key, cursor, looked, brought, verdict = order
        require_namespace(unit, actor, namespace_id)
        fingerprint = _fingerprint(commit) if key else b""
        if key and (told := unit.tree.find_idempotent(namespace_id, actor.device_id, key)):
            kept = _recall(unit, namespace_id, told, fingerprint)
            return kept._replace(cursor=self._cursors.make(unit, actor, namespace_id, kept.head))
        if cursor is None or self._cursors.find_rewind(unit, cursor, namespace_id) is not None:
            return _refuse_all(unit, namespace_id, commit)
        now_ns = self._clock.now_ns()
        if looked and now_ns >= verdict.until_s * NS_PER_S:
            raise _LookedTooLongAgo
        if has_restorations(commit) and find_brought(unit.tree, namespace_id, commit) != brought:
            raise _LookedTooLongAgo
        author = Author(actor.account_id, actor.device_id, actor.device_name, now_ns)
        view = load_view(unit.tree, namespace_id, commit, unit.history)
        head_before = view.head
        contents = _with_lost(unit, namespace_id, looked, verdict.contents)
        decision = decide(view, commit, author, contents)
        if held := self._brakes.hold(unit, actor, namespace_id, view, decision.records):
            return _Kept(head_before, head_before, (), True, held_count=held)  # noqa: FBT003
        if decision.records:
            self._cursors.begin_era(unit, namespace_id)
            unit.tree.append(namespace_id, decision.records)
            for line in verdict.manifests:
                unit.tree.keep_manifest(namespace_id, *line)
        head = Seq(head_before + len(decision.records))
        told_cursor = self._cursors.make(unit, actor, namespace_id, head)
        kept = _Kept(head_before, head, decision.outcomes, True, told_cursor)  # noqa: FBT003
        if key:
            until_ns = now_ns + IDEMPOTENCY_S * NS_PER_S
            encoded = _encode(kept, fingerprint)
            unit.tree.keep_idempotent(namespace_id, actor.device_id, key, encoded, until_ns)
        return kept


class _LookedTooLongAgo(Exception):
    """What a commit names was looked at so long ago that it may have been collected since; or what
    it brings back is something else by now.
    """


class _Order(NamedTuple):
    """A commit on its way to the writing thread: who, where, what, and what is known of it."""

    actor: Actor
    namespace_id: NamespaceId
    commit: Commit
    key: str
    cursor: Cursor | None
    looked: Collection[Content]
    brought: Brought
    verdict: Verdict


class _Kept(NamedTuple):
    """What became of a commit, in this attempt or (not ``is_new``) in an earlier one.

    ``held_count``: the brake held it, and nothing was done; see ``Brakes.hold``.
    """

    head_before: Seq
    head: Seq
    outcomes: tuple[Outcome, ...]
    is_new: bool
    cursor: str = ""
    held_count: int = 0


class _Tally:
    """Counts commits that were answered."""

    def __init__(self, measures: Measures) -> None:
        self._seconds = measures.histogram(
            "drystone_commit_seconds",
            "From the arrival of a commit until it is durable, or refused.",
        )
        text = "Changes in commits that were answered; a commit that the brake held counts as one."
        name = "drystone_changes_total"
        self._accepted, self._refused, self._held, self._repeated = (
            measures.counter(name, text, outcome=outcome)
            for outcome in ("accepted", "refused", "held", "repeated")
        )

    def note(self, kept: _Kept, took_s: float) -> None:
        self._seconds.note(took_s)
        if kept.held_count:
            self._held.add()
        elif not kept.is_new:
            self._repeated.add(len(kept.outcomes))
        else:
            accepted_count = sum(isinstance(outcome, Accepted) for outcome in kept.outcomes)
            self._accepted.add(accepted_count)
            self._refused.add(len(kept.outcomes) - accepted_count)


def _refuse_all(unit: Unit, namespace_id: NamespaceId, commit: Commit) -> _Kept:
    """The journal is not the one that the committer has read. Nothing is kept for the key: what
    comes next is another commit. There is no cursor, since the changes are to be read.
    """
    head = unit.tree.head(namespace_id)
    refusal = refusals.history_rewound()
    return _Kept(head, head, (refusal,) * len(commit.changes), is_new=True)


def _contents_of(commit: Commit) -> set[Content]:
    """Returns the contents that a commit names and that are made of blocks."""
    contents = set()
    for change in commit.changes:
        match change:
            case Create(entry):
                content = entry.content
            case Edit():
                content = change.content
            case _:
                continue
        if content is not None and content.root:
            contents.add(content)
    return contents


def _with_lost(
    unit: Unit, namespace_id: NamespaceId, looked: Collection[Content], contents: Contents
) -> Contents:
    """Adds to ``missing`` what was held when it was checked and no longer is: a lease may have
    ended in between.
    """
    if not looked:
        return contents
    roots = {content.root for content in looked}
    held = find_held(unit, namespace_id, roots)
    if len(held) == len(roots):
        return contents
    lost = {c: (c.root,) for c in looked if c.root not in held and c not in contents.missing}
    return contents._replace(missing={**contents.missing, **lost})


# --- what is kept for a key -------------------------------------------------------------------
# msgpack of [version, fingerprint, head_before, head, outcomes]; an accepted change is its seq
# (its record tells the rest), a refused one is [code, message, occupant, missing]. Read and
# written only here, and forgotten after IDEMPOTENCY_S: a version that is not known is as none.

_VERSION: Final = 1


def _fingerprint(commit: Commit) -> bytes:
    """Returns what tells two commits with the same key apart."""
    told = [(type(change).__name__, change) for change in commit.changes]
    body = msgspec.msgpack.encode((told, commit.seen_seq, commit.all_or_nothing))
    return hashlib.sha256(body).digest()


def _encode(kept: _Kept, fingerprint: bytes) -> bytes:
    outcomes: list[object] = [
        outcome.seq
        if isinstance(outcome, Accepted)
        else (outcome.code, outcome.message, outcome.occupant, outcome.missing)
        for outcome in kept.outcomes
    ]
    return msgspec.msgpack.encode((_VERSION, fingerprint, kept.head_before, kept.head, outcomes))


def _recall(unit: Unit, namespace_id: NamespaceId, bytes_kept: bytes, fingerprint: bytes) -> _Kept:
    """Returns what became of a commit that was decided before.

    Raises:
        IdempotencyKeyReused: That was another commit.
    """
    version, known, head_before, head, outcomes = msgspec.msgpack.decode(bytes_kept)
    if version != _VERSION or known != fingerprint:
        raise IdempotencyKeyReused
    recalled = tuple(_recall_outcome(unit, namespace_id, outcome) for outcome in outcomes)
    return _Kept(Seq(head_before), Seq(head), recalled, is_new=False)


def _recall_outcome(unit: Unit, namespace_id: NamespaceId, outcome: Any) -> Outcome:
    if isinstance(outcome, int):
        record = unit.tree.find_record(namespace_id, Seq(outcome))
        assert record is not None, "a commit was answered with a record that is not there"
        return Accepted(record.seq, record.entry.rev, record.entry)
    code, message, occupant, missing = outcome
    return Refusal(
        code,
        message,
        None if occupant is None else FileId(occupant),
        tuple(BlockId(block_id) for block_id in missing),
    )
