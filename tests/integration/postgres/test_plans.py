# SPDX-License-Identifier: Apache-2.0
"""What PostgreSQL does for each statement: index lookups within one namespace, and few of them.

Rows are counted, not seconds: a statement that asks for ten things touches some tens of rows,
however many stand in the tables, and with whatever the planner believes of them.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from drystone.core.ids import ROOT_ID, DeviceId, NamespaceId, Seq
from drystone.core.journal.eras import Era
from drystone.core.journal.record import Action, Record
from drystone.server.ports.arrivals import ArrivalState, ArrivalsUnit
from drystone.server.ports.metadata import (
    Account,
    AccountsUnit,
    BlockPlace,
    BlocksUnit,
    Brake,
    BrakesUnit,
    Destroyed,
    Device,
    TreeUnit,
    Unit,
)
from drystone.server.ports.shared import SharedUnit
from drystone.server.storage.metadata_sql.postgres import metadata as engine_module
from drystone.server.storage.metadata_sql.postgres.metadata import PostgresMetadata, PostgresSession
from drystone.testing.conformance.metadata.arrivals import make_arrival, make_claims
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    BOB,
    LAPTOP,
    NAMESPACE,
    OTHER,
    PHONE,
    file,
    folder,
    pack_id,
)
from drystone.testing.strategies import make_file_id

ENTRIES, BLOCKS, ASKED = 1_500, 3_000, 10

ROWS_MAX = 12 * ASKED
"""What a statement may touch: each thing that is asked for, in a handful of tables."""

MINUTE_NS = 60 * 1_000_000_000

SHARED = {
    *("account", "device", "author", "namespace", "pack", "block", "damaged_block"),
    *("secret", "stamp", "running_era", "projector"),
    "unheld_block",
    "retired_pack",
}
"""About accounts, blocks and workers; every other table leads with the namespace."""

BACKGROUND = {"arrivals.list_due"}
"""What looks for work over all namespaces, and is no part of any request."""

WHOLE_TABLES = {"list_accounts", "totals", "arrivals.count_blocks"}
"""What is asked by operators, rarely: it may read a table from end to end."""


class Scan(NamedTuple):
    """One table that a statement looks into."""

    kind: str
    table: str
    condition: str
    rows: int


def block_id(number: int) -> Any:
    return number.to_bytes(4, "big") * 8


def fill(unit: Unit) -> None:
    """Two namespaces alike, and blocks that both hold half of."""
    unit.accounts.add_account(ANNA)
    unit.accounts.add_account(BOB)
    for number in range(300):
        device = Device(
            number.to_bytes(16, "big"), ANNA.account_id, "d", number.to_bytes(32, "big"), number, 1
        )  # type: ignore[arg-type]
        unit.accounts.add_device(device)
    unit.accounts.add_device(LAPTOP)
    for namespace_id in (NAMESPACE, OTHER):
        entries = [folder(make_file_id(1), "top")] + [
            (folder if n % 10 == 0 else file)(
                make_file_id(n),
                f"n{n}",
                make_file_id(1 if n % 2 else n // 20 * 20 - 20 or 1) if n > 20 else ROOT_ID,
            )
            for n in range(2, ENTRIES)
        ]
        records = [
            Record(Seq(seq), Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, seq)
            for seq, entry in enumerate(entries, 1)
        ]
        unit.tree.append(namespace_id, records)
        gone = [
            Record(
                Seq(ENTRIES + k), Action.DELETE, entries[-k], ANNA.account_id, LAPTOP.device_id, 1
            )
            for k in range(1, 200)
        ]
        unit.tree.append(
            namespace_id, [r._replace(seq=Seq(ENTRIES - 1 + k)) for k, r in enumerate(gone, 1)]
        )
        for number in range(200):
            unit.tree.begin_era(namespace_id, Era(number.to_bytes(16, "big"), Seq(number)))
            unit.tree.keep_manifest(namespace_id, block_id(number), 1, b"h" * 32, 1)
        for number in range(300):
            device_id = DeviceId(number.to_bytes(16, "big"))
            unit.brakes.note_destroyed(namespace_id, device_id, Destroyed(1, 1), number, 0)
        for device in (LAPTOP, PHONE):
            unit.brakes.save_brake(namespace_id, Brake(device.device_id))
    pack = b"P" * 32
    places = [BlockPlace(block_id(n), pack, n, 1, 1, 0) for n in range(BLOCKS)]  # type: ignore[arg-type]
    unit.blocks.add_pack(pack, 9, places)  # type: ignore[arg-type]
    for namespace_id in (NAMESPACE, OTHER):
        unit.blocks.hold(namespace_id, [block_id(n) for n in range(BLOCKS)], 5)
    unit.blocks.mark(places[:100], is_damaged=True)
    for number in range(40):
        for namespace_id in (NAMESPACE, OTHER):
            arrival = make_arrival(number, namespace_id=namespace_id, due_s=100 + number)
            unit.arrivals.add(arrival)
            claimed = BLOCKS * number // 40
            unit.arrivals.add_places(make_claims(arrival, range(claimed, claimed + 60)))


FILES = [make_file_id(n) for n in range(100, 100 + ASKED)]
SOME = [block_id(n) for n in range(50, 50 + ASKED)]
PLACE = BlockPlace(block_id(7), b"P" * 32, 7, 1, 1, 0)  # type: ignore[arg-type]
HEAD = ENTRIES - 1 + 199


def next_records(namespace_id: NamespaceId = NAMESPACE) -> list[Record]:
    entries = [file(make_file_id(9_000 + n), f"new{n}") for n in range(ASKED)]
    return [
        Record(Seq(HEAD + n), Action.CREATE, entry, ANNA.account_id, LAPTOP.device_id, 1)
        for n, entry in enumerate(entries, 1)
    ]


CALLS: dict[str, Callable[[Unit], object]] = {
    "find_account": lambda u: u.accounts.find_account("anna"),
    "get_account": lambda u: u.accounts.get_account(ANNA.account_id),
    "list_accounts": lambda u: u.accounts.list_accounts(),
    "add_account": lambda u: u.accounts.add_account(
        Account(b"c" * 16, "carla", "h", b"C" * 16, 1)  # type: ignore[arg-type]
    ),
    "save_account": lambda u: u.accounts.save_account(ANNA),
    "add_device": lambda u: u.accounts.add_device(
        Device(b"x" * 16, BOB.account_id, "x", b"x" * 32, 1, 1)  # type: ignore[arg-type]
    ),
    "find_device_by_token": lambda u: u.accounts.find_device_by_token(LAPTOP.token_hash),
    "list_devices": lambda u: u.accounts.list_devices(BOB.account_id),
    "save_device": lambda u: u.accounts.save_device(LAPTOP),
    "may_open": lambda u: u.tree.may_open(ANNA.account_id, NAMESPACE),
    "head": lambda u: u.tree.head(NAMESPACE),
    "find_end": lambda u: u.tree.find_end(ANNA.account_id, NAMESPACE),
    "find_heads": lambda u: u.tree.find_heads([NAMESPACE, OTHER]),
    "list_records": lambda u: u.tree.list_records(NAMESPACE, Seq(500), ASKED),
    "find_entries": lambda u: u.tree.find_entries(NAMESPACE, FILES),
    "find_lineage": lambda u: u.tree.find_lineage(NAMESPACE, FILES[:2]),
    "find_child": lambda u: u.tree.find_child(NAMESPACE, make_file_id(1), "n101"),
    "find_children": lambda u: u.tree.find_children(
        NAMESPACE, [(make_file_id(1), f"n{n}") for n in range(101, 101 + 2 * ASKED, 2)]
    ),
    "list_folders": lambda u: u.tree.list_folders(NAMESPACE, FILES),
    "list_children": lambda u: u.tree.list_children(NAMESPACE, make_file_id(1), "n2", ASKED),
    "list_below": lambda u: u.tree.list_below(NAMESPACE, make_file_id(100), "", ASKED),
    "count_below": lambda u: u.tree.count_below(NAMESPACE, FILES[0], Seq(9_999), ASKED),
    "count_destroyed": lambda u: u.brakes.count_destroyed(NAMESPACE, LAPTOP.device_id, 0),
    "note_destroyed": lambda u: u.brakes.note_destroyed(
        NAMESPACE, LAPTOP.device_id, Destroyed(1, 1), MINUTE_NS * 1_000, 0
    ),
    "find_brake": lambda u: u.brakes.find_brake(NAMESPACE, LAPTOP.device_id),
    "list_brakes": lambda u: u.brakes.list_brakes(NAMESPACE),
    "save_brake": lambda u: u.brakes.save_brake(NAMESPACE, Brake(LAPTOP.device_id)),
    "append": lambda u: u.tree.append(NAMESPACE, next_records()),
    "list_changes": lambda u: u.tree.list_changes(NAMESPACE, Seq(500), ASKED),
    "list_revisions": lambda u: u.tree.list_revisions(NAMESPACE, FILES[0], ASKED),
    "list_deleted": lambda u: u.tree.list_deleted(NAMESPACE, Seq(0), ASKED),
    "find_record": lambda u: u.tree.find_record(NAMESPACE, Seq(77)),
    "list_eras": lambda u: u.tree.list_eras(NAMESPACE, Seq(50), ASKED),
    "begin_era": lambda u: u.tree.begin_era(NAMESPACE, Era(b"z" * 16, Seq(9_999))),
    "find_idempotent": lambda u: u.tree.find_idempotent(NAMESPACE, LAPTOP.device_id, "k"),
    "keep_idempotent": lambda u: u.tree.keep_idempotent(
        NAMESPACE, LAPTOP.device_id, "k", b"answer", 1
    ),
    "has_manifest": lambda u: u.tree.has_manifest(NAMESPACE, SOME[0]),
    "keep_manifest": lambda u: u.tree.keep_manifest(NAMESPACE, block_id(999), 1, b"h" * 32, 1),
    "find_held": lambda u: u.blocks.find_held(NAMESPACE, SOME),
    "find_damaged": lambda u: u.blocks.find_damaged(NAMESPACE, SOME),
    "mark": lambda u: u.blocks.mark([PLACE], is_damaged=False),
    "hold": lambda u: u.blocks.hold(NAMESPACE, SOME, 9),
    "renew": lambda u: u.blocks.renew(NAMESPACE, SOME, 8, 9),
    "find_leases": lambda u: u.blocks.find_leases(NAMESPACE, SOME),
    "locate": lambda u: u.blocks.locate(SOME),
    "add_pack": lambda u: u.blocks.add_pack(
        b"Q" * 32,  # type: ignore[arg-type]
        9,
        [BlockPlace(block_id(50_000 + n), b"Q" * 32, n, 1, 1, 0) for n in range(ASKED)],  # type: ignore[arg-type]
    ),
    "totals": lambda u: u.blocks.totals(),
    "find_secret": lambda u: u.shared.find_secret("cursor"),
    "keep_secret": lambda u: u.shared.keep_secret("cursor", b"k"),
    "find_stamp": lambda u: u.shared.find_stamp(),
    "move_stamp": lambda u: u.shared.move_stamp(),
    "find_era_id": lambda u: u.shared.find_era_id(),
    "join_era": lambda u: u.shared.join_era(b"eraerae1"),
    "arrivals.add": lambda u: u.arrivals.add(make_arrival(255)),
    "arrivals.find": lambda u: u.arrivals.find(
        NAMESPACE, [make_arrival(n).arrival_id for n in range(ASKED)]
    ),
    "arrivals.find_promised": lambda u: u.arrivals.find_promised(
        NAMESPACE, [pack_id(n) for n in range(ASKED)]
    ),
    "arrivals.count_promised": lambda u: u.arrivals.count_promised(NAMESPACE),
    "arrivals.change": lambda u: u.arrivals.change(make_arrival(7)),
    "arrivals.add_places": lambda u: u.arrivals.add_places(
        make_claims(make_arrival(7), range(60_000, 60_000 + ASKED))
    ),
    "arrivals.mark": lambda u: u.arrivals.mark(
        make_claims(make_arrival(7), range(ASKED)), is_damaged=True
    ),
    "arrivals.drop_places": lambda u: u.arrivals.drop_places(NAMESPACE, make_arrival(7).arrival_id),
    "arrivals.remove": lambda u: u.arrivals.remove(NAMESPACE, make_arrival(7).arrival_id),
    "arrivals.locate": lambda u: u.arrivals.locate(NAMESPACE, SOME),
    "arrivals.find_damaged": lambda u: u.arrivals.find_damaged(NAMESPACE, SOME),
    "arrivals.list_due": lambda u: u.arrivals.list_due(ArrivalState.PROMISED, 120, ASKED),
    "arrivals.count_blocks": lambda u: u.arrivals.count_blocks(),
}


class Undone(Exception):
    """Ends a work that is only looked at."""


@pytest.fixture(scope="module", params=["as filled", "analysed"])
def filled(postgres, request) -> Iterator[PostgresMetadata]:
    url = postgres.make_schema()
    metadata = PostgresMetadata(url)
    metadata.write(fill)
    if request.param == "analysed":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
    yield metadata
    metadata.close()
    postgres.drop_schema(url)


@pytest.fixture
def scans(monkeypatch) -> dict[str, list[Scan]]:
    """What each statement does, by its text, from now on."""
    found: dict[str, list[Scan]] = {}

    def note(session: PostgresSession, statement: str, values: Any) -> None:
        if statement.split(None, 1)[0] not in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            return
        execute(session, "SAVEPOINT looked_at")
        row = execute(session, f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).fetchone()
        execute(session, "ROLLBACK TO looked_at")
        plans = row[0] if isinstance(row[0], list) else json.loads(row[0])
        found.setdefault(statement, []).extend(list_scans(plans[0]["Plan"]))

    def execute_noted(session, statement, values=(), /):
        note(session, statement, values)
        return execute(session, statement, values)

    def executemany_noted(session, statement, rows, /):
        rows = list(rows)
        if rows:
            note(session, statement, rows[0])
        return executemany(session, statement, rows)

    execute, executemany = PostgresSession.execute, PostgresSession.executemany
    monkeypatch.setattr(engine_module.PostgresSession, "execute", execute_noted)
    monkeypatch.setattr(engine_module.PostgresSession, "executemany", executemany_noted)
    return found


def list_scans(node: dict[str, Any]) -> list[Scan]:
    found = [scan for child in node.get("Plans", ()) for scan in list_scans(child)]
    if "Relation Name" in node and "Scan" in node["Node Type"]:
        rows = node["Actual Rows"] + sum(
            node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck")
        )
        condition = node.get("Index Cond", "")
        found.append(
            Scan(
                node["Node Type"],
                node["Relation Name"],
                condition,
                int(rows * node["Actual Loops"]),
            )
        )
    return found


def test_every_method_is_looked_at() -> None:
    methods = {
        name
        for port in (AccountsUnit, TreeUnit, BrakesUnit, BlocksUnit, SharedUnit)
        for name in vars(port)
        if not name.startswith("_")
    }
    arrivals = {f"arrivals.{name}" for name in vars(ArrivalsUnit) if not name.startswith("_")}

    assert methods | arrivals == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_statements_are_lookups_in_one_namespace(filled, scans, name) -> None:
    def work(unit: Unit) -> None:
        CALLS[name](unit)
        raise Undone

    with pytest.raises(Undone):
        filled.write(work)

    assert scans
    for statement, mine in scans.items():
        if name in WHOLE_TABLES:
            continue
        for scan in mine:
            assert "Index" in scan.kind, (scan, statement)
            assert scan.rows <= ROWS_MAX, (scan, statement)
            if scan.table not in SHARED and name not in BACKGROUND:
                assert "ns = " in scan.condition, (scan, statement)


def test_where_a_projector_is_behind_is_found_without_looking_at_the_others(filled, scans) -> None:
    """Of many namespaces, a few of which have moved."""

    def work(unit: Unit) -> None:
        for number in range(200):
            name = number.to_bytes(2, "big")
            account = Account(name * 8, f"{number}", "", name * 8, 1)  # type: ignore[arg-type]
            unit.accounts.add_account(account)
        for projector in ("one", "other"):
            unit.projections.add_projector(projector)
            unit.projections.begin(projector)
        unit.projections.move("other", NAMESPACE, Seq(HEAD))
        scans.clear()
        assert len(unit.projections.list_behind("one", None, ASKED)) == 2
        assert unit.projections.measure("other") == (1, HEAD)
        unit.projections.move("one", OTHER, Seq(1))
        raise Undone

    with pytest.raises(Undone):
        filled.write(work)

    for statement, mine in scans.items():
        for scan in mine:
            assert "Index" in scan.kind, (scan, statement)
            assert scan.rows <= 2 * 2, (scan, statement)
