# SPDX-License-Identifier: Apache-2.0
"""A server that lost its database: what lies in the object store makes it anew."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drystone.core.errors import DrystoneError
from drystone.core.ids import NamespaceId, Seq
from drystone.server.bootstrap import open_admin, open_check, rebuild_metadata
from drystone.server.ports.metadata import Metadata, Unit
from drystone.server.ports.survey import survey_of
from drystone.server.settings import ServerSettings
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.metadata_sql.postgres import PostgresMetadata
from drystone.server.storage.objects_files import FileObjects
from drystone.server.workers.journals.keeper import find_position
from drystone.testing.real_devices import PASSWORD, RealDevice, converge, list_packs
from drystone.testing.servers import CHEAP_PASSWORDS, ServerProcess
from tests.integration.cli_user import User

LAG = {"DRYSTONE_SERVER_JOURNAL_LAG_S": "0.4"}

# Several processes each, beside whatever else the machine does.


def tell(_what: str, _count: int) -> None:
    pass


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that writes journals at once, and will lose its database."""
    with ServerProcess(tmp_path / "data", environment={**CHEAP_PASSWORDS, **LAG}) as server:
        server.add_account("anna", PASSWORD)
        yield server


@pytest.fixture
def pair(lost: ServerProcess, tmp_path: Path) -> tuple[RealDevice, RealDevice]:
    devices = []
    for name in ("one", "two"):
        device = RealDevice(tmp_path / name, lost.url, "anna", name)
        device.folder.mkdir(parents=True)
        device.log_in()
        devices.append(device)
    one, two = devices
    one.write("docs/plan", b"first plan")
    one.write("docs/gone", b"deleted later")
    one.write("large", bytes(range(256)) * 20_000)
    converge(one, two)
    two.write("docs/plan", b"second plan")
    (two.folder / "docs/gone").unlink()
    (two.folder / "docs").rename(two.folder / "papers")
    converge(one, two)
    return one, two


def contents(device: RealDevice) -> dict[str, bytes]:
    return {path: look.content for path, look in device.look().items() if look.kind == "file"}


def settings_of(server: ServerProcess, **more: str) -> ServerSettings:
    return ServerSettings(
        data_dir=server.data_dir, password_memory_kib=1024, password_rounds=1, **more
    )


def namespace_of(unit: Unit) -> NamespaceId:
    return survey_of(unit).list_namespaces(b"", 1)[0].namespace_id


def tell_all(metadata: Metadata) -> tuple[object, ...]:
    """Returns journal, tree and history of the only namespace, and what may be read there."""

    def work(unit: Unit) -> tuple[object, ...]:
        survey, namespace_id = survey_of(unit), namespace_of(unit)
        blocks = {line.place.block_id for line in survey.list_places(0, 1 << 20)}
        records = survey.list_records(namespace_id, Seq(0), 1 << 20)
        entries = {record.entry.file_id for record in records}
        return (
            records,
            survey.list_entry_rows(namespace_id, Seq(0), 1 << 20),
            unit.tree.list_eras(namespace_id, Seq(1 << 40), 1 << 20),
            {e: unit.tree.list_revisions(namespace_id, e, 1_000) for e in entries},
            unit.blocks.find_held(namespace_id, blocks),
            unit.blocks.totals(),
        )

    return metadata.read(work)


def wait_for_journals(server: ServerProcess) -> None:
    """Waits until all that was committed stands beside the packs, and the accounts too."""
    objects = FileObjects(server.data_dir / "objects")
    deadline = time.monotonic() + 120
    with closing(SqliteMetadata(server.data_dir / "metadata.db")) as metadata:
        namespace_id = metadata.read(namespace_of)
        while not any(objects.iter_names("checkpoints/accounts/")) or find_position(
            metadata, objects, namespace_id
        ) < metadata.read(lambda unit: unit.tree.head(namespace_id)):
            assert time.monotonic() < deadline, server.read_log()
            time.sleep(0.05)


def lose_database(server: ServerProcess) -> Path:
    """Moves the database away; returns where to."""
    away = server.data_dir.with_name("lost")
    away.mkdir()
    for path in server.data_dir.glob("metadata.db*"):
        path.rename(away / path.name)
    return away / "metadata.db"


def is_sound(settings: ServerSettings) -> bool:
    with open_check(settings, tell, is_deep=True) as check:
        assert list(check.iter_findings()) == []
        return check.sum_up().is_sound


