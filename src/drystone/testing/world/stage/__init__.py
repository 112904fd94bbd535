# SPDX-License-Identifier: Apache-2.0
"""What a world is made of: time and chance, lives that end, and the parties that live them.

``timeline`` runs everything; a ``Life`` is one run of a process, and whatever a process does to
the outside passes it. ``WorldDevice`` and ``WorldServer`` are what outlasts lives (disk,
database, clock, metadata, packs) and start new ones. Nothing here decides what goes wrong or
judges what came of it.
"""
