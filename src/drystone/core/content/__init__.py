# SPDX-License-Identifier: Apache-2.0
"""Content: how bytes are cut, named, listed, encoded and put together again.

A chunker cuts a byte stream into chunks; each chunk names a block by the SHA-256 of its
bytes. A file of one chunk is described by that block id alone. A file of several chunks
is described by its manifest, whose canonical encoding is itself stored and sent as a
block: the manifest id *is* the block id of its encoding. Everything here is pure: bytes
in, values out. Nothing here reads files, stores blocks or knows who may see what.
"""
