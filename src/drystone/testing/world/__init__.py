# SPDX-License-Identifier: Apache-2.0
"""Whole systems in a box: devices and a server under one seed and in virtual time.

    script = draw_script(seed)      who does what when, and what goes wrong
    verdict = run_script(script)    the same script, the same run, byte for byte

Everything between the ports is real: the client's loop, its planner and its database, the
server's service. Everything outside is made up and drawn from the seed: clocks, disks, watchers,
networks, threads and chance. Nothing waits and nothing runs beside anything else: what threads
and networks would do in any order is put in some order by the seed.

It does not promise to find what needs more entries, bytes or devices than a short script has,
nor what lies below the ports: adapters are tested on real disks and sockets.
"""
