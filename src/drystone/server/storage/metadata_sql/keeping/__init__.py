# SPDX-License-Identifier: Apache-2.0
"""What keeps the metadata of SQL engines: walks over all of it.

``survey`` gives everything page by page.
"""

from drystone.server.storage.metadata_sql.keeping.survey import SqlSurvey

__all__ = ["SqlSurvey"]
