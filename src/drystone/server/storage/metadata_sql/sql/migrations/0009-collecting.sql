-- SPDX-License-Identifier: Apache-2.0

-- How far back a namespace's history may have lost its content: what records up to kept_after have
-- replaced or deleted need not be readable any more. No row: all of it is. Written by collecting,
-- before it drops anything; read by commits that restore.
CREATE TABLE horizon (
    ns         INTEGER NOT NULL PRIMARY KEY,
    kept_after INTEGER NOT NULL
);

-- A row of namespace_block whose lease has ended and to which nothing in the namespace was found to
-- refer gets a negative leased_until_s: minus the second in which that was found out. Whoever asks
-- for the block or sends it again writes a positive one.

-- Blocks that no namespace was found to hold, and since when that is known. Written by collecting;
-- dropped by whoever holds such a block again, in the same transaction, and with the block itself.
-- Mostly empty: looking into it costs nothing.
CREATE TABLE unheld_block (
    block   INTEGER NOT NULL PRIMARY KEY,
    since_s INTEGER NOT NULL
);

-- Those noted long enough ago.
CREATE INDEX unheld_by_since ON unheld_block (since_s, block);

-- Packs that were taken out of the index. state 0: the object lies where it always did, and the
-- pack can come back; 1: it is being removed; 2: it is gone, and the row stays until nobody can be
-- in the middle of putting the same bytes again. why is a number of server.ports.collecting.
CREATE TABLE retired_pack (
    pack_id      BLOB    NOT NULL PRIMARY KEY,
    length_bytes INTEGER NOT NULL,
    why          INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    since_s      INTEGER NOT NULL
) WITHOUT ROWID;

-- When all blocks of a pack were read and compared with their names last; 0: never yet.
ALTER TABLE pack ADD COLUMN verified_s INTEGER NOT NULL DEFAULT 0;

-- Scrubbing: the pack that was not looked at for the longest time.
CREATE INDEX pack_by_check ON pack (verified_s, pack);

-- What lies in a pack: how much of it is in use, and what to read when it is verified.
CREATE INDEX block_by_pack ON block (pack, offset_bytes);
