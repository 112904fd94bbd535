# SPDX-License-Identifier: Apache-2.0
"""Engines: how the ports are kept on real media. Each folder stands alone.

An engine implements one port, passes the conformance suite of that port, translates what its
medium raises into Drystone's errors, and imports no other engine. ``packs`` is an engine over
another port: it keeps blocks in packs, in whatever store of objects it is given.
"""
