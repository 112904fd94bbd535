# SPDX-License-Identifier: Apache-2.0
"""The steps: each does one thing through ports, and knows no other step.

``scan`` compares the disk with what is known; ``digest`` reads what it found new or changed;
``pull`` brings the server's changes; ``upload`` and ``submit`` send; ``fetch`` gets blocks and
``materialize`` puts them in place; ``verify`` looks again at what a power loss may have hurt.
Their order is ``loop``'s affair alone.

Methods that use ``State`` are called by one thread at a time. Methods that say "disk only"
may run beside them in other threads.
"""
