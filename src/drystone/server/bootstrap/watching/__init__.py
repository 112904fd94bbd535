# SPDX-License-Identifier: Apache-2.0
"""How a server is seen from outside: its log, its metrics, its traces, and whether it is ready.

``Watch`` puts what measures around engines and services, if anybody is to read it; ``metrics``
and ``peers`` answer scrapes, for all processes of a server; ``checking`` finds out whether the
parts that it stands on are well; ``logs`` writes lines from which ``hiding`` cuts out secrets.
Nothing here is needed for a server to do its work.
"""

from drystone.server.bootstrap.watching.checking import make_checks
from drystone.server.bootstrap.watching.logs import configure_logs
from drystone.server.bootstrap.watching.watch import Watch

__all__ = ["Watch", "configure_logs", "make_checks"]
