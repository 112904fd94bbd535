# SPDX-License-Identifier: Apache-2.0
"""Entries: what is in a tree, what was, and what was deleted."""

from typing import Final

from starlette.responses import Response

from drystone.core.ids import parse_file_id
from drystone.server.faces.native.call import BadParameter, Call, Operation, Parameter
from drystone.server.service.trees.pages import EntryPage
from drystone.wire.entries import entry_to_wire, stored_to_wire
from drystone.wire.messages import Listing, RevisionLine, Revisions


async def list_entries(call: Call) -> Response:
    """``GET /v1/namespaces/{namespace}/entries``."""
    namespaces = call.service.namespaces
    namespace_id = call.namespace_id()
    after = call.query("after")
    if path := call.query("path"):
        page = await namespaces.find_path(call.actor, namespace_id, path)
    elif parent := call.query("parent"):
        folder_id = parse_file_id(parent)
        page = await namespaces.list_folder(call.actor, namespace_id, folder_id, after)
    elif below := call.query("below"):
        folder_id = parse_file_id(below)
        page = await namespaces.list_below(call.actor, namespace_id, folder_id, after)
    else:
        raise BadParameter("the request says neither path nor parent nor below")
    return await _answer_page(call, page)


async def list_deleted(call: Call) -> Response:
    """``GET /v1/namespaces/{namespace}/deleted``."""
    page = await call.service.history.list_deleted(
        call.actor, call.namespace_id(), call.query("after")
    )
    return await _answer_page(call, page)


async def list_revisions(call: Call) -> Response:
    """``GET /v1/namespaces/{namespace}/entries/{entry}/revisions``."""
    file_id = parse_file_id(call.request.path_params["entry"])
    found = await call.service.history.list_revisions(call.actor, call.namespace_id(), file_id)

    def make() -> Revisions:
        return Revisions(
            [
                RevisionLine(
                    entry_to_wire(record.entry, record.seq, record.action),
                    record.at_ns,
                    account_name,
                    device_name,
                    is_gone,
                )
                for record, account_name, device_name, is_gone in found
            ]
        )

    return await call.answer_many(len(found), make)


async def _answer_page(call: Call, page: EntryPage) -> Response:
    def make() -> Listing:
        return Listing(
            [stored_to_wire(stored) for stored in page.entries],
            page.after,
            page.head,
            list(page.times_ns),
            list(page.folders),
        )

    return await call.answer_many(len(page.entries), make)


_AFTER: Final = Parameter("after", "`next` of the page before; left out for the first.")

OPERATIONS: Final = (
    Operation(
        "GET",
        "/v1/namespaces/{namespace}/entries",
        list_entries,
        "Find one living entry by its path, or list a folder, or all that lives below one.",
        answer=Listing,
        query=(
            Parameter("path", "Path from the namespace's root, beginning with a slash."),
            Parameter("parent", "Id of a folder: list what is directly in it, by name."),
            Parameter("below", "Id of a folder: list all below it, parents before children."),
            _AFTER,
        ),
    ),
    Operation(
        "GET",
        "/v1/namespaces/{namespace}/entries/{entry}/revisions",
        list_revisions,
        "List the records of an entry, newest first, with who made them.",
        answer=Revisions,
    ),
    Operation(
        "GET",
        "/v1/namespaces/{namespace}/deleted",
        list_deleted,
        "List what was deleted, last deleted first; what went with a folder is not listed.",
        answer=Listing,
        query=(_AFTER,),
    ),
)
