# SPDX-License-Identifier: Apache-2.0
"""Commits: changes to a namespace, with an outcome for each."""

from typing import Final

from starlette.responses import Response

from drystone.server.faces.native.call import Call, Operation, run_if_heavy
from drystone.wire.changes import commit_from_wire, outcome_to_wire
from drystone.wire.messages import CommitAnswer, CommitRequest
from drystone.wire.version import IDEMPOTENCY_HEADER


async def commit(call: Call) -> Response:
    """``POST /v1/namespaces/{namespace}/commits``."""
    request = await call.read(CommitRequest)
    asked = await run_if_heavy(len(request.changes), lambda: commit_from_wire(request))
    key = call.request.headers.get(IDEMPOTENCY_HEADER, "")
    done = await call.service.commits.commit(
        call.actor, call.namespace_id(), asked, key, request.cursor
    )

    def make() -> CommitAnswer:
        pairs = zip(done.outcomes, asked.changes, strict=True)
        outcomes = [outcome_to_wire(outcome, change) for outcome, change in pairs]
        return CommitAnswer(done.head_before, done.head, done.cursor, outcomes)

    return await call.answer_many(len(done.outcomes), make)


OPERATIONS: Final = (
    Operation(
        "POST",
        "/v1/namespaces/{namespace}/commits",
        commit,
        "Change a namespace: each change is accepted or refused by itself, all accepted ones are"
        " durable when this answers. Sent again with the same `Idempotency-Key` and body, it gets"
        " the same answer and changes nothing.",
        CommitRequest,
        CommitAnswer,
    ),
)
