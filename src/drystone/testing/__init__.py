# SPDX-License-Identifier: Apache-2.0
"""What is feigned: fakes, conformance suites and strategies, shipped and typed.

One suite per port says what every engine must do; the fake passes the same suite as the real
engine, so that a test with fakes means something. Whoever writes an engine of their own runs the
suite on it. This room may import all others; no other room imports it.
"""
