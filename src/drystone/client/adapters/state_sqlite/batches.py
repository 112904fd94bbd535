# SPDX-License-Identifier: Apache-2.0
"""Batches: which synced rows a power loss may have made untrue.

Each row carries the number of the batch in which it was settled. A flush of the disk makes all
batches before it durable; what came after it, in a time that ended without one, is doubtful.
"""

from typing import Final

from drystone.client.adapters.state_sqlite.ledger import Ledger
from drystone.client.adapters.state_sqlite.synced import SyncedTable
from drystone.client.ports import SyncedRow

BATCH_KEY: Final = "batch"

_BOOT_ID: Final = "boot_id"
_FLUSHED: Final = "flushed_batch"
_DOUBTFUL_FROM: Final = "doubtful_from"
_DOUBTFUL_TO: Final = "doubtful_to"


class Batches:
    """Counts batches and remembers, in the ledger's settings, which were flushed."""

    def __init__(self, ledger: Ledger, synced: SyncedTable) -> None:
        self._ledger = ledger
        self._synced = synced

    def note_boot(self, boot_id: str) -> None:
        """Finds which rows are doubtful, if the machine was started anew since the last time."""
        ledger = self._ledger
        last = ledger.get(_BOOT_ID)
        if last == boot_id:
            return
        ledger.put(_BOOT_ID, boot_id)
        flushed = int(ledger.get(_FLUSHED) or 0)
        # The rows of the current batch are doubtful; those settled from now on are not.
        if last and self._synced.batch > flushed:
            if not ledger.get(_DOUBTFUL_TO):
                ledger.put(_DOUBTFUL_FROM, str(flushed))
            self._synced.batch += 1
            ledger.put(BATCH_KEY, str(self._synced.batch))
            ledger.put(_DOUBTFUL_TO, str(self._synced.batch))

    def begin_flush(self) -> int:
        """See ``client.ports.State.begin_flush``."""
        self._synced.write_pending()
        batch = self._synced.batch
        self._synced.batch = batch + 1
        self._ledger.put(BATCH_KEY, str(batch + 1))
        return batch

    def note_flushed(self, batch: int) -> None:
        """See ``client.ports.State.note_flushed``."""
        self._ledger.put(_FLUSHED, str(batch))

    def list_doubtful(self, limit: int) -> list[SyncedRow]:
        """See ``client.ports.State.list_doubtful``."""
        before = int(self._ledger.get(_DOUBTFUL_TO) or 0)
        if not before:
            return []
        first = int(self._ledger.get(_DOUBTFUL_FROM) or 0)
        rows = self._synced.list_after_batch(first, before, limit)
        if not rows:
            self._ledger.put(_DOUBTFUL_TO, "")
        return rows
