# SPDX-License-Identifier: Apache-2.0
"""Streams of bytes that are the same on every machine, and ways to hand them over."""

from hashlib import shake_256


def stream(seed: str, length_bytes: int) -> bytes:
    """Returns bytes that look random and depend on ``seed`` alone."""
    return shake_256(seed.encode()).digest(length_bytes)
