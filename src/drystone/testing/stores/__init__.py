# SPDX-License-Identifier: Apache-2.0
"""Stores for tests beyond ``drystone.testing.stores.s3``: Azure's emulator, and a bad store."""
