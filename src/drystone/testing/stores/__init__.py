# SPDX-License-Identifier: Apache-2.0
"""Stores for tests beyond ``drystone.testing.object_stores``: Azure's emulator, and a bad store."""
