# SPDX-License-Identifier: Apache-2.0
"""A finished step brings synced nearer."""

import pytest

from drystone.core.ids import Rev, Seq
from drystone.core.journal.change import Accepted, Create, Delete
from drystone.core.planning.plan import (
    Discard,
    ForgetSynced,
    MarkSynced,
    Place,
    RenewLocal,
    RenewRemote,
    Replace,
    SetAside,
    Shift,
    Step,
    Submit,
)
from drystone.core.planning.progress import Advance, Noted, Renewed, Settled, advance
from tests.unit.core.planning.trees import file, make_id

ONE = file(1, "one")
EDITED = file(1, "one", text="edited")
MOVED = file(1, "moved")
OTHER = file(2, "one")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Place(ONE), Settled(ONE.file_id, ONE, is_exact=True)),
        (Replace(ONE, EDITED), Settled(ONE.file_id, EDITED, is_exact=True)),
        (Replace(ONE, EDITED, MOVED), Settled(ONE.file_id, MOVED, local=EDITED)),
        (
            Replace(OTHER, ONE),
            Settled(ONE.file_id, ONE, local_id=OTHER.file_id, is_exact=True),
        ),
        (Shift(ONE, MOVED), Settled(ONE.file_id, MOVED, is_exact=True)),
        (Shift(EDITED, MOVED, ONE), Settled(ONE.file_id, ONE, local=MOVED)),
        (Discard(ONE), Settled(ONE.file_id, None, is_exact=True)),
        (SetAside(ONE, MOVED), Noted(ONE.file_id, MOVED)),
        (SetAside(ONE, OTHER), Renewed(ONE.file_id, OTHER)),
        (RenewLocal(ONE, OTHER), Renewed(ONE.file_id, OTHER)),
        (RenewRemote(ONE), Renewed(ONE.file_id, None)),
        (MarkSynced(ONE), Settled(ONE.file_id, ONE)),
        (MarkSynced(ONE, OTHER.file_id), Settled(ONE.file_id, ONE, local_id=OTHER.file_id)),
        (ForgetSynced(ONE.file_id), Settled(ONE.file_id, None)),
    ],
    ids=repr,
)
def test_step_advances(step: Step, expected: Advance) -> None:
    assert advance(step) == expected


def test_submitted_entry_gets_the_accepted_rev() -> None:
    accepted = Accepted(Seq(8), Rev(7), ONE._replace(rev=Rev(7)))

    found = advance(Submit(Create(ONE), ONE), accepted)

    assert found == Settled(ONE.file_id, ONE._replace(rev=Rev(7)), Seq(8))


def test_submitted_deletion_settles_as_gone() -> None:
    accepted = Accepted(Seq(8), Rev(1), ONE)

    found = advance(Submit(Delete(ONE.file_id, Rev(1)), None), accepted)

    assert found == Settled(ONE.file_id, None, Seq(8))


def test_submitted_step_is_done_only_when_accepted() -> None:
    with pytest.raises(AssertionError, match="accepted"):
        advance(Submit(Delete(make_id(1), Rev(1)), None))
