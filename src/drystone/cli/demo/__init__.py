# SPDX-License-Identifier: Apache-2.0
"""The demo: a real server and two real devices on loopback, shown at work in about a minute.

``world`` starts and ends the processes, ``relay`` stands between them and the network and counts
what passes, ``trees`` makes, edits and compares folders, ``story`` is what happens, and ``table``
what is told at the end. The benchmarks use the same world with other stories.
"""
