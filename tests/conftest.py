# SPDX-License-Identifier: Apache-2.0
"""Settings that every test folder shares: how hard Hypothesis looks.

`dev` is what a plain `pytest` uses; `quick` is for `make test-quick`; `ci` is the same run every
time, so that a red build means a change broke something; `nightly` looks long and at random.
"""

from hypothesis import HealthCheck, settings

# No deadline: a slow machine is not a bug, and each test has a time limit of its own.
_shared = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", _shared, max_examples=100)
settings.register_profile("quick", _shared, max_examples=20)
settings.register_profile("ci", _shared, max_examples=200, derandomize=True, database=None)
settings.register_profile("nightly", _shared, max_examples=5_000, print_blob=True)
settings.load_profile("dev")
