# SPDX-License-Identifier: Apache-2.0
"""How SQLite carries out each statement: by an index, never by walking over a table."""

import re
from collections.abc import Iterator

import pytest

from drystone.server.storage.metadata_sql import (
    SqliteMetadata,
    accounts,
    below,
    blocks,
    duties,
    numbers,
    trees,
)
from drystone.server.storage.metadata_sql.collecting import units

STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": text
    for module in (accounts, below, blocks, units, duties, numbers, trees)
    for name, text in vars(module).items()
    if isinstance(text, str) and re.match(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b", text)
    # Beginnings of statements, told apart by what they miss.
    and not name.startswith("_MANY") and name not in {"_ACCOUNTS", "_DEVICES", "_PACK_LINES"}
}  # fmt: skip

WALKS_ALLOWED = {
    "accounts._LIST_BRAKES": "returns all that it reads",
    "blocks._HAS_DAMAGED": "reads one row at most",
    "units._FORGET_REMOVED": "a row for each pack that was retired of late",
    "units._HAS_UNHELD": "reads one row at most",
    "units._LIST_DAMAGED": "returns all that it reads",
    "duties._BEGIN": "looks at every namespace, once in the life of a projector",
    "duties._LIST_PROJECTORS": "returns all that it reads",
    "duties._REMOVE_PROJECTIONS": "drops what it reads",
    "numbers._TELL_PROJECTORS": "needs all projectors: there are a handful",
    "blocks._TOTALS": "counts everything, for the operator",
}

# A search by the namespace alone is a walk over the tree; these read nothing but what they return.
CONSTANT = (
    r"SCAN (?:CONSTANT ROW|cut|many|chain|up|below|counted|page|wanted VIRTUAL TABLE INDEX 1:)$"
)


ONE_ROW = re.compile(r"SEARCH (?:journal|j) USING PRIMARY KEY \(ns=\?\)")


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteMetadata]:
    metadata = SqliteMetadata(tmp_path_factory.mktemp("plans") / "metadata.db")
    yield metadata
    metadata.close()


def explain(metadata: SqliteMetadata, statement: str) -> list[str]:
    named = dict.fromkeys(re.findall(r":(\w+)", statement))
    values = [None] * statement.count("?") or named
    rows = metadata._writer.execute(f"EXPLAIN QUERY PLAN {statement}", values)
    return [detail for *_, detail in rows]


def find_walks(plan: list[str]) -> list[str]:
    return [
        detail
        for detail in plan
        if (detail.startswith("SCAN") and not re.match(CONSTANT, detail))
        or (re.search(r"\(ns=\?\)", detail) and not ONE_ROW.match(detail))
    ]


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - WALKS_ALLOWED.keys()))
def test_no_statement_walks_over_a_table(metadata: SqliteMetadata, name: str) -> None:
    plan = explain(metadata, STATEMENTS[name])

    assert not find_walks(plan), plan


def test_these_rules_find_what_they_look_for(metadata: SqliteMetadata) -> None:
    assert len(STATEMENTS) > 30
    for name in WALKS_ALLOWED:
        assert find_walks(explain(metadata, STATEMENTS[name]))
    for statement in (
        "SELECT * FROM entry WHERE name = :name",
        "SELECT * FROM entry WHERE ns = :ns AND folded = :name",
        "SELECT * FROM block WHERE codec = :codec",
    ):
        assert find_walks(explain(metadata, statement))
