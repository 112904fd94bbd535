# SPDX-License-Identifier: Apache-2.0
"""What all faces share of HTTP: who calls, and how bodies come in and go out."""
