# SPDX-License-Identifier: Apache-2.0
"""``drystone admin collect`` and ``quarantine``, as an operator types them beside a server."""

import sqlite3

import pytest

from drystone.testing.servers import ServerProcess
from tests.integration.cli_user import PASSWORD, User

DAY_NS = 86_400 * 10**9


def grow_old(server, days):
    """Makes all that the server knows so many days older, as a clock would."""
    with sqlite3.connect(server.data_dir / "metadata.db", timeout=120) as db:
        db.execute("UPDATE record SET at_ns = at_ns - ?", (days * DAY_NS,))
        db.execute(
            "UPDATE namespace_block SET leased_until_s ="
            " CASE WHEN leased_until_s < 0 THEN leased_until_s + ? ELSE leased_until_s - ? END",
            (days * 86_400, days * 86_400),
        )
        db.execute("UPDATE unheld_block SET since_s = since_s - ?", (days * 86_400,))
        db.execute("UPDATE retired_pack SET since_s = since_s - ?", (days * 86_400,))
    db.close()


@pytest.fixture
def user(tmp_path, monkeypatch):
    return User(tmp_path / "home", monkeypatch)


def test_old_versions_go_come_back_and_go_for_good(tmp_path, user):
    data_dir = tmp_path / "server"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    (folder / "gone.txt").write_text("gone " * 50)
    settings = data_dir / "drystone.toml"
    data_dir.mkdir()
    settings.write_text("keep_history_days = 30\n")
    at = ("--data-dir", data_dir)
    with ServerProcess(data_dir) as server:
        server.add_account("anna", PASSWORD)
        login = ("login", server.url, "--user", "anna", "--password-stdin")
        assert user.run(*login, typed=f"{PASSWORD}\n").code == 0
        assert user.run("sync", "--once", folder).code == 0
        (folder / "gone.txt").unlink()
        assert user.run("sync", "--once", folder).code == 0
        grow_old(server, 31)
        told = user.ask("admin", "collect", "--dry-run", *at)
        assert (told["is_dry"], told["dropped_blocks"]) == (True, 1)
        assert user.ask("admin", "collect", *at)["let_go"] == 1
        assert user.ask("admin", "collect", *at)["dropped_blocks"] == 0
        grow_old(server, 4)
        assert user.ask("admin", "collect", *at)["dropped_holders"] == 1
        grow_old(server, 1)
        assert user.ask("admin", "collect", *at)["dropped_blocks"] == 1
        refused = user.run("restore", folder / "gone.txt")
        assert refused.code != 0
        assert "no longer kept" in refused.err + refused.out
        [pack] = user.ask("admin", "quarantine", "list", *at)
        assert pack["why"] == "thin"
        shown = user.run("admin", "quarantine", "list", *at).out
        assert pack["pack_id"][:16] in shown

        back = user.ask("admin", "quarantine", "restore", pack["pack_id"][:8], "--yes", *at)
        assert (back["packs"], back["holders"]) == (1, 1)
        assert user.run("restore", folder / "gone.txt").code == 0
        assert user.run("sync", "--once", folder).code == 0
        assert (folder / "gone.txt").read_text() == "gone " * 50

        (folder / "gone.txt").unlink()
        assert user.run("sync", "--once", folder).code == 0
        grow_old(server, 40)
        for _ in range(2):
            user.ask("admin", "collect", "--min-age", "0h", *at)
        assert len(user.ask("admin", "quarantine", "list", *at)) > 0
        grow_old(server, 8)
        removed = user.ask("admin", "collect", *at)["removed_packs"]
        assert removed > 0
        assert user.ask("admin", "quarantine", "list", *at) == []
        (folder / "kept.txt").unlink()
        assert user.run("sync", "--once", "--allow-deletions", folder).code == 0
        assert user.run("restore", folder / "kept.txt").code == 0
        assert user.run("sync", "--once", folder).code == 0
        assert (folder / "kept.txt").read_text() == "kept"


def test_what_cannot_be_meant_is_refused(tmp_path, user):
    at = ("--data-dir", tmp_path / "server")
    assert user.run("admin", "collect", "--min-age", "soon", *at).code == 2
    assert user.run("admin", "quarantine", "restore", *at).code == 2
    assert user.run("admin", "quarantine", "restore", "ff", *at).code == 2
    assert "Nothing is in quarantine" in user.run("admin", "quarantine", "list", *at).out
    assert user.ask("admin", "quarantine", "restore", "--all", *at)["packs"] == 0
    assert user.run("admin", "collect", *at).code == 0


def test_a_scrub_finds_damage_and_says_so_by_its_code(tmp_path, user):
    data_dir, folder = tmp_path / "server", tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(bytes(range(256)) * 100)
    at = ("--data-dir", data_dir)
    with ServerProcess(data_dir) as server:
        server.add_account("anna", PASSWORD)
        login = ("login", server.url, "--user", "anna", "--password-stdin")
        assert user.run(*login, typed=f"{PASSWORD}\n").code == 0
        assert user.run("sync", "--once", folder).code == 0
        whole = user.ask("admin", "scrub", *at)
        assert (whole["packs"], whole["left"]) == (1, 0)
        assert user.ask("admin", "scrub", *at)["packs"] == 0
        [pack] = (data_dir / "objects" / "packs").glob("*/*")
        content = bytearray(pack.read_bytes())
        content[-3] ^= 1
        pack.write_bytes(content)
        said = user.run("admin", "scrub", "--all", *at)
        assert said.code == 5
        assert "doctor --repair" in said.out
        assert user.run("doctor", folder, "--repair").code == 0
        assert user.ask("admin", "scrub", "--all", *at)["left"] == 0
