# SPDX-License-Identifier: Apache-2.0
"""Merging: what is to become of each entry by itself.

``sight`` reads an entry out of the three trees, ``case`` says what each side did to it,
``survival`` what lives on of deleted folders, ``merge`` what the entry is then, and ``naming``
under which name where another has its own. No steps are made here.
"""
