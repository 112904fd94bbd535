# SPDX-License-Identifier: Apache-2.0
"""Fakes of the world: obedient clocks, and more where a test must be able to misbehave."""
