# SPDX-License-Identifier: Apache-2.0
"""What else a synced folder remembers: settings, problems, manifests, digests."""

from typing import Final

from drystone.client.adapters.state_sqlite.database import Database
from drystone.client.adapters.state_sqlite.rows import to_column
from drystone.client.ports import ProblemRow, Stat
from drystone.core.content.content import Content
from drystone.core.ids import BlockId

_DIGESTS_KEPT: Final = 2_000
_DIGESTS_SLACK: Final = 200


class Ledger:
    """Small tables, written at once into the open transaction of the connection."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._settings: dict[str, str] = dict(db.select("SELECT key, value FROM setting"))

    def get(self, key: str) -> str:
        """Returns a setting, or ``""``."""
        return self._settings.get(key, "")

    def put(self, key: str, value: str) -> None:
        """Sets a setting."""
        if self._settings.get(key) != value:
            self._settings[key] = value
            self._db.write(
                "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", (key, value)
            )

    # --- problems ----------------------------------------------------------------------------

    def problems(self) -> list[ProblemRow]:
        """Returns all problems, by path."""
        found = self._db.select(
            "SELECT path, code, message, advice, since_ns, tries, next_try_ns"
            " FROM problem ORDER BY path"
        )
        return [ProblemRow(*columns) for columns in found]

    def note_problem(self, row: ProblemRow) -> None:
        """Adds or replaces the problem of a path."""
        self._db.write("INSERT OR REPLACE INTO problem VALUES (?, ?, ?, ?, ?, ?, ?)", tuple(row))

    def clear_problem(self, path: str) -> None:
        """The path is fine again."""
        self._db.write("DELETE FROM problem WHERE path = ?", (path,))

    # --- manifests and digests ---------------------------------------------------------------

    def find_manifest(self, manifest_id: BlockId) -> bytes | None:
        """Returns the encoding of a kept manifest."""
        found = self._db.find("SELECT encoded FROM manifest WHERE manifest_id = ?", (manifest_id,))
        return None if found is None else bytes(found[0])

    def keep_manifest(self, manifest_id: BlockId, encoded: bytes) -> None:
        """Keeps a manifest until ``collect_manifests`` finds it unused."""
        self._db.write("INSERT OR IGNORE INTO manifest VALUES (?, ?)", (manifest_id, encoded))

    def collect_manifests(self) -> None:
        """Drops manifests that no entry and no digest refers to any longer."""
        self._db.write(
            "DELETE FROM manifest WHERE manifest_id NOT IN ("
            " SELECT root FROM synced WHERE chunked = 1"
            " UNION SELECT root FROM remote WHERE chunked = 1"
            " UNION SELECT root FROM digest WHERE chunked = 1)",
            (),
        )

    def find_digest(self, stat: Stat) -> Content | None:
        """Returns what a file with this fingerprint was found to hold."""
        found = self._db.find(
            "SELECT size_bytes, root, chunked, content_hash FROM digest"
            " WHERE ino = ? AND dev = ? AND size_bytes = ? AND mtime_ns = ? AND ctime_ns = ?",
            _digest_key(stat),
        )
        return None if found is None else Content(found[0], found[1], found[2] == 1, found[3])

    def note_digest(self, stat: Stat, content: Content) -> None:
        """Notes what a file holds; drops the oldest notes if there are too many."""
        ino, dev, size_bytes, mtime_ns, ctime_ns = _digest_key(stat)
        self._db.write(
            "INSERT OR REPLACE INTO digest"
            " (size_bytes, mtime_ns, ctime_ns, ino, dev, root, chunked, content_hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                size_bytes, mtime_ns, ctime_ns, ino, dev,
                content.root, content.chunked, content.content_hash,
            ),
        )  # fmt: skip
        newest: int = self._db.select("SELECT max(number) FROM digest")[0][0]
        if newest % _DIGESTS_SLACK == 0:
            self._db.write("DELETE FROM digest WHERE number <= ?", (newest - _DIGESTS_KEPT,))


def _digest_key(stat: Stat) -> tuple[int, int, int, int, int]:
    return (
        to_column(stat.ino),
        to_column(stat.dev),
        stat.size_bytes,
        stat.mtime_ns,
        stat.ctime_ns,
    )
