# SPDX-License-Identifier: Apache-2.0
"""How an operator's commands look after what a server keeps.

``checking`` opens what a check reads, and makes a lost database anew; ``backups`` carries all of it
elsewhere and back; ``collecting`` removes what nothing refers to, and reads what is kept.
"""
