# SPDX-License-Identifier: Apache-2.0
"""The root of a synced folder: marker, lock, and what must not be taken for it."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from drystone.client.adapters.disk import (
    LocalDisk,
    RootBusy,
    RootTaken,
    RootTooNew,
    RootUnusable,
    create_root,
    open_disk,
    read_root_id,
)
from drystone.client.ports import RootGone

ROOT_ID = "11" * 16
OTHER_ID = "22" * 16


def open_it(root: Path, root_id: str = ROOT_ID) -> LocalDisk:
    return open_disk(root, root_id, lambda: 0)


def test_root_is_made_once_and_known_by_its_marker(tmp_path: Path) -> None:
    root = tmp_path / "not/yet/there"
    assert read_root_id(root) is None

    create_root(root, ROOT_ID)
    create_root(root, ROOT_ID)

    assert read_root_id(root) == ROOT_ID
    assert stat.S_IMODE((root / ".drystone").stat().st_mode) == 0o700
    with pytest.raises(RootTaken):
        create_root(root, OTHER_ID)
    assert read_root_id(root) == ROOT_ID


def test_root_within_a_root_is_refused(root: Path) -> None:
    with pytest.raises(RootTaken) as caught:
        create_root(root / "a/b", OTHER_ID)

    assert str(root) in caught.value.message
    assert not (root / "a").exists()


def test_what_cannot_be_a_folder_cannot_be_a_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")

    for path in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(RootUnusable):
            create_root(path, ROOT_ID)


def test_folder_that_is_not_the_root_is_not_opened(tmp_path: Path, root: Path) -> None:
    (tmp_path / "empty").mkdir()

    for path in (tmp_path / "empty", tmp_path / "gone"):
        with pytest.raises(RootGone):
            open_it(path)
    with pytest.raises(RootGone):
        open_it(root, OTHER_ID)


def test_root_of_a_newer_program_is_left_alone(root: Path) -> None:
    marker = root / ".drystone/marker"
    marker.write_text(json.dumps({"format": 2, "root": ROOT_ID}))

    with pytest.raises(RootTooNew):
        open_it(root)
    with pytest.raises(RootTooNew):
        create_root(root, ROOT_ID)


@pytest.mark.parametrize("junk", ["", "{}", "[]", "null", '{"format": "x", "root": 1}', "\0"])
def test_damaged_marker_is_no_marker(root: Path, junk: str) -> None:
    (root / ".drystone/marker").write_text(junk)

    with pytest.raises(RootGone):
        open_it(root)


def test_second_client_is_refused_until_the_first_is_done(root: Path) -> None:
    first = open_it(root)
    with pytest.raises(RootBusy) as caught:
        open_it(root)
    assert "process" in caught.value.message
    staged = first.stage(3)
    with pytest.raises(RootBusy):
        open_it(root)
    staged.write_at(0, b"123")
    assert staged.read_at(0, 3) == b"123"
    staged.drop()

    first.close()
    first.close()

    open_it(root).close()


def test_lock_ends_with_the_process_that_held_it(root: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path;"
        "from drystone.client.adapters.disk import open_disk;"
        "disk = open_disk(Path(sys.argv[1]), sys.argv[2], lambda: 0);"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(root), ROOT_ID], check=False)
    assert done.returncode == -9

    open_it(root).close()


@pytest.mark.parametrize("harm", ["moved", "emptied", "replaced", "marker", "other"])
def test_check_notices_that_the_root_is_not_what_it_was(
    root: Path, disk: LocalDisk, harm: str
) -> None:
    disk.check_root()
    match harm:
        case "moved":
            root.rename(root.with_name("elsewhere"))
        case "emptied":
            shutil.rmtree(root / ".drystone")
        case "replaced":
            root.rename(root.with_name("elsewhere"))
            shutil.copytree(root.with_name("elsewhere"), root)
        case "marker":
            (root / ".drystone/marker").unlink()
        case "other":
            text = (root / ".drystone/marker").read_text()
            (root / ".drystone/marker").write_text(text.replace(ROOT_ID, OTHER_ID))

    with pytest.raises(RootGone) as caught:
        disk.check_root()
    assert caught.value.advice


def test_root_behind_a_link_is_the_root(tmp_path: Path, root: Path) -> None:
    (tmp_path / "link").symlink_to(root)

    disk = open_it(tmp_path / "link")
    disk.check_root()
    disk.write_small("file", b"1", 0o644, 5, None)
    disk.close()

    assert (root / "file").read_bytes() == b"1"
