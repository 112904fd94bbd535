# SPDX-License-Identifier: Apache-2.0
"""The four families of errors, told apart by who must act. Nothing else lives here.

Concrete classes live beside the code that raises them. Each has a stable ``code`` and a
message that says what happened, to what, and what to do now.
"""


class DrystoneError(Exception):
    """The root of every error that Drystone raises on purpose.

    Attributes:
        code: Stable identifier, the same on the wire, in logs, with ``--json`` and in
            docs/reference/errors.md.
        advice: What the reader should do now; empty where the message already says it.
        request_id: What the server's log calls the request that failed; empty if none did.
    """

    code: str = "error"
    retryable: bool = False
    request_id: str = ""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class Refused(DrystoneError):
    """The caller must act: bad input, no right, or a stale view of the tree."""

    code = "refused"


class Unavailable(DrystoneError):
    """Wait and try again: the trouble is expected to pass.

    Attributes:
        retry_after_s: Seconds to wait before the next try; 0 leaves it to the caller.
    """

    code = "unavailable"
    retryable = True

    def __init__(self, message: str, *, advice: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, advice=advice)
        self.retry_after_s = retry_after_s


class Corrupt(DrystoneError):
    """The operator must act: bytes do not match their name. Never retried blindly."""

    code = "corrupt"


class Misconfigured(DrystoneError):
    """The operator must act: a setting or the environment does not let us start."""

    code = "misconfigured"
