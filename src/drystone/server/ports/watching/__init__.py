# SPDX-License-Identifier: Apache-2.0
"""What a server tells of itself: numbers (``measuring``) and the parts of requests (``tracing``).

Whoever does work counts and opens spans here, and knows neither who reads it nor by which library.
"""
