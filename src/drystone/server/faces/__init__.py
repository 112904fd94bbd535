# SPDX-License-Identifier: Apache-2.0
"""Thin translators between an outside protocol and one call of the service.

A face parses, asks the service once, and formats what comes back. Where it would need an ``if``
about sharing, conflicts or rights, that ``if`` belongs into the service. Faces do not know each
other; what they share of HTTP is in ``http``.
"""
