# SPDX-License-Identifier: Apache-2.0
"""Trees: entries keyed by file id, found by folder and name.

``Entry`` is the value; ``TreeView`` is what the planner and the folds read a tree through,
so that the same code runs on a dict in a test and on a database of millions of rows.
Nothing here knows about disks, servers or journals.
"""
