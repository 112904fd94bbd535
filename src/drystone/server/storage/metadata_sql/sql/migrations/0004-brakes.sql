-- SPDX-License-Identifier: Apache-2.0

-- How many entries a device has destroyed of late (deleted, or overwritten with what does not
-- compress), by minute since 1970. Written with each commit that does so, and dropped by later ones
-- when the time has passed: a few rows per device, so that a burst is known in every process.
CREATE TABLE burst (
    ns          INTEGER NOT NULL,
    device_id   BLOB    NOT NULL,
    minute      INTEGER NOT NULL,
    deleted     INTEGER NOT NULL,
    overwritten INTEGER NOT NULL,
    PRIMARY KEY (ns, device_id, minute)
) WITHOUT ROWID;

-- The brake of a device: when a commit of it was held last and how many entries that one would
-- have destroyed (0: none is held), and what a human has allowed it since. One row per device that
-- was ever held.
CREATE TABLE brake (
    ns               INTEGER NOT NULL,
    device_id        BLOB    NOT NULL,
    held_ns          INTEGER NOT NULL,
    held_count       INTEGER NOT NULL,
    allowed_count    INTEGER NOT NULL,
    allowed_until_ns INTEGER NOT NULL,
    PRIMARY KEY (ns, device_id)
) WITHOUT ROWID;
