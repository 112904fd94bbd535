# SPDX-License-Identifier: Apache-2.0
"""Libraries that only some engines need, and how to say that one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from drystone.core.errors import Misconfigured


class LibraryMissing(Misconfigured):
    """An engine is asked for whose library is not installed."""

    code = "library-missing"


@contextmanager
def library(what: str, extra: str) -> Iterator[None]:
    """Tells how to install a library that is not there."""
    try:
        yield
    except ImportError as error:
        raise LibraryMissing(
            f"the library for {what} is not installed",
            advice=f"Install it with `pip install 'drystone[{extra}]'`.",
        ) from error
