# SPDX-License-Identifier: Apache-2.0
"""Explaining: what a plan says of one entry, and by which rule, for people."""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from drystone.core.ids import FileId
from drystone.core.journal.change import Create, Delete, Edit, Move
from drystone.core.planning.plan import (
    Conflict,
    ConflictKind,
    Discard,
    ForgetSynced,
    MarkSynced,
    Place,
    Plan,
    RenewLocal,
    RenewRemote,
    Replace,
    SetAside,
    Shift,
    Step,
    Submit,
    find_subject,
)


class Decision(NamedTuple):
    """A rule that applied to an entry. ``code`` is stable."""

    code: str
    message: str


def explain(plan: Plan, file_ids: Collection[FileId]) -> list[Decision]:
    """Returns which rules applied to an entry that is known by these ids, the gravest first.

    Empty if the plan has nothing to do with it. Cost: a look at each step.
    """
    return [
        *(_explain_conflict(one) for one in plan.conflicts if one.file_id in file_ids),
        *_explain_steps(plan, file_ids),
        *(_WAITING for file_id in plan.waiting if file_id in file_ids),
    ]


def _explain_conflict(conflict: Conflict) -> Decision:
    kept = f"; the version here is kept as {conflict.kept_as}" if conflict.kept_as else ""
    return Decision(conflict.kind.value, f"{_CONFLICTS[conflict.kind]}{kept}")


def _explain_steps(plan: Plan, file_ids: Collection[FileId]) -> Iterator[Decision]:
    for step in plan.steps:
        renewed = isinstance(step, RenewLocal | SetAside) and step.before.file_id in file_ids
        if renewed or find_subject(step) in file_ids:
            yield _explain_step(step)


def _explain_step(step: Step) -> Decision:
    if isinstance(step, Submit):
        return _CHANGES[type(step.change)]
    return _STEPS[type(step)]


_WAITING: Final = Decision(
    "waits", "something about it, or about its folder, is not known yet or has to be done first"
)

_CHANGES: Final[dict[type, Decision]] = {
    Create: Decision("send-new", "it is new here, and is to be sent"),
    Edit: Decision("send-edit", "it was changed here, and is to be sent"),
    Move: Decision("send-move", "it was moved or renamed here, which the server is to be told"),
    Delete: Decision("send-deletion", "it was deleted here, which the server is to be told"),
}

_STEPS: Final[dict[type, Decision]] = {
    Place: Decision("fetch-new", "it is new on the server, and is to be fetched"),
    Replace: Decision("fetch-edit", "it was changed on the server, and is to be fetched"),
    Shift: Decision("move-here", "it was moved or renamed on the server, which is to be done here"),
    Discard: Decision("delete-here", "it was deleted on the server: it goes to the trash here"),
    SetAside: Decision("set-aside", "it makes room for another of its name, and gets a new one"),
    RenewLocal: Decision(
        "change-beats-deletion", "it was deleted on the server, but changed here: it lives on"
    ),
    RenewRemote: Decision(
        "change-beats-deletion", "it was deleted here, but changed on the server: it comes back"
    ),
    MarkSynced: Decision("agree", "both sides have the same, which is to be noted"),
    ForgetSynced: Decision("forget", "it is gone on both sides, which is to be noted"),
}

_CONFLICTS: Final = {
    ConflictKind.EDIT_EDIT: "both sides changed its content",
    ConflictKind.EDIT_DELETE: "one side changed it and the other deleted it: the change wins",
    ConflictKind.CREATE_CREATE: "both sides made something else under this name",
    ConflictKind.MOVE_MOVE: "both sides moved it elsewhere: the server's place wins",
    ConflictKind.NAME: "both sides gave its name to different entries",
    ConflictKind.FOLDER_DELETED: "its folder was deleted on one side, and it changed on the other",
}
