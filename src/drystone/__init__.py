# SPDX-License-Identifier: Apache-2.0
"""Drystone: file sync from a server you own, made so that no edit is ever lost.

The data's way: a watcher hints that something moved; the scan looks and says what is on the disk
now; each new file is cut into blocks and named by what is in it. A pure planner compares three
trees (what is here, what was last agreed, what the server has) and writes down steps. Blocks the
server lacks are sent, then one commit names them; the server decides it against the journal of the
namespace, appends the records, and rings a bell. Other devices pull those records from their
cursor, fold them into their picture of the server, and the same planner tells them what to fetch
and swap in. The rooms are ``core`` (what is true), ``wire`` (what is said), ``server`` (what is
kept), ``client`` (what is mirrored), ``cli`` (what is asked) and ``testing`` (what is feigned).
"""

__version__ = "0.1.0"
