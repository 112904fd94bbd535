# SPDX-License-Identifier: Apache-2.0
"""All operations of the native protocol: the table that routes and documents are made from."""

from typing import Final

from drystone.server.faces.native import (
    accounts,
    blocks,
    brakes,
    changes,
    commits,
    entries,
    health,
    openapi,
)
from drystone.server.faces.native.call import Operation

DESCRIBED: Final[tuple[Operation, ...]] = (
    *accounts.OPERATIONS,
    *blocks.OPERATIONS,
    *commits.OPERATIONS,
    *brakes.OPERATIONS,
    *changes.OPERATIONS,
    *entries.OPERATIONS,
    *health.OPERATIONS,
)

OPERATIONS: Final[tuple[Operation, ...]] = (*DESCRIBED, openapi.serve(DESCRIBED))
