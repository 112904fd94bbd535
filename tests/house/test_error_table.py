# SPDX-License-Identifier: Apache-2.0
"""The table of errors: its columns say what the program does."""

import importlib
import re

import pytest

from drystone.cli.exit_codes import ExitCode, exit_code_of
from drystone.core.errors import DrystoneError
from drystone.wire.messages import Problem
from drystone.wire.problem import CORRUPT_STATUS, error_from_problem, status_of
from tests.house.survey import DOCS, SOURCE, iter_classes, modules

# A row: | `code` | what | who | HTTP | exit |
ROW = re.compile(r"^\| `([a-z0-9-]+)` \|.*\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
PAGE = DOCS / "reference" / "errors.md"
ROWS = {code: (http, leaves) for code, http, leaves in ROW.findall(PAGE.read_text("utf-8"))}

# Who raises these tells their status and exit code itself.
OWN = {"command-failed", "halted"}


def error_classes() -> dict[str, type[DrystoneError]]:
    """Returns each class of error by its code."""
    found: dict[str, type[DrystoneError]] = {}
    for module in modules():
        names = [node.name for node in iter_classes(module)]
        if not re.search(r"^    code(: str)? = \"", module.path.read_text("utf-8"), re.MULTILINE):
            continue
        dotted = module.path.relative_to(SOURCE.parent).with_suffix("").parts
        loaded = importlib.import_module(".".join(dotted).removesuffix(".__init__"))
        for name in names:
            cls = getattr(loaded, name, None)
            if isinstance(cls, type) and issubclass(cls, DrystoneError) and "code" in vars(cls):
                found[cls.code] = cls
    return found


CLASSES = {code: cls for code, cls in error_classes().items() if code not in OWN}


@pytest.mark.parametrize("code", sorted(CLASSES))
def test_row_tells_status_and_exit_code(code: str) -> None:
    cls = CLASSES[code]
    error = cls.__new__(cls)
    DrystoneError.__init__(error, "happened")
    http, leaves = ROWS[code]
    exits = [int(number) for number in re.findall(r"\d+", leaves)]

    assert exits[0] == exit_code_of(error)
    statuses = [int(number) for number in re.findall(r"\d+", http)]
    if statuses:
        assert status_of(error) in statuses
        told = error_from_problem(
            Problem(
                type="urn:drystone:problem:" + code,
                title="",
                status=status_of(error),
                code=code,
                retryable=error.retryable,
            )
        )
        assert exits[-1] == exit_code_of(told)


def test_table_knows_what_is_what() -> None:
    assert ROWS["corrupt-block"] == (str(CORRUPT_STATUS), str(int(ExitCode.CORRUPT)))
    assert {"root-gone", "server-busy", "stale-base"} <= ROWS.keys()
