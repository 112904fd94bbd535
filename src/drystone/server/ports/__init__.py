# SPDX-License-Identifier: Apache-2.0
"""What the service needs from the world, as small Protocols with full contracts.

Engines in ``server.storage`` implement them; ``drystone.testing.conformance`` holds one
suite per port, which every engine passes.
"""
