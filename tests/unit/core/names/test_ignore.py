# SPDX-License-Identifier: Apache-2.0
from drystone.core.names.ignore import NO_RULES, Rule


def test_no_rules_ignore_nothing() -> None:
    assert not NO_RULES
    assert not NO_RULES.is_ignored("a/b", is_folder=False)


def test_pattern_counts_for_all_below_its_folder_only() -> None:
    rules = NO_RULES.extend("src", "*.o\n/top\n")

    assert rules.is_ignored("src/deep/x.o", is_folder=False)
    assert rules.is_ignored("src/top", is_folder=False)
    assert not rules.is_ignored("src/deep/top", is_folder=False)
    assert not rules.is_ignored("src/x.c", is_folder=False)


def test_folder_pattern_leaves_files_of_that_name_alone() -> None:
    rules = NO_RULES.extend("", "build/\n")

    assert rules.is_ignored("a/build", is_folder=True)
    assert not rules.is_ignored("a/build", is_folder=False)


def test_deeper_file_wins_over_higher_one_and_later_line_over_earlier() -> None:
    rules = NO_RULES.extend("", "*.log\n!keep.log\n").extend("a", "!*.log\nsecret.log\n")

    assert not rules.is_ignored("keep.log", is_folder=False)
    assert rules.is_ignored("b.log", is_folder=False)
    assert not rules.is_ignored("a/b.log", is_folder=False)
    assert rules.is_ignored("a/secret.log", is_folder=False)


def test_line_that_is_no_rule_is_told_and_the_others_count() -> None:
    rules = NO_RULES.extend("", "*.o\n!\n*.tmp\n")

    assert rules.faults == ("!",)
    assert rules.is_ignored("x.o", is_folder=False)
    assert rules.is_ignored("x.tmp", is_folder=False)


def test_the_rule_that_decides_is_told_with_its_line() -> None:
    rules = NO_RULES.extend("", "# logs\n\n*.log\n!keep.log\n").extend("a", "!\nsecret\n")

    assert rules.find_rule("b.log", is_folder=False) == Rule(".drystoneignore", 3, "*.log")
    assert rules.find_rule("a/keep.log", is_folder=False) == Rule(".drystoneignore", 4, "!keep.log")
    assert rules.find_rule("a/secret", is_folder=True) == Rule("a/.drystoneignore", 2, "secret")
    assert rules.find_rule("b", is_folder=False) is None
