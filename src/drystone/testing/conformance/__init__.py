# SPDX-License-Identifier: Apache-2.0
"""Conformance suites: what every engine of a port must do, told as tests.

A suite is a class of tests that take the engine as a fixture. Whoever writes an engine
subclasses the suite in a test module and gives the fixture; nothing else is needed.
"""
