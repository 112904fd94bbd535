# SPDX-License-Identifier: Apache-2.0
"""Trees: every way in which two of them may differ is found."""

import os

import pytest

from drystone.cli.demo import trees


@pytest.fixture
def pair(tmp_path):
    left, right = tmp_path / "left", tmp_path / "right"
    (left / "folder" / "below").mkdir(parents=True)
    (left / "folder" / "below" / "text").write_text("some text\n")
    (left / "file").write_bytes(b"\0" * 10)
    (left / "link").symlink_to("folder/below")
    (left / "dangling").symlink_to("nowhere")
    trees.copy_tree(left, right)
    (left / ".drystone").mkdir()
    (left / ".drystone" / "marker").write_text("not synced")
    return left, right


def test_a_copy_is_the_same(pair):
    left, right = pair
    (left / "folder").touch()  # folder times do not travel

    assert trees.find_differences(left, right) == []
    assert trees.measure_tree(left) == trees.measure_tree(right) == trees.Size(2, 2, 2, 20)


@pytest.mark.parametrize(
    ("change", "path", "how"),
    [
        (lambda r: (r / "new").touch(), "new", "only in the right tree"),
        (lambda r: (r / "file").unlink(), "file", "only in the left tree"),
        (lambda r: (r / "folder" / "below").chmod(0o700), "folder/below", "mode 755, 700"),
        (lambda r: os.utime(r / "file", ns=(1, 2)), "file", "mtime"),
        (lambda r: (r / "file").write_bytes(b"\0"), "file", "size 10, 1"),
        (lambda r: rewrite(r / "file", b"\1" * 10), "file", "other bytes"),
        (lambda r: relink(r / "link", "folder"), "link", "points elsewhere"),
        (lambda r: relink(r / "file", "folder"), "file", "another kind of entry"),
    ],
)
def test_each_difference_is_found(pair, change, path, how):
    left, right = pair
    (right / "folder" / "below").chmod(0o755)
    (left / "folder" / "below").chmod(0o755)
    change(right)

    found = trees.find_differences(left, right)

    assert [difference.path for difference in found] == [path]
    assert found[0].how.startswith(how)


def rewrite(path, content):
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relink(path, target):
    path.unlink()
    path.symlink_to(target)


def test_only_the_first_differences_are_told(pair):
    left, right = pair
    for number in range(30):
        (right / f"{number:02}").touch()

    assert len(trees.find_differences(left, right, limit=5)) == 5


def test_random_files_are_the_same_for_the_same_seed(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    trees.make_random_file(one, 5_000_001, seed=1)
    trees.make_random_file(two, 5_000_001, seed=1)
    assert one.read_bytes() == two.read_bytes()

    before = one.read_bytes()
    trees.overwrite_byte(one, 1_234)
    after = one.read_bytes()
    assert [i for i in range(len(after)) if after[i] != before[i]] == [1_234]

    trees.insert_byte(two, 100, tmp_path / "draft")
    assert two.read_bytes() == before[:100] + b"+" + before[100:]
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]
