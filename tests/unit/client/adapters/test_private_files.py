# SPDX-License-Identifier: Apache-2.0
"""Credentials and roots: private, whole, and clear about damage."""

from pathlib import Path

import pytest

from drystone.client.adapters.credentials import (
    Credential,
    NotLoggedIn,
    drop_credential,
    find_credential,
    load_credentials,
    save_credential,
)
from drystone.client.adapters.private_file import ConfigUnusable
from drystone.client.adapters.roots import (
    RootLine,
    drop_root,
    find_root,
    find_root_above,
    load_roots,
    save_root,
)


def _credential(url: str, token: str = "secret-token") -> Credential:
    return Credential(url, "ada", b"a" * 16, b"d" * 16, "desk", b"n" * 16, token)


def test_credentials_are_private_and_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "config" / "credentials.json"

    save_credential(path, _credential("http://one"))
    save_credential(path, _credential("http://two"))
    save_credential(path, _credential("http://one", "newer"))

    assert [c.url for c in load_credentials(path)] == ["http://one", "http://two"]
    assert find_credential(path, None).token == "newer"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["credentials.json"]


def test_repr_of_a_credential_hides_its_token() -> None:
    assert "secret-token" not in repr(_credential("http://one"))


def test_missing_credential_says_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    save_credential(path, _credential("http://one"))
    drop_credential(path, "http://one")
    drop_credential(path, "http://one")

    with pytest.raises(NotLoggedIn) as caught:
        find_credential(path, "http://one")

    assert "drystone login http://one" in caught.value.advice


def test_damaged_credentials_are_reported_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_bytes(b"{not json")

    with pytest.raises(ConfigUnusable, match="damaged"):
        save_credential(path, _credential("http://one"))

    assert path.read_bytes() == b"{not json"


def test_roots_are_found_by_place_and_from_below(tmp_path: Path) -> None:
    path = tmp_path / "roots.json"
    root = RootLine("/home/ada/Sync", "ab" * 16, "http://one", b"n" * 16, bytes(16))
    save_root(path, root)

    assert find_root(path, Path("/home/ada/Sync")) == root
    assert find_root(path, Path("/home/ada")) is None
    assert find_root_above(path, Path("/home/ada/Sync/a/b")) == root
    assert find_root_above(path, Path("/home/ada/Synced")) is None

    drop_root(path, Path("/home/ada/Sync"))

    assert load_roots(path) == []
