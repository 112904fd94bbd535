# SPDX-License-Identifier: Apache-2.0
"""Pull: what changed on the server becomes the remote tree, except what is not selected here."""

from drystone.client.steps.pull.pull import (
    CURSOR_KEY,
    SEEN_SEQ_KEY,
    LeadsNowhere,
    Pull,
    Pulled,
)
from drystone.client.steps.pull.selection import Selection, TooManyUnselected

__all__ = [
    "CURSOR_KEY",
    "SEEN_SEQ_KEY",
    "LeadsNowhere",
    "Pull",
    "Pulled",
    "Selection",
    "TooManyUnselected",
]
