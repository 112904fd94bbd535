# SPDX-License-Identifier: Apache-2.0
"""Exit codes: what a script may rely on. docs/reference/cli.md holds the same table."""

from enum import IntEnum

from drystone.core.errors import Corrupt, DrystoneError, Misconfigured, Refused, Unavailable
from drystone.core.planning.guards import BURST_HELD, HALT_CODES


class ExitCode(IntEnum):
    """How a command ended. Numbers are never given a new meaning."""

    OK = 0
    """Done, completely."""
    UNEXPECTED = 1
    """A defect of Drystone itself; the details are where the message says."""
    USAGE = 2
    """The command line could not be understood; nothing was done."""
    REFUSED = 3
    """The request cannot be granted as it is: no such path, wrong password, no right."""
    UNAVAILABLE = 4
    """The server or the disk cannot serve now; the same command may succeed later."""
    CORRUPT = 5
    """Bytes do not match their name; an operator should look."""
    MISCONFIGURED = 6
    """A setting or the environment does not let it start."""
    PROBLEMS = 7
    """Done, except for some paths, which are listed."""
    HALTED = 8
    """A guard stopped the sync and waits for permission."""
    NOT_RUNNING = 9
    """There is no daemon to answer."""
    DIFFERENT = 10
    """A check found that two sides differ which should be the same."""
    NOT_YET = 11
    """It is not done yet, and goes on by itself."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGINT; what was finished stays finished."""
    READER_LEFT = 141
    """Whoever read the output stopped reading, as `| head` does."""


_FAMILIES: tuple[tuple[type[DrystoneError], ExitCode], ...] = (
    (Refused, ExitCode.REFUSED),
    (Unavailable, ExitCode.UNAVAILABLE),
    (Corrupt, ExitCode.CORRUPT),
    (Misconfigured, ExitCode.MISCONFIGURED),
)


_HALTS = (*HALT_CODES, BURST_HELD, "root-gone")
_BY_CODE = {
    **dict.fromkeys(_HALTS, ExitCode.HALTED),
    "daemon-not-running": ExitCode.NOT_RUNNING,
}
"""Errors for which a script wants to know more than their family."""


def exit_code_of(error: BaseException) -> ExitCode:
    """Returns the exit code that tells a script which family an error belongs to."""
    if isinstance(error, CommandFailed):
        return error.exit_code
    if isinstance(error, DrystoneError) and error.code in _BY_CODE:
        return _BY_CODE[error.code]
    for family, code in _FAMILIES:
        if isinstance(error, family):
            return code
    return ExitCode.UNEXPECTED


def exit_code_of_stop(code: str, *, is_passing: bool) -> ExitCode:
    """Returns the exit code for what keeps a folder from going on, as the daemon tells it."""
    return _BY_CODE.get(code, ExitCode.UNAVAILABLE if is_passing else ExitCode.REFUSED)


class CommandFailed(DrystoneError):
    """A command reached its end but not its aim, and says so with a code of its own.

    ``code`` is that of the trouble somebody else met (the daemon, say), where there is one.
    """

    code = "command-failed"

    def __init__(
        self, message: str, exit_code: ExitCode, *, advice: str = "", code: str = ""
    ) -> None:
        super().__init__(message, advice=advice)
        self.exit_code = exit_code
        self.code = code or self.code
