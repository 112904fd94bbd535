# SPDX-License-Identifier: Apache-2.0
"""Pull: what changed on the server becomes the remote tree.

    page = await pull.read(pull.find_cursor())   # State, then server
    pulled = pull.note(page)                     # State
    while folder := pull.find_unlisted():        # State
        entries, after = await pull.list_below(folder)   # server
        pull.note_listed(folder, entries, after)         # State

The cursor is noted with what was read up to it, so both survive together or not at all. A
folder that lives again, or comes from outside, is listed; until then it is on a list of its
own, which survives too. When the cursor cannot be gone on from, everything is read anew, and
``reread`` compares it with what was agreed on.
"""

from drystone.client.steps.pull.pull import LeadsNowhere, Pull, Pulled

__all__ = ["LeadsNowhere", "Pull", "Pulled"]
