# SPDX-License-Identifier: Apache-2.0
"""What keeps the metadata of SQL engines: walks over all of it, and copies of one instant.

``survey`` gives everything page by page; ``adopting`` takes over a tree without its history;
``copying`` copies a database that is in use.
"""

from drystone.server.storage.metadata_sql.keeping.copying import copy_sqlite
from drystone.server.storage.metadata_sql.keeping.survey import SqlSurvey

__all__ = ["SqlSurvey", "copy_sqlite"]
