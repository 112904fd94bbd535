-- SPDX-License-Identifier: Apache-2.0

-- Packs that devices put into the object store themselves, until they are verified. Written before
-- a device is told where to put one, so that no object is there of which nothing is known. state
-- and due_s are those of ports.arrivals; heads are the headers of the pack's frames as its device
-- told them. The few that are under way: a row goes when its pack has joined the common ones.
CREATE TABLE arrival (
    ns           INTEGER NOT NULL,
    arrival_id   BLOB    NOT NULL,
    device_id    BLOB    NOT NULL,
    pack_id      BLOB    NOT NULL,
    length_bytes INTEGER NOT NULL,
    heads        BLOB    NOT NULL,
    state        INTEGER NOT NULL,
    due_s        INTEGER NOT NULL,
    upload       TEXT    NOT NULL,
    PRIMARY KEY (ns, arrival_id)
) WITHOUT ROWID;

-- A device that asks again for the same pack is told the same place.
CREATE INDEX arrival_by_pack ON arrival (ns, pack_id, state);

-- What is to be verified, given up or removed next, over all namespaces: background work only.
CREATE INDEX arrival_by_due ON arrival (state, due_s);

-- Where blocks lie in arrivals: claims of a device that count in its own namespace alone, and are
-- no part of the block index. Written when the pack was found to be there, dropped with its arrival.
CREATE TABLE arrival_block (
    ns           INTEGER NOT NULL,
    block_id     BLOB    NOT NULL,
    arrival_id   BLOB    NOT NULL,
    offset_bytes INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    plain_bytes  INTEGER NOT NULL,
    codec        INTEGER NOT NULL,
    damaged      INTEGER NOT NULL,
    PRIMARY KEY (ns, block_id, arrival_id)
) WITHOUT ROWID;

-- The blocks of one arrival, to drop them.
CREATE INDEX arrival_block_by_arrival ON arrival_block (ns, arrival_id);
