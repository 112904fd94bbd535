# SPDX-License-Identifier: Apache-2.0
"""Who asks: accounts, their passwords, their devices and tokens, and who is listening.

A password is checked once, when a device signs in; from then on the device's own token counts,
until it is revoked. Whatever ends a token ends it for every new request, and closes its bells.
"""
