# SPDX-License-Identifier: Apache-2.0
"""What is true: every decision of Drystone, as pure functions of values.

Bytes are cut and named, names are judged, trees are compared, a commit is decided against the
journal, a plan is made from three trees. Nothing here reads a file, a clock or a socket, logs,
waits, or draws a random number: whoever calls passes the bytes, the instant and the view of the
tree. So the same code runs in the server, in the client and in a simulation with virtual time.

Everybody may import this room; it imports a short list of the standard library, and two libraries
that are functions of bytes (content-defined cutting, zstd).
"""
