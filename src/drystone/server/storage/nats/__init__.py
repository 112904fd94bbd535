# SPDX-License-Identifier: Apache-2.0
"""NATS: a line for the bell, and streams for the outlet. Only where the settings name one."""

from drystone.server.storage.nats.address import NatsAddress, NatsUnusable, parse_address
from drystone.server.storage.nats.line import NatsLine
from drystone.server.storage.nats.stream import NatsStream

__all__ = ["NatsAddress", "NatsLine", "NatsStream", "NatsUnusable", "parse_address"]
