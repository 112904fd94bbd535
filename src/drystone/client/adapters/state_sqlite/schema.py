# SPDX-License-Identifier: Apache-2.0
"""The tables of state.db and their version.

Source: docs/formats/state.md.
"""

from typing import Final

VERSION: Final = 1
"""Kept in ``PRAGMA user_version``; a larger one was written by a newer program."""

TABLES: Final = """
-- Synced: one row per entry on which both sides agreed, written by settle. The stat columns
-- are its fingerprint on this disk at that moment; batch tells which flush makes it durable.
CREATE TABLE synced (
  file_id BLOB PRIMARY KEY,
  parent_id BLOB NOT NULL,
  name TEXT NOT NULL,
  kind INTEGER NOT NULL,
  size_bytes INTEGER,
  root BLOB,
  chunked INTEGER,
  content_hash BLOB,
  mode INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  target TEXT NOT NULL,
  rev INTEGER NOT NULL,
  stat_size_bytes INTEGER NOT NULL,
  stat_mtime_ns INTEGER NOT NULL,
  stat_ctime_ns INTEGER NOT NULL,
  stat_ino INTEGER NOT NULL,
  stat_dev INTEGER NOT NULL,
  stat_mode INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  batch INTEGER NOT NULL
) WITHOUT ROWID;

-- A folder's entries (scan, plan), and one name in it (a path that a hint or a user gives).
CREATE INDEX synced_by_place ON synced (parent_id, name);

-- A new name whose inode is known may be a move (scan).
CREATE INDEX synced_by_inode ON synced (stat_ino, stat_dev);

-- Which manifests are still referred to (collect_manifests). An index over all roots would
-- cost a third of a first sync's writing here; see SyncedTable.find_by_roots instead.
CREATE INDEX synced_manifests ON synced (root) WHERE chunked = 1;

-- Remote overlay: what the server said, up to the cursor, and is not settled yet. Written by
-- save, read once at start.
CREATE TABLE remote (
  file_id BLOB PRIMARY KEY,
  parent_id BLOB NOT NULL,
  name TEXT NOT NULL,
  kind INTEGER NOT NULL,
  size_bytes INTEGER,
  root BLOB,
  chunked INTEGER,
  content_hash BLOB,
  mode INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  target TEXT NOT NULL,
  rev INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  action INTEGER NOT NULL
) WITHOUT ROWID;

-- Encodings of the manifests that entries of synced or remote, or a digest, refer to.
CREATE TABLE manifest (
  manifest_id BLOB PRIMARY KEY,
  encoded BLOB NOT NULL
);

-- What a large file with this fingerprint holds: read again neither after a crash nor when
-- its upload is resumed. The oldest go when there are too many.
CREATE TABLE digest (
  number INTEGER PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  ctime_ns INTEGER NOT NULL,
  ino INTEGER NOT NULL,
  dev INTEGER NOT NULL,
  root BLOB NOT NULL,
  chunked INTEGER NOT NULL,
  content_hash BLOB NOT NULL,
  UNIQUE (ino, dev, size_bytes, mtime_ns, ctime_ns)
);

-- Trouble with single paths, until the path is fine again.
CREATE TABLE problem (
  path TEXT PRIMARY KEY,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  advice TEXT NOT NULL,
  since_ns INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  next_try_ns INTEGER NOT NULL
);

-- What else must survive: cursor, seen_seq, boot_id, batch, flushed_batch, review, rewrites.
CREATE TABLE setting (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
"""
