# SPDX-License-Identifier: Apache-2.0
"""Collecting: what nothing refers to and no lease protects goes, step by step, each undoable.

    per namespace: mark what its records refer to     history, trees, and manifests' chunks
                   let go of what is not marked       its lease has ended
                   drop what was let go of long ago   unless somebody asked for it since
    note blocks that nobody holds, drop those noted before, after looking at all holders once more
    packs in which no block lies any more             retired: out of the index, object stays
    packs of which little is in use                   that is moved to a new pack; retired
    objects that the index does not know              retired
    what was retired long enough ago                  its object is removed

Everything is done in small units of work, and each decides for itself, in its own transaction,
whether what was found out before still holds. So a run may be killed at any moment and another one
may go on at the same time; commits and uploads wait for no more than one unit.

A namespace of which a manifest cannot be read is left as it is: nothing of it is let go of.
"""

from drystone.server.workers.collecting.collector import Collector
from drystone.server.workers.collecting.restoring import Quarantine, Restored
from drystone.server.workers.collecting.rules import CollectRules
from drystone.server.workers.collecting.survey import Survey
from drystone.server.workers.collecting.tally import Tally

__all__ = ["CollectRules", "Collector", "Quarantine", "Restored", "Survey", "Tally"]
