# SPDX-License-Identifier: Apache-2.0
"""What goes on beside the requests: checking, copying and projecting what the server keeps.

Workers stand on the ports, as the service does; nobody waits for them. What must not run twice at
the same time takes a duty first.
"""
