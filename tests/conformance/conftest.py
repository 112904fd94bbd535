# SPDX-License-Identifier: Apache-2.0
"""The suites are part of the package: their assertions shall tell as much as a test's."""

import pytest

pytest.register_assert_rewrite("drystone.testing.conformance")
