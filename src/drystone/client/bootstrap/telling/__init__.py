# SPDX-License-Identifier: Apache-2.0
"""Telling: what a person asks about the synced folders, answered from disk, state and server.

Nothing here changes a folder, its state, or the server's tree.
"""
