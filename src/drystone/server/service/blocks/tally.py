# SPDX-License-Identifier: Apache-2.0
"""Tally: what the verbs of blocks tell whoever watches the server."""

from collections.abc import Iterable

from drystone.core.errors import DrystoneError
from drystone.server.ports.watching.measuring import Counter, Measures
from drystone.server.service.blocks.ingest import Ingest
from drystone.server.service.blocks.turns import Turns


class BlockTally:
    """Counts asks, puts and turns.

    Args:
        measures: Where they are counted.
        uploads: Turns of bundles that come.
        fetches: Turns of bundles that go.
    """

    def __init__(self, measures: Measures, uploads: Turns, fetches: Turns) -> None:
        text = "Blocks that devices asked for before they sent any; `held`: these need not be sent."
        name = "drystone_blocks_asked_total"
        self._held = measures.counter(name, text, answer="held")
        self._missing = measures.counter(name, text, answer="missing")
        text = "Distinct blocks in bundles that arrived; `known`: the server had them already."
        name = "drystone_blocks_put_total"
        self._known = measures.counter(name, text, outcome="known")
        self._stored = measures.counter(name, text, outcome="stored")
        self._plain_bytes = measures.counter(
            "drystone_blocks_put_plain_bytes_total",
            "Bytes of the blocks in those bundles, when decoded.",
        )
        self._stored_bytes = measures.counter(
            "drystone_blocks_put_stored_bytes_total", "Bytes that were stored of them, in packs."
        )
        text = "Bundles under way, by direction."
        measures.watch("drystone_transfers", text, lambda: uploads.taken_count, direction="up")
        measures.watch("drystone_transfers", text, lambda: fetches.taken_count, direction="down")

    def note_ask(self, asked_count: int, held_count: int) -> None:
        """Counts one ask that was answered."""
        self._held.add(held_count)
        self._missing.add(asked_count - held_count)

    def note_put(self, ingest: Ingest) -> None:
        """Counts what one bundle brought, whether or not it came to its end."""
        tally = ingest.tally
        self._stored.add(tally.stored_blocks_count)
        self._known.add(tally.blocks_count - tally.stored_blocks_count)
        self._plain_bytes.add(ingest.plain_bytes)
        self._stored_bytes.add(tally.stored_bytes)


class DirectTally:
    """Counts tickets, and packs that were said to have arrived.

    Args:
        measures: Where they are counted.
    """

    def __init__(self, measures: Measures) -> None:
        text = "Requests to the object store that were signed for devices."
        name = "drystone_tickets_total"
        kinds = ("put", "put_part", "get")
        self._tickets = {kind: measures.counter(name, text, kind=kind) for kind in kinds}
        text = "Bytes that those are good for: what devices may put there and get there."
        name = "drystone_ticket_bytes_total"
        self._bytes = {kind: measures.counter(name, text, kind=kind) for kind in kinds}
        self._measures = measures
        self._outcomes: dict[str, Counter] = {}
        self._count_arrived("taken", 0)

    def note_tickets(self, kind: str, lengths_bytes: Iterable[int]) -> None:
        """Counts tickets of one kind: ``put``, ``put_part``, ``get``."""
        lengths = list(lengths_bytes)
        self._tickets[kind].add(len(lengths))
        self._bytes[kind].add(sum(lengths))

    def note_arrived(self, troubles: Iterable[DrystoneError | None]) -> None:
        """Counts packs of which a device said that they have arrived."""
        for trouble in troubles:
            self._count_arrived("taken" if trouble is None else trouble.code, 1)

    def _count_arrived(self, outcome: str, count: int) -> None:
        counter = self._outcomes.get(outcome)
        if counter is None:
            counter = self._outcomes[outcome] = self._measures.counter(
                "drystone_arrivals_total",
                "Packs that devices said they had put; `outcome` is `taken` or an error's code.",
                outcome=outcome,
            )
        counter.add(count)
