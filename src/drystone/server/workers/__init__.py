# SPDX-License-Identifier: Apache-2.0
"""Workers: what runs in the background of a server, beside the requests.

A worker of this room stands on the service's writer and on ports, never on a face. Where a job must
be done by one of many processes it takes a duty (``duty``).
"""
