# SPDX-License-Identifier: Apache-2.0
"""A folder for objects is known again, and an empty one in its place is not taken for it."""

import shutil
from pathlib import Path

import pytest

from drystone.server.bootstrap.storing.objects_folder import (
    MARK,
    MEMORY,
    UnusableObjectsFolder,
    find_objects_folder,
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my packs"
    path.mkdir()
    return path


def test_a_folder_is_marked_once_and_known_again(data_dir: Path, folder: Path) -> None:
    url = f"file://{str(folder).replace(' ', '%20')}"

    assert find_objects_folder(url, data_dir) == folder
    mark = (folder / MARK).read_text()
    assert (data_dir / MEMORY).read_text() == mark
    assert find_objects_folder(url, data_dir) == folder
    assert (folder / MARK).read_text() == mark
    assert [path.name for path in folder.iterdir()] == [MARK]


def test_an_empty_folder_in_its_place_is_refused(data_dir: Path, folder: Path) -> None:
    find_objects_folder(f"file://{folder}", data_dir)
    shutil.rmtree(folder)
    folder.mkdir()

    with pytest.raises(UnusableObjectsFolder, match="not the one it was") as caught:
        find_objects_folder(f"file://{folder}", data_dir)
    assert "Mount" in caught.value.advice
    assert list(folder.iterdir()) == []


def test_another_servers_folder_is_refused(data_dir: Path, folder: Path, tmp_path: Path) -> None:
    find_objects_folder(f"file://{folder}", data_dir)
    other = tmp_path / "other"
    for path in (other, tmp_path / "data of other"):
        path.mkdir()
    find_objects_folder(f"file://{other}", tmp_path / "data of other")

    with pytest.raises(UnusableObjectsFolder, match="another server's"):
        find_objects_folder(f"file://{other}", data_dir)


def test_a_folder_may_be_copied_elsewhere_with_its_mark(data_dir: Path, folder: Path) -> None:
    find_objects_folder(f"file://{folder}", data_dir)
    target = folder.with_name("new disk")
    shutil.copytree(folder, target)

    assert find_objects_folder(f"file://{target}", data_dir) == target


def test_a_second_servers_data_directory_learns_the_mark(tmp_path, folder: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        find_objects_folder(f"file://{folder}", tmp_path / name)

    assert (tmp_path / "one" / MEMORY).read_text() == (tmp_path / "two" / MEMORY).read_text()


def test_a_folder_that_is_not_there_is_not_made(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableObjectsFolder, match="is not there"):
        find_objects_folder(f"file://{tmp_path}/none", data_dir)
    assert not (tmp_path / "none").exists()


def test_a_folder_in_the_data_directory_is_refused(data_dir: Path) -> None:
    (data_dir / "objects").mkdir()

    with pytest.raises(UnusableObjectsFolder, match="lies in the data directory"):
        find_objects_folder(f"file://{data_dir}/objects", data_dir)


@pytest.mark.parametrize(
    "url", ["file://", "file://host/srv", "file:srv", "file:///srv?x=1", "file:///srv#x"]
)
def test_an_address_that_is_none_is_told(data_dir: Path, url: str) -> None:
    with pytest.raises(UnusableObjectsFolder, match="is no address of a folder"):
        find_objects_folder(url, data_dir)
