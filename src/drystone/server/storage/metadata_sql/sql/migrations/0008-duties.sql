-- SPDX-License-Identifier: Apache-2.0

-- One row per duty that a worker has taken: who, until when by the taker's clock, and how long it
-- was to last, by which a lease is told that was taken when a clock was ahead. Written when a duty
-- is taken, renewed and released. About workers, and so of no namespace.
CREATE TABLE duty (
    name     TEXT    NOT NULL PRIMARY KEY,
    holder   TEXT    NOT NULL,
    until_ns INTEGER NOT NULL,
    lasts_ns INTEGER NOT NULL
) WITHOUT ROWID;

-- The projectors that there are: a handful. Each append to a journal reads them.
CREATE TABLE projector (
    name TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- How far a projector has carried a journal (seq), and where that ends (head, as in journal).
-- head moves with each append, in its transaction; seq once the projector's target has all up to
-- there.
CREATE TABLE projection (
    ns        INTEGER NOT NULL,
    projector TEXT    NOT NULL,
    seq       INTEGER NOT NULL,
    head      INTEGER NOT NULL,
    PRIMARY KEY (ns, projector)
) WITHOUT ROWID;

-- Where a projector is behind: nothing else is in here, so that looking costs nothing while
-- nothing is to be done, however many namespaces there are.
CREATE INDEX projection_behind ON projection (projector, ns) WHERE seq < head;
