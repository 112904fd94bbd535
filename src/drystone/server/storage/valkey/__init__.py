# SPDX-License-Identifier: Apache-2.0
"""Valkey, or Redis: a line for the bell, and a cache. Only where the settings name one."""

from drystone.server.storage.valkey.address import ValkeyAddress, ValkeyUnusable, parse_address
from drystone.server.storage.valkey.cache import ValkeyCache
from drystone.server.storage.valkey.line import ValkeyLine

__all__ = ["ValkeyAddress", "ValkeyCache", "ValkeyLine", "ValkeyUnusable", "parse_address"]
