# SPDX-License-Identifier: Apache-2.0
"""What is kept: the server.

A request enters through a face, which translates it into one call of the service; the
service checks access at the gate, decides with pure functions of core, and keeps the
result through ports that engines implement. Only the commit path changes trees.
"""
