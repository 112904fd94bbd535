# SPDX-License-Identifier: Apache-2.0
"""Unit: one unit of work, on a session that is in a transaction."""

from drystone.server.storage.metadata_sql.accounts import SqlAccounts, SqlBrakes
from drystone.server.storage.metadata_sql.arrivals import SqlArrivals
from drystone.server.storage.metadata_sql.blocks import SqlBlocks
from drystone.server.storage.metadata_sql.collecting import SqlHistory, SqlHolders, SqlPacks
from drystone.server.storage.metadata_sql.duties import SqlDuties, SqlProjections
from drystone.server.storage.metadata_sql.keeping import SqlSurvey
from drystone.server.storage.metadata_sql.numbers import Numbers
from drystone.server.storage.metadata_sql.session import Session
from drystone.server.storage.metadata_sql.shared import SqlShared
from drystone.server.storage.metadata_sql.trees import SqlTree


class SqlUnit:
    """Implements the port ``Unit``, and ``Surveyed``."""

    """Implements the port ``Unit``.

    Args:
        session: In a transaction.
        run: See ``SqlShared``.
    """

    def __init__(self, session: Session, run: str = "") -> None:
        numbers = Numbers(session)
        self.accounts = SqlAccounts(session)
        self.tree = SqlTree(session, numbers)
        self.blocks = SqlBlocks(session, numbers)
        self.brakes = SqlBrakes(session, numbers)
        self.history = SqlHistory(session, numbers)
        self.holders = SqlHolders(session, numbers)
        self.packs = SqlPacks(session)
        self.survey = SqlSurvey(session, numbers)
        self.duties = SqlDuties(session)
        self.projections = SqlProjections(session, numbers)
        self.shared = SqlShared(session, run)
        self.arrivals = SqlArrivals(session, numbers)
