# SPDX-License-Identifier: Apache-2.0
"""Storing: where the objects of a server lie, whose they are, and the keys that seal them."""
