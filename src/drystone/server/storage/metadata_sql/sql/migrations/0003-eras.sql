-- SPDX-License-Identifier: Apache-2.0

-- One row per run of the server that wrote to a journal: its id, by chance, and the seq of the
-- first record that it wrote. A journal that was put back to an earlier state goes on in another
-- era, and so is told from the one that devices have read. Records before the first row were
-- written by versions that had no eras. Written with the first commit of a run.
CREATE TABLE era (
    ns        INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    era_id    BLOB    NOT NULL,
    PRIMARY KEY (ns, first_seq)
) WITHOUT ROWID;
