# SPDX-License-Identifier: Apache-2.0
"""Trees and their journals: what is asked about them, and the one verb that changes them.

``commits`` decides a commit and appends its records; ``changes`` tells a device what is new and
when there is more; ``namespaces`` lists what is there now; ``history`` what was.
"""
