# SPDX-License-Identifier: Apache-2.0
"""Planning: from three trees to ordered steps. Pure, and the heart of the client.

``reconcile`` reads the local, synced and remote trees around the entries that differ and
says what to do, entry by entry (``merging``); ``order`` puts the steps in an order that can
be carried out; ``guards`` stops a plan that looks like a catastrophe; ``progress`` says how a
finished step brings synced nearer. A plan is never stored: after a crash it is simply made
again.
"""
