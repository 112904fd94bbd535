# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: the whole of Drystone against a directory, with rsync beside it in the same run.

``python -m benchmarks DIR`` starts a real server and two real devices on loopback, does what
people do to a folder, step by step, waits for each step to stand on the other device, verifies
that both trees are identical, and prints what it cost. README.md tells how the numbers are taken.
"""
