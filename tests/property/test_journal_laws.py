# SPDX-License-Identifier: Apache-2.0
"""Laws of the journal: whatever is asked, what is decided holds together."""

from hypothesis import given
from hypothesis import strategies as st

from drystone.core.journal.change import Accepted, Change, Commit, Refusal
from drystone.core.journal.decide import decide
from drystone.core.journal.fold import fold
from drystone.core.journal.record import Action
from drystone.core.tree.entry import Kind
from drystone.core.tree.tree import Tree, check_tree
from drystone.testing.journal import AUTHOR, ListedJournal
from drystone.testing.strategies import changes, commits


@st.composite
def journals(draw: st.DrawFn) -> ListedJournal:
    """Draws a journal that random commits have written."""
    journal = ListedJournal()
    for _ in range(draw(st.integers(0, 6))):
        keep_drawn(draw, journal)
    return journal


def keep_drawn(draw: st.DrawFn, journal: ListedJournal) -> Commit:
    commit = draw(commits(journal.see()))
    journal.keep(decide(journal, commit, AUTHOR))
    return commit


@given(st.data(), journals())
def test_a_decision_keeps_the_tree_well_formed(data: st.DataObject, journal: ListedJournal) -> None:
    head, commit = journal.head, data.draw(commits(journal.see()))
    decision = decide(journal, commit, AUTHOR)
    journal.keep(decision)

    assert len(decision.outcomes) == len(commit.changes)
    assert [r.seq for r in decision.records] == list(range(head + 1, journal.head + 1))
    # Nothing that lives is in a file, in itself, in the place of another, or nowhere.
    check_tree(Tree(journal.tree.iter_living()))
    told = {o.seq for o in decision.outcomes if isinstance(o, Accepted)}
    assert {record.seq for record in decision.records} <= told
    assert all(o.message for o in decision.outcomes if isinstance(o, Refusal))


@given(st.data(), journals())
def test_an_accepted_change_is_so_and_repeating_it_changes_nothing(
    data: st.DataObject, journal: ListedJournal
) -> None:
    change: Change = data.draw(changes(journal.see()))
    (outcome,) = journal.commit(change)
    if isinstance(outcome, Accepted):
        stored = journal.find(outcome.entry.file_id)
        assert stored is not None
        assert (stored.entry, stored.seq) == (outcome.entry, outcome.seq)
    head = journal.head

    assert journal.commit(change) == (outcome,)
    assert journal.head == head


@given(st.data(), journals())
def test_all_or_nothing_is_either(data: st.DataObject, journal: ListedJournal) -> None:
    commit = data.draw(commits(journal.see()))._replace(all_or_nothing=True)
    decision = decide(journal, commit, AUTHOR)
    refusals = [o for o in decision.outcomes if isinstance(o, Refusal)]

    assert len(refusals) in (0, len(commit.changes))
    assert not (refusals and decision.records)


@given(st.data(), journals())
def test_folding_in_parts_is_folding_at_once(data: st.DataObject, journal: ListedJournal) -> None:
    cut = data.draw(st.integers(0, len(journal.records)))
    again = data.draw(st.integers(0, cut))
    first = fold(Tree(), journal.records[:cut])

    assert fold(first, journal.records[cut:]) == journal.tree
    assert fold(first, journal.records[again:]) == journal.tree


@given(journals())
def test_the_tree_is_what_the_last_records_say(journal: ListedJournal) -> None:
    last = {record.entry.file_id: record for record in journal.records}

    assert {record.entry for record in last.values() if record.action is not Action.DELETE} == set(
        journal.tree
    )


@given(journals())
def test_a_content_that_was_accepted_is_in_the_journal_under_its_rev(
    journal: ListedJournal,
) -> None:
    for record in journal.records:
        entry = record.entry
        written = journal.records[entry.rev - 1].entry
        assert written.file_id == entry.file_id
        assert written.rev == entry.rev
        # A folder's mode may change without a new rev.
        assert entry.kind is Kind.FOLDER or written.is_same_state(entry)
