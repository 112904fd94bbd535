# SPDX-License-Identifier: Apache-2.0
"""A sync service seen from outside: what people read, write, delete and find when all is quiet.

``Model`` says what they may see, ``FolderMachine`` looks for what they should not, and ``Folders``
is all that a service has to offer to be looked at: the simulator and real programs both do.
"""
