# SPDX-License-Identifier: Apache-2.0
"""The client's engines: each implements a port, and none knows another.

``disk`` and ``watch`` meet the operating system, ``remote_http`` the server, ``state_sqlite``
the database. ``credentials`` and ``roots`` keep what this device knows of servers and folders.
Errors of the outside are translated here, once; nothing above ever sees an ``OSError``, a
``sqlite3.Error`` or an exception of the HTTP library.
"""
