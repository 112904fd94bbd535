# SPDX-License-Identifier: Apache-2.0
"""Logs: structured lines on standard error, from this program and from its libraries.

What is logged is chosen where it is logged: ids, codes and counts; never a token, a password, a
query string, or (above debug) a path of a user.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog
from structlog.typing import Processor

from drystone.server.bootstrap.watching.hiding import find_secrets, make_hider
from drystone.server.settings import ServerSettings


def configure_logs(settings: ServerSettings) -> None:
    """Sends all log lines to standard error in the chosen format, from the chosen level on."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    as_text = settings.log_format == "text" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        make_hider(find_secrets(vars(settings).values())),
    ]
    last: list[Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                # Its prettier ones show local variables: passwords and tokens among them.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
        if as_text
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(_Patient(sys.stderr)),  # type: ignore[arg-type]
        # A few microseconds for each line; a cached logger would stay as it is for good.
        cache_logger_on_first_use=False,
    )
    # Libraries speak through logging: uvicorn tells of each start and stop, which we tell
    # ourselves, so only its trouble is of interest.
    handler = logging.StreamHandler(_Patient(sys.stderr))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.addFilter(_is_worth_telling)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Inside it, only warnings are logged, to standard error: for commands, whose answer tells the
    rest. Where logs are configured already they stay as they are.
    """
    if structlog.is_configured():
        yield
        return
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


class _Patient:
    """A stream whose reader may go away: what nobody hears must not keep a server from stopping."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes if it can."""
        with self._trying():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hands on what was written, if it can."""
        with self._trying():
            self._stream.flush()

    @contextmanager
    def _trying(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # What is left in its buffer would fail once more when Python flushes it at exit.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except OSError:
            pass  # A full disk, say: it may have room again.


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Leaves out what uvicorn says of every bell that is refused: it takes the refusal, which it
    sent itself, for a missing answer.
    """
    return "returned without completing handshake" not in record.getMessage()
