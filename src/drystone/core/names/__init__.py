# SPDX-License-Identifier: Apache-2.0
"""Names: what a name may be, when two names are the same, and what a conflict's loser is called.

Names come from other people's devices and are treated as hostile: nothing here trusts one
before ``check_name`` has seen it. Names are kept exactly as their maker wrote them; folding
serves only to compare them.
"""
