# SPDX-License-Identifier: Apache-2.0
"""The verbs: what may be asked of the server, without a word of HTTP, SQL or files.

Each module is one family: accounts and devices (who asks), blocks, commits, changes, history
and namespaces (what is asked). A verb takes an ``Actor``, passes the ``gate``, reads or writes
in one unit of work through the ``writer``, and returns plain values. Decisions are pure
functions of core; only ``commits`` changes trees. What is expected to go wrong is raised as one
of the families of ``core.errors``; whoever may not see something is told that it does not exist.
"""