def test_devices_go_on_with_a_rebuilt_server_and_nothing_is_lost(
    lost: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    one, two = pair
    wait_for_journals(lost)
    port = lost.port
    lost.stop()
    # What is committed now is on devices only, once the database is lost.
    unheard = ServerProcess(
        lost.data_dir, environment={**CHEAP_PASSWORDS, "DRYSTONE_SERVER_JOURNAL_LAG_S": "0"}
    )
    with unheard:
        unheard.stop()
        unheard.start(port)
        one.write("papers/plan", b"third plan")
        two.write("since", b"since the last stretch")
        converge(one, two)
        before = contents(one)
        unheard.kill()
    lose_database(lost)
    done = rebuild_metadata(settings_of(lost), tell)
    with open_admin(settings_of(lost)) as admin:
        admin.set_password("anna", PASSWORD)
    lost.start(port)
    for device in (one, two):
        device.log_in()

    converge(one, two)

    assert done.checked.is_sound
    assert done.rebuilt.accounts == ("anna",)
    assert contents(one) == before
    assert not one.told.conflicts + two.told.conflicts
    three = RealDevice(tmp_path / "three", lost.url, "anna", "three")
    three.folder.mkdir(parents=True)
    three.log_in()
    three.sync()
    assert contents(three) == before
    lost.stop()
    assert is_sound(settings_of(lost))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_rebuilt_database_is_as_the_lost_one(
    lost: ServerProcess,
    pair: tuple[RealDevice, RealDevice],
    request: pytest.FixtureRequest,
    database: str,
) -> None:
    wait_for_journals(lost)
    lost.stop()
    old = lose_database(lost)
    url = "sqlite" if database == "sqlite" else request.getfixturevalue("postgres_url")
    settings = settings_of(lost, database=url)
    done = rebuild_metadata(settings, tell)
    rebuilt = (
        SqliteMetadata(lost.data_dir / "metadata.db")
        if database == "sqlite"
        else PostgresMetadata(url)
    )

    with closing(SqliteMetadata(old)) as was, closing(rebuilt) as now:
        assert tell_all(now) == tell_all(was)
        [account] = now.read(lambda unit: unit.accounts.list_accounts())
        assert account.name == "anna"
        devices = now.read(lambda unit: unit.accounts.list_devices(account.account_id))
        assert {device.name for device in devices} == {"one", "two"}
        assert all(device.revoked_ns for device in devices)
    assert done.findings == ()
    assert is_sound(settings)
    assert not list(lost.data_dir.glob("*.unfinished*"))


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(DrystoneError) as caught:
        work()
    assert caught.value.advice
    return caught.value.code


def test_rebuild_replaces_nothing_and_needs_something(
    lost: ServerProcess, pair: tuple[RealDevice, RealDevice], tmp_path: Path
) -> None:
    settings = settings_of(lost)
    assert refused(lambda: rebuild_metadata(settings, tell)) == "data-dir-in-use"
    lost.stop()
    before = (lost.data_dir / "metadata.db").read_bytes()
    assert refused(lambda: rebuild_metadata(settings, tell)) == "rebuild-refused"
    assert (lost.data_dir / "metadata.db").read_bytes() == before
    empty = ServerSettings(data_dir=tmp_path / "empty")
    assert refused(lambda: rebuild_metadata(empty, tell)) == "rebuild-refused"


def test_what_is_damaged_is_told_and_the_rest_comes_back(
    lost: ServerProcess,
    pair: tuple[RealDevice, RealDevice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait_for_journals(lost)
    lost.stop()
    lose_database(lost)
    gone, *_ = list_packs(lost)
    gone.unlink()
    user = User(tmp_path / "operator", monkeypatch)
    here = ("--data-dir", lost.data_dir)
    said = user.run("admin", "rebuild", "--yes", "--json", *here)

    assert said.code == 10
    assert said.json["journals"][0]["account"] == "anna"
    assert said.json["lost_contents_count"] > 0
    assert {finding["code"] for finding in said.json["findings"]} == {"block-unknown"}
    assert user.run("admin", "check", *here).code == 10

    shutil.rmtree(lost.data_dir / "objects" / "checkpoints")
    for path in lost.data_dir.glob("metadata.db*"):
        path.unlink()
    told = user.run("admin", "rebuild", "--yes", *here)
    assert told.code == 10
    assert "drystone admin set-password recovered-" in told.out
