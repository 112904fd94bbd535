-- SPDX-License-Identifier: Apache-2.0

-- Secrets that all workers on one database have to know, by name: the key that signs cursors. Used
-- where the data directory is not shared. Written once, by whoever starts first.
CREATE TABLE secret (
    name   TEXT NOT NULL PRIMARY KEY,
    secret BLOB NOT NULL
) WITHOUT ROWID;

-- How often something has changed that workers remember. One row, 'accounts', counted up by each
-- work that may end a token, and read for each request where workers are on several machines.
CREATE TABLE stamp (
    name  TEXT    NOT NULL PRIMARY KEY,
    moves INTEGER NOT NULL
) WITHOUT ROWID;

-- The era in which all workers write to all journals. One row. It counts only while the database is
-- the one of that run: a database that was put back, moved, or started anew has another, and whoever
-- writes to a journal then begins an era. Written by that one; read with each commit.
CREATE TABLE running_era (
    name   TEXT NOT NULL PRIMARY KEY,
    era_id BLOB NOT NULL,
    run    TEXT NOT NULL
) WITHOUT ROWID;
