# SPDX-License-Identifier: Apache-2.0
"""Problems: how an error looks on the wire, and what it becomes on the other side.

Source: RFC 9457.
"""

from typing import Final

from drystone.core.errors import Corrupt, DrystoneError, Refused, Unavailable
from drystone.wire.messages import Problem

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

CORRUPT_STATUS: Final = 422
"""Of what is sent but does not match its name."""

_TYPE_PREFIX: Final = "urn:drystone:problem:"
_RETRY_AFTER_S_MAX: Final = 3600.0

STATUS_OF_CODE: Final = {
    "account-disabled": 403,
    "account-exists": 409,
    "arrival-unknown": 404,
    "bad-compression": CORRUPT_STATUS,
    "block-not-found": 404,
    "blocks-missing": 409,
    "body-too-large": 413,
    "brake-needs-password": 403,
    "bundle-too-large": 413,
    "burst-held": 409,
    "corrupt-block": CORRUPT_STATUS,
    "decompression-bomb": CORRUPT_STATUS,
    "device-not-found": 404,
    "device-revoked": 401,
    "direct-off": 409,
    "entry-not-found": 404,
    "folder-gone": 410,
    "idempotency-key-reused": 409,
    "malformed-frame": CORRUPT_STATUS,
    "malformed-manifest": CORRUPT_STATUS,
    "malformed-patch": CORRUPT_STATUS,
    "message-too-large": 413,
    "method-not-allowed": 405,
    "missing-base": 409,
    "namespace-not-found": 404,
    "pack-length": 409,
    "pack-missing": 409,
    "protocol-unknown": 426,
    "sign-in-failed": 401,
    "sign-in-required": 401,
    "stale-base": 409,
    "too-many-blocks": 413,
    "too-many-devices": 409,
    "too-many-tries": 429,
    "truncated-bundle": 400,
    "unknown-route": 404,
}
"""Status of a problem whose family's status would tell too little."""


class RemoteRefused(Refused):
    """The server refused. ``code`` and message are the server's."""

    code = "remote-refused"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title, advice=problem.advice)
        self.problem = problem
        self.code = problem.code
        self.request_id = problem.request_id


class RemoteUnavailable(Unavailable):
    """The server asked to wait. ``code`` and message are the server's."""

    code = "remote-unavailable"

    def __init__(self, problem: Problem) -> None:
        super().__init__(
            problem.detail or problem.title,
            advice=problem.advice,
            retry_after_s=min(max(problem.retry_after_s, 0.0), _RETRY_AFTER_S_MAX),
        )
        self.problem = problem
        self.code = problem.code
        self.request_id = problem.request_id


class RemoteCorrupt(Corrupt):
    """The server found bytes that do not match their name. ``code`` is the server's."""

    code = "remote-corrupt"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title, advice=problem.advice)
        self.problem = problem
        self.code = problem.code
        self.request_id = problem.request_id


def problem_from_error(error: DrystoneError, request_id: str = "") -> Problem:
    """Returns the problem that tells a client about ``error``."""
    return Problem(
        type=_TYPE_PREFIX + error.code,
        title=_title(error),
        status=status_of(error),
        code=error.code,
        detail=error.message,
        advice=error.advice,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s if isinstance(error, Unavailable) else 0.0,
        request_id=request_id,
    )


def problem_from_bug(request_id: str = "") -> Problem:
    """Returns the problem that tells a client about an error nobody foresaw: no details."""
    return Problem(
        type=_TYPE_PREFIX + "internal-error",
        title="The server failed in an unforeseen way",
        status=500,
        code="internal-error",
        detail="The server could not do this; its log tells why. Trying again may help.",
        retryable=True,
        request_id=request_id,
    )


def status_of(error: DrystoneError) -> int:
    """Returns the HTTP status for an error: that of its code, else that of its family."""
    found = STATUS_OF_CODE.get(error.code)
    if found is not None:
        return found
    match error:
        case Refused():
            return 400
        case Unavailable():
            return 503
        case _:
            return 500


def error_from_problem(problem: Problem) -> DrystoneError:
    """Returns what a problem told by the server is to the client: to be raised.

    The family follows from ``retryable`` and the status, so that codes which this client
    does not know yet land in the right one.
    """
    if problem.retryable:
        return RemoteUnavailable(problem)
    if problem.status == CORRUPT_STATUS or problem.status >= 500:
        return RemoteCorrupt(problem)
    return RemoteRefused(problem)


def _title(error: DrystoneError) -> str:
    match error:
        case Unavailable():
            return "Try again later"
        case Corrupt():
            return "Bytes do not match their name"
        case Refused():
            return "Refused"
        case _:
            return "The server cannot do this"
