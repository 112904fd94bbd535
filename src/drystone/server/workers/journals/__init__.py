# SPDX-License-Identifier: Apache-2.0
"""Journals beside the packs: what makes losing the database not the losing of the data.

``writing`` puts stretches of records, and now and then checkpoints of whole trees, into the object
store; ``people`` does the same with accounts; ``reading`` finds the one life of a journal among all
that lies there. docs/formats/journal-segment.md tells names and bytes.
"""
