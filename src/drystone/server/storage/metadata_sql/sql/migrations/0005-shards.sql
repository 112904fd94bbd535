-- SPDX-License-Identifier: Apache-2.0

-- Where each journal ends, apart from what namespaces are called: one row per namespace, locked
-- by every work that writes to it and moved by every commit. The table namespace is then read by
-- all and written only when an account is made, as one that is copied to every shard has to be.
CREATE TABLE journal (
    ns   INTEGER NOT NULL,
    head INTEGER NOT NULL,
    PRIMARY KEY (ns)
) WITHOUT ROWID;

INSERT INTO journal (ns, head) SELECT ns, head FROM namespace;

ALTER TABLE namespace DROP COLUMN head;

DROP INDEX idempotency_by_end;

-- The answers of a namespace whose time has passed; each new one of its own drops them.
CREATE INDEX idempotency_by_end ON idempotency (ns, until_ns);
