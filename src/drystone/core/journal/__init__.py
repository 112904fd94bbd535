# SPDX-License-Identifier: Apache-2.0
"""The journal: what a commit asks, how it is decided, what is recorded, how it folds.

``decide`` turns a commit and a view of the current tree into an outcome per change and the
records of those accepted. ``fold`` turns records into a tree. ``cursor`` says how far a
device has read. Seqs are handed out without gaps; a folder's move, deletion or restoration
is one record however much lies below it: whoever is below a deleted folder is not living.
"""
