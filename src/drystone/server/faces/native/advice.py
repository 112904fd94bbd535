# SPDX-License-Identifier: Apache-2.0
"""Advice: when a device is to come again, spread so that not all come at once after a restart."""

import random
from typing import Final

LEAST_S: Final = 2.5
"""A server that is being restarted is usually back by then."""
SPREAD_S_MIN: Final = 5.0
SPREAD_S_MAX: Final = 120.0

BELLS_PER_S: Final = 200
"""So many devices come back in a second: half of what one core greets, with TLS."""

_REQUEST_S: Final = (1.0, 3.0)
"""For requests, of which there are as many as were under way."""


def advise_s(bells_count: int) -> float:
    """Returns after how many seconds to open a bell again, if so many are told to at once."""
    spread_s = min(max(bells_count / BELLS_PER_S, SPREAD_S_MIN), SPREAD_S_MAX)
    return round(LEAST_S + random.uniform(0, spread_s), 2)


def advise_request_s() -> float:
    """Returns after how many seconds to repeat a request that a stopping server did not begin."""
    return round(random.uniform(*_REQUEST_S), 2)
