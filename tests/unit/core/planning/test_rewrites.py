# SPDX-License-Identifier: Apache-2.0
"""Files that became noise are counted, and many are asked about."""

from drystone.core import limits
from drystone.core.instant import NS_PER_S
from drystone.core.planning.guards import LOCAL_MASS_REWRITE, find_rewrite_halt
from drystone.core.planning.plan import Submit
from drystone.core.planning.policy import Permission
from drystone.core.planning.rewrites import (
    Rewrites,
    Rewritten,
    find_rewritten,
    format_rewrites,
    is_mass_rewrite,
    parse_rewrites,
)
from drystone.core.tree.entry import Entry
from tests.unit.core.planning.trees import View, file, folder, make_id, plan

FEW, MANY = limits.MASS_REWRITE_ENTRIES_MIN, limits.MASS_REWRITE_ENTRIES_MANY
HOUR_NS = 3600 * NS_PER_S
WINDOW_NS = limits.MASS_REWRITE_WINDOW_S * NS_PER_S


def rewrites_of(*entries: Entry) -> Rewrites:
    rewrites = Rewrites()
    for entry in entries:
        assert entry.content is not None
        rewrites.note_read(entry.file_id, entry.content.content_hash, is_noise=True)
    return rewrites


def test_edits_to_noise_count_and_other_edits_do_not() -> None:
    synced = [file(1, "a"), file(2, "b"), file(3, "c")]
    local = [file(1, "a", text="noise"), file(2, "b", text="prose"), synced[2]]
    rewrites = rewrites_of(local[0])

    found = find_rewritten(plan(synced, local=local), View(synced), rewrites)

    assert found == Rewritten((make_id(1),))
    assert found.files_count == 1


def test_content_that_is_no_longer_there_does_not_count() -> None:
    synced = [file(1, "a")]
    rewrites = rewrites_of(file(1, "a", text="noise"))
    found = plan(synced, local=[file(1, "a", text="brought back, almost")])

    assert not find_rewritten(found, View(synced), rewrites).files_count


def test_noise_takes_the_place_of_as_many_as_are_gone_from_its_folder() -> None:
    synced = [folder(10, "d"), file(1, "a", 10), file(2, "b", 10), file(3, "c")]
    new = file(90, "a.locked", 10, text="noise")
    found = plan(synced, local=[synced[0], new])

    rewritten = find_rewritten(found, View(synced), rewrites_of(new))

    assert not rewritten.edited
    assert set(rewritten.replaced) == {make_id(1), make_id(2)}
    assert rewritten.files_count == 1


def test_noise_sent_before_is_remembered_until_something_is_gone_for_it() -> None:
    synced = [file(1, "a"), file(2, "b")]
    new = file(90, "a.locked", text="noise")
    rewrites = rewrites_of(new)
    for step in plan(synced, local=[*synced, new]).steps:
        assert isinstance(step, Submit)
        assert rewrites.note_sent(step, None, 0)
    rewrites = parse_rewrites(format_rewrites(rewrites))
    now = [*synced, new]
    gone = plan(now, local=[synced[1], new])

    assert find_rewritten(gone, View(now), rewrites).replaced == (make_id(1),)
    for step in gone.steps:
        assert isinstance(step, Submit)
        assert rewrites.note_sent(step, synced[0], 0)
    assert rewrites.count_recent(0) == 1
    assert not find_rewritten(plan(now, local=[new]), View(now), rewrites).files_count


def test_what_was_sent_counts_for_a_while() -> None:
    rewrites = Rewrites()
    rewrites.add_recent(7, HOUR_NS)
    rewrites.add_recent(3, WINDOW_NS)
    rewrites = parse_rewrites(format_rewrites(rewrites))

    assert rewrites.count_recent(WINDOW_NS) == 10
    assert rewrites.count_recent(WINDOW_NS + 2 * HOUR_NS) == 3
    assert rewrites.count_recent(0) == 3  # A clock that is set back.
    assert rewrites.count_recent(9 * WINDOW_NS) == 0


def test_what_was_agreed_to_is_not_counted() -> None:
    synced = [file(1, "a")]
    local = [file(1, "a", text="noise")]
    rewrites = rewrites_of(*local)
    rewrites.add_recent(20, 0)
    rewrites.allow()
    for step in plan(synced, local=local).steps:
        assert isinstance(step, Submit)
        rewrites.note_sent(step, None, 0)

    assert rewrites.count_recent(0) == 0
    assert not rewrites.noise


def test_bounds() -> None:
    assert not is_mass_rewrite(FEW - 1, 0, FEW)
    assert is_mass_rewrite(FEW, 0, FEW)
    assert is_mass_rewrite(1, FEW - 1, FEW)
    assert not is_mass_rewrite(0, MANY, FEW)
    few_of_many = FEW * 100 // limits.MASS_REWRITE_PERCENT_MIN + 100
    assert not is_mass_rewrite(FEW, 0, few_of_many)
    assert is_mass_rewrite(MANY, 0, 10_000_000)


def test_permission_covers_as_much_and_no_more() -> None:
    rewritten = Rewritten(tuple(make_id(n) for n in range(60)))

    def is_halted(code: str, count: int) -> bool:
        permissions = (Permission(code, count),)
        return find_rewrite_halt(rewritten, 0, 100, permissions) is not None

    assert is_halted(LOCAL_MASS_REWRITE, 59)
    assert not is_halted(LOCAL_MASS_REWRITE, 60)
    assert is_halted("local-mass-deletion", 60)


def test_text_of_another_program_is_as_none() -> None:
    for text in ("", "what?", "1:2:zz", "1:2:00:4"):
        assert not parse_rewrites(text).recent
