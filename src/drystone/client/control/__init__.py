# SPDX-License-Identifier: Apache-2.0
"""How the command line talks to the daemon: one JSON line each way over a unix socket.

``server`` listens inside the daemon; ``client`` asks from another process. The socket lies
in a folder that only its owner may enter, so whoever can connect may also ask.
"""
