# SPDX-License-Identifier: Apache-2.0
"""What is mirrored: the sync client.

The client keeps three trees: local (what the last scan saw), synced (what both sides last
agreed on) and remote (what the journal says). ``core.planning`` makes a plan from them;
``loop`` is the only file that knows the order of the steps; each step does one thing
through a port. What is stored is observations, never a list of work.
"""
