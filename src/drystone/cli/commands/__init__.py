# SPDX-License-Identifier: Apache-2.0
"""The commands, one file per group; ``cli/app.py`` lists them in the order of ``--help``.

A command parses, makes one call at a door (``client.bootstrap``, ``client.control``,
``server.bootstrap``), and gives the answer to ``Output``. Doors are imported when a command
runs, so that ``--help`` and short commands do not pay for what they do not use.
"""
