# SPDX-License-Identifier: Apache-2.0
"""Writes the golden database of the newest metadata version: the one before it, migrated.

Run it once per migration, before it is released; see tests/compat/test_database_vectors.py.
"""

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.migrations import load_migrations

VECTORS = Path(__file__).parent.parent / "tests" / "compat" / "vectors"


def main() -> None:
    """Writes ``metadata-N.dump``, N being the number of migrations."""
    version = len(load_migrations())
    older = VECTORS / f"metadata-{version - 1}.dump"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metadata.db"
        with closing(sqlite3.connect(path)) as db:
            db.executescript(older.read_text(encoding="utf-8"))
        SqliteMetadata(path).close()
        with closing(sqlite3.connect(path)) as db:
            pragmas = [
                f"PRAGMA {name} = {db.execute(f'PRAGMA {name}').fetchone()[0]};"
                for name in ("application_id", "user_version")
            ]
            lines = ["-- SPDX-License-Identifier: Apache-2.0", *pragmas, *db.iterdump()]
    text = re.sub(r"[ \t]+$", "", "\n".join(lines), flags=re.MULTILINE)
    new = VECTORS / f"metadata-{version}.dump"
    new.write_text(f"{text}\n", encoding="utf-8")
    print(f"written: {new.name}")


if __name__ == "__main__":
    main()
