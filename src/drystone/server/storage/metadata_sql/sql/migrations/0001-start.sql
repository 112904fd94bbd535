-- SPDX-License-Identifier: Apache-2.0
--
-- Ids are raw bytes: 16 of accounts, devices, namespaces and files, 32 of blocks and packs.
-- Times in *_ns are UTC nanoseconds since 1970, in *_s seconds. Inside the engine a namespace
-- is a small number, ns; every table leads with it unless it is about accounts or blocks.

-- One row per migration carried out; the highest number is the version of the database. Written
-- by the migration itself, read at every start.
CREATE TABLE schema_version (
    number INTEGER NOT NULL PRIMARY KEY,
    name   TEXT    NOT NULL
);

-- One row per account, written when it is made and when its name, password or state changes.
-- folded is the name under case folding: what signing in looks up by, and what is unique.
CREATE TABLE account (
    account_id        BLOB    NOT NULL PRIMARY KEY,
    name              TEXT    NOT NULL,
    folded            TEXT    NOT NULL UNIQUE,
    password_hash     TEXT    NOT NULL,
    root_namespace_id BLOB    NOT NULL,
    created_ns        INTEGER NOT NULL,
    disabled          INTEGER NOT NULL
) WITHOUT ROWID;

-- One row per installation of the client that ever signed in; revoked_ns is 0 while it may
-- come. Every request finds its device by the SHA-256 of its token.
CREATE TABLE device (
    device_id  BLOB    NOT NULL PRIMARY KEY,
    account_id BLOB    NOT NULL REFERENCES account (account_id),
    name       TEXT    NOT NULL,
    token_hash BLOB    NOT NULL UNIQUE,
    created_ns INTEGER NOT NULL,
    seen_ns    INTEGER NOT NULL,
    revoked_ns INTEGER NOT NULL
) WITHOUT ROWID;

-- An account's devices, oldest first.
CREATE INDEX device_by_account ON device (account_id, created_ns);

-- One row per namespace: its number, its owner, and the last seq of its journal. A commit
-- reads head and moves it in one transaction, so seqs have no gaps and are never given twice.
CREATE TABLE namespace (
    ns           INTEGER NOT NULL PRIMARY KEY,
    namespace_id BLOB    NOT NULL UNIQUE,
    account_id   BLOB    NOT NULL REFERENCES account (account_id),
    head         INTEGER NOT NULL DEFAULT 0
);

-- Who wrote records: an account and a device under one number, so that a record does not
-- repeat 32 bytes that thousands of its neighbours have as well. Written by append.
CREATE TABLE author (
    author     INTEGER NOT NULL PRIMARY KEY,
    account_id BLOB    NOT NULL,
    device_id  BLOB    NOT NULL,
    UNIQUE (account_id, device_id)
);

-- The journal: one row per change of an entry, with the entry's whole state after it. Only
-- appended, never changed. previous is the seq of the record of the same entry before it (0:
-- none), so that a history is a chain that needs no index. content_hash is NULL where it
-- follows from root (one block, or empty); size_bytes and root are NULL where there is no
-- content. action and kind are the numbers of core.journal.record and core.tree.entry.
CREATE TABLE record (
    ns           INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    action       INTEGER NOT NULL,
    file_id      BLOB    NOT NULL,
    previous     INTEGER NOT NULL,
    parent_id    BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    kind         INTEGER NOT NULL,
    size_bytes   INTEGER,
    root         BLOB,
    chunked      INTEGER NOT NULL,
    content_hash BLOB,
    mode         INTEGER NOT NULL,
    mtime_ns     INTEGER NOT NULL,
    target       TEXT    NOT NULL,
    rev          INTEGER NOT NULL,
    author       INTEGER NOT NULL,
    at_ns        INTEGER NOT NULL,
    PRIMARY KEY (ns, seq)
) WITHOUT ROWID;

-- The current tree: one thin row per entry that exists or existed; what else there is to know
-- stands in the record of seq. Brought up to date by append, with the journal, in the same
-- transaction. deleted is about the entry itself: what is in a deleted folder is not marked,
-- so a folder's move, deletion or restoration is one row whatever lies below it. folded is
-- the name under case folding, for faces that do not tell case.
CREATE TABLE entry (
    ns        INTEGER NOT NULL,
    file_id   BLOB    NOT NULL,
    parent_id BLOB    NOT NULL,
    name      TEXT    NOT NULL,
    folded    TEXT    NOT NULL,
    kind      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    rev       INTEGER NOT NULL,
    deleted   INTEGER NOT NULL,
    PRIMARY KEY (ns, file_id)
) WITHOUT ROWID;

-- Who stands where; no two undeleted entries share a place. For lookups by folder and name,
-- and for a folder's children in the order of their names (bytes of UTF-8: code points).
CREATE UNIQUE INDEX entry_by_place ON entry (ns, parent_id, name) WHERE deleted = 0;

-- The folders of a folder, by name: walks over trees skip the files, which are many more.
CREATE INDEX entry_folders ON entry (ns, parent_id, name) WHERE deleted = 0 AND kind = 2;

-- Each entry under its last seq: a page of changes costs a page, however long the history.
CREATE UNIQUE INDEX entry_by_seq ON entry (ns, seq);

-- The deleted ones under their last seq: the trash, newest first.
CREATE INDEX entry_deleted ON entry (ns, seq) WHERE deleted = 1;

-- Manifests that were checked once in a namespace: they cover their size, and their blocks
-- were held. A second commit of the same content need not read them again.
CREATE TABLE manifest (
    ns           INTEGER NOT NULL,
    manifest_id  BLOB    NOT NULL,
    size_bytes   INTEGER NOT NULL,
    content_hash BLOB    NOT NULL,
    chunks_count INTEGER NOT NULL,
    PRIMARY KEY (ns, manifest_id)
) WITHOUT ROWID;

-- The answers to commits, under the keys that devices chose for them, until a device that did
-- not hear the answer has surely asked again.
CREATE TABLE idempotency (
    ns        INTEGER NOT NULL,
    device_id BLOB    NOT NULL,
    key       TEXT    NOT NULL,
    answer    BLOB    NOT NULL,
    until_ns  INTEGER NOT NULL,
    PRIMARY KEY (ns, device_id, key)
);

-- The answers whose time has passed; each new one drops them.
CREATE INDEX idempotency_by_end ON idempotency (until_ns);

-- One row per durable pack. Written once it is in the object store, before any block of it.
CREATE TABLE pack (
    pack         INTEGER NOT NULL PRIMARY KEY,
    pack_id      BLOB    NOT NULL UNIQUE,
    length_bytes INTEGER NOT NULL
);

-- The block index: where each block lies. The first place of a block stays. Ids are hashes, so
-- each new one lands on another page of their index; that is why a block has a number too, and
-- why that index is the only one on hashes: whatever else is about blocks goes by number, where
-- those that came together lie together.
CREATE TABLE block (
    block        INTEGER NOT NULL PRIMARY KEY,
    block_id     BLOB    NOT NULL UNIQUE,
    pack         INTEGER NOT NULL REFERENCES pack (pack),
    offset_bytes INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    plain_bytes  INTEGER NOT NULL,
    codec        INTEGER NOT NULL
);

-- Which namespace holds which block, so that it need not be sent again and may be read. Until
-- leased_until_s the block is kept even if no record refers to it.
CREATE TABLE namespace_block (
    ns             INTEGER NOT NULL,
    block          INTEGER NOT NULL,
    leased_until_s INTEGER NOT NULL,
    PRIMARY KEY (ns, block)
) WITHOUT ROWID;
