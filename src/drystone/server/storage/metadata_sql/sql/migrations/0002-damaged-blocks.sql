-- SPDX-License-Identifier: Apache-2.0

-- Blocks that could not be read back from the place that the block index gives: as if nobody
-- held them, so that they are asked for and sent again. Written when one is found, and when it
-- is found whole or has come again. Empty on a sound disk: looking into it costs nothing.
CREATE TABLE damaged_block (
    block INTEGER NOT NULL PRIMARY KEY
);
