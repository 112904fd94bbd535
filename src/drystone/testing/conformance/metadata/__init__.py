# SPDX-License-Identifier: Apache-2.0
"""What every engine of the port ``Metadata`` must do, one suite per side of it.

Subclass each suite in a test module and give it a fixture ``metadata`` that yields an empty
engine. That two engines give the same trees for whatever is committed is tried by
``tests/property/test_metadata_engines.py``.
"""

from drystone.testing.conformance.metadata.accounts import AccountsSuite
from drystone.testing.conformance.metadata.arrivals import ArrivalsSuite
from drystone.testing.conformance.metadata.blocks import BlocksSuite
from drystone.testing.conformance.metadata.brakes import BrakesSuite
from drystone.testing.conformance.metadata.collecting import (
    HistorySuite,
    HoldersSuite,
    PacksSuite,
)
from drystone.testing.conformance.metadata.duties import DutiesSuite
from drystone.testing.conformance.metadata.journal import JournalSuite
from drystone.testing.conformance.metadata.projections import ProjectionsSuite
from drystone.testing.conformance.metadata.shared import SharedSuite
from drystone.testing.conformance.metadata.survey import SurveySuite
from drystone.testing.conformance.metadata.transactions import TransactionsSuite
from drystone.testing.conformance.metadata.trees import TreeSuite

__all__ = [
    "AccountsSuite",
    "ArrivalsSuite",
    "BlocksSuite",
    "BrakesSuite",
    "DutiesSuite",
    "HistorySuite",
    "HoldersSuite",
    "JournalSuite",
    "PacksSuite",
    "ProjectionsSuite",
    "SharedSuite",
    "SurveySuite",
    "TransactionsSuite",
    "TreeSuite",
]
