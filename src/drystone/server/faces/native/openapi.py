# SPDX-License-Identifier: Apache-2.0
"""OpenAPI: the protocol's table and its messages as one document, made from the types.

Source: OpenAPI Specification 3.1.0; JSON Schema of the messages by msgspec.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec
from starlette.responses import Response

from drystone import __version__
from drystone.server.faces.native.call import Call, Operation
from drystone.wire.codec import JSON_MEDIA_TYPE
from drystone.wire.messages import BellMessage, Message, Problem
from drystone.wire.problem import PROBLEM_MEDIA_TYPE

_BUNDLE_MEDIA_TYPE: Final = "application/octet-stream"


def serve(operations: Sequence[Operation]) -> Operation:
    """Returns the operation that serves the document about the others."""

    @cache
    def document() -> bytes:
        return msgspec.json.encode(describe(operations))

    async def tell(call: Call) -> Response:
        """``GET /v1/openapi.json``."""
        return Response(document(), media_type=JSON_MEDIA_TYPE)

    return Operation(
        "GET",
        "/v1/openapi.json",
        tell,
        "Describe all this, as OpenAPI 3.1.",
        needs_actor=False,
    )


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Returns the OpenAPI document of some operations, as plain values."""
    kinds: list[type[Message]] = [Problem, BellMessage]
    for operation in operations:
        kinds += [kind for kind in (operation.request, operation.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        list(dict.fromkeys(kinds)), ref_template="#/components/schemas/{name}"
    )
    references = dict(zip(dict.fromkeys(kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        told = _describe_operation(operation, references)
        paths.setdefault(operation.path, {})[operation.method.lower()] = told
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Drystone",
            "version": __version__,
            "description": "The native protocol. `bytes` are base64 in messages, ids are"
            " hexadecimal in addresses, times are nanoseconds since 1970 in UTC. Bodies may be"
            " compressed (`Content-Encoding: zstd`).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe_operation(
    operation: Operation, references: dict[type[Message], dict[str, Any]]
) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    in_query = [
        {
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.text,
            "schema": {"type": "string"},
        }
        for parameter in operation.query
    ]
    problem = {"content": {PROBLEM_MEDIA_TYPE: {"schema": references[Problem]}}}
    good: dict[str, Any] = {"description": "Done."}
    if operation.answer is not None:
        good["content"] = {JSON_MEDIA_TYPE: {"schema": references[operation.answer]}}
    told: dict[str, Any] = {
        "operationId": operation.run.__name__,
        "summary": operation.text,
        "parameters": [*in_path, *in_query],
        "responses": {
            str(operation.status): good,
            "default": {"description": "A problem (RFC 9457).", **problem},
        },
        "security": [{"token": []}] if operation.needs_actor else [],
    }
    if operation.request is not None:
        content = {JSON_MEDIA_TYPE: {"schema": references[operation.request]}}
        told["requestBody"] = {"required": True, "content": content}
    return told
