# SPDX-License-Identifier: Apache-2.0
"""What all workers have in common, in memory. The port tells what each method does."""

from collections.abc import Hashable

from drystone.server.storage.metadata_memory.tables import RunningEra, Tables

_ACCOUNTS = "accounts"
_THE_ONE = "the one"


class MemoryShared:
    """What all workers have in common.

    Args:
        tables: Where it is kept.
        run: Another object whenever other tables were put in place of these.
    """

    def __init__(self, tables: Tables, run: object) -> None:
        self._tables = tables
        self._run = run

    def find_secret(self, name: str) -> bytes | None:
        return self._tables.secrets.get(name)

    def keep_secret(self, name: str, secret: bytes) -> bytes:
        if name not in self._tables.secrets:
            self._tables.secrets[name] = secret
        return self._tables.secrets[name]

    def find_stamp(self) -> Hashable:
        return self._tables.stamps.get(_ACCOUNTS, 0), self._run

    def move_stamp(self) -> None:
        self._tables.stamps[_ACCOUNTS] = self._tables.stamps.get(_ACCOUNTS, 0) + 1

    def find_era_id(self) -> bytes | None:
        running = self._tables.running_eras.get(_THE_ONE)
        return running.era_id if running is not None and running.run is self._run else None

    def join_era(self, fresh_id: bytes) -> bytes:
        era_id = self.find_era_id()
        if era_id is None:
            self._tables.running_eras[_THE_ONE] = RunningEra(fresh_id, self._run)
        return fresh_id if era_id is None else era_id
