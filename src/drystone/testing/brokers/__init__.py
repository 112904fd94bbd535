# SPDX-License-Identifier: Apache-2.0
"""Real servers that carry messages between processes, on loopback, for tests."""
