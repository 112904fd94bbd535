# SPDX-License-Identifier: Apache-2.0
"""Tally: what the verbs of blocks tell whoever watches the server."""

from drystone.server.ports.watching.measuring import Measures
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
