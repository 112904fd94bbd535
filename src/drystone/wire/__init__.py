# SPDX-License-Identifier: Apache-2.0
"""The native protocol, said without sockets: messages, bundles, problems, versions.

Client and server import this room and nothing of each other. Control messages are JSON
(msgspec types; bytes travel as base64), compressed with zstd where it pays; blocks travel
in bundles, read and written incrementally. See docs/protocol/native.md.
"""
