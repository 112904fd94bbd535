# SPDX-License-Identifier: Apache-2.0
"""What a server counts of itself, told to Prometheus.

This face has a listener of its own, beside the one that devices ask: whoever reaches it reads
how much goes on here, though not who or what. It is imported only if there is one.
"""

from drystone.server.faces.metrics.app import MetricsApp

__all__ = ["MetricsApp"]
