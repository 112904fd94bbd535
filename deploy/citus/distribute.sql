-- SPDX-License-Identifier: Apache-2.0
--
-- Spreads the tables of a Drystone database over the nodes of a Citus cluster (11 or newer), by
-- namespace. Run it once as the owner of the tables, after the server has made them and before
-- accounts are added: psql -v ON_ERROR_STOP=1 -f distribute.sql "postgresql://…". After an upgrade
-- that adds tables, run the lines of those. See docs/operations/sharding.md.

BEGIN;

-- On every node, whole: who there is, what namespaces are called, and where blocks lie.
SELECT create_reference_table('schema_version');
SELECT create_reference_table('account');
SELECT create_reference_table('device');
SELECT create_reference_table('namespace');
SELECT create_reference_table('author');
SELECT create_reference_table('pack');
SELECT create_reference_table('block');
SELECT create_reference_table('damaged_block');
SELECT create_reference_table('unheld_block');
SELECT create_reference_table('retired_pack');
SELECT create_reference_table('secret');
SELECT create_reference_table('stamp');
SELECT create_reference_table('running_era');
SELECT create_reference_table('duty');
SELECT create_reference_table('projector');

-- By namespace: all rows of one are on one node, in one transaction of its own.
SELECT create_distributed_table('journal', 'ns');
SELECT create_distributed_table('record', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('entry', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('era', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('manifest', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('idempotency', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('namespace_block', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('burst', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('brake', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('arrival', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('arrival_block', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('horizon', 'ns', colocate_with => 'journal');
SELECT create_distributed_table('projection', 'ns', colocate_with => 'journal');

-- On the coordinator, as they are: one row each, and what one of them says depends on the server on
-- which it is asked.
-- stays: secret
-- stays: stamp
-- stays: running_era

COMMIT;
