# SPDX-License-Identifier: Apache-2.0
"""Whether the tables can be spread by namespace as deploy/citus/distribute.sql says.

What plain PostgreSQL can tell; that no statement crosses namespaces is test_plans.
"""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from drystone.server.storage.metadata_sql.postgres import PostgresMetadata

SCRIPT = Path(__file__).parents[3] / "deploy" / "citus" / "distribute.sql"

UNIQUE_KEYS = """
    SELECT t.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_index AS i
        JOIN pg_class AS t ON t.oid = i.indrelid
        JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = ANY (i.indkey)
    WHERE i.indisunique AND t.relnamespace = current_schema()::regnamespace
    GROUP BY t.relname, i.indexrelid
"""

REFERENCES = """
    SELECT c.conrelid::regclass::text, c.confrelid::regclass::text,
        ARRAY(SELECT attname::text FROM pg_attribute
              WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey))
    FROM pg_constraint AS c
    WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace
"""

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


@pytest.fixture
def ask(postgres_url):
    PostgresMetadata(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:

        def ask(query: str) -> list[Any]:
            return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]

        yield ask


def named(function: str) -> set[str]:
    return set(re.findall(rf"{function}\('(\w+)'", SCRIPT.read_text(encoding="utf-8")))


def test_every_table_is_spread_or_copied(ask) -> None:
    spread, copied = named("create_distributed_table"), named("create_reference_table")

    stays = set(re.findall(r"^-- stays: (\w+)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE))

    assert not spread & copied
    assert spread | copied | stays == {table for (table,) in ask(TABLES)}


def test_spread_tables_go_by_namespace_and_lie_together() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "create_distributed_table" in line]

    assert "colocate_with" not in lines[0]
    assert all("'ns', colocate_with => 'journal'" in line for line in lines[1:])


def test_every_unique_key_of_a_spread_table_has_the_namespace(ask) -> None:
    spread = named("create_distributed_table")
    keys = [(table, columns) for table, columns in ask(UNIQUE_KEYS) if table in spread]

    assert {table for table, _ in keys} == spread
    assert [key for key in keys if "ns" not in key[1]] == []


def test_no_reference_leads_to_another_node(ask) -> None:
    spread = named("create_distributed_table")
    astray = [
        (source, target, columns)
        for source, target, columns in ask(REFERENCES)
        if target in spread and (source not in spread or "ns" not in columns)
    ]

    assert astray == []
