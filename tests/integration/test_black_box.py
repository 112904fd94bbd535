# SPDX-License-Identifier: Apache-2.0
"""Real programs, folders and a server seen from outside, by the machine that looks at the
simulator too (tests/simulation/test_black_box.py).
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from drystone.testing.blackbox.folders import Folders
from drystone.testing.blackbox.machine import FolderMachine
from drystone.testing.blackbox.real import LiveFolders, RealFolders
from drystone.testing.real_devices import PASSWORD
from drystone.testing.servers import ServerProcess

numbers = itertools.count(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "examples_max"), [(RealFolders, 15), (LiveFolders, 8)], ids=["once", "live"]
)
def test_people_see_what_they_may(
    kind: Callable[..., Folders], examples_max: int, shared_server: ServerProcess, tmp_path: Path
) -> None:
    class Machine(FolderMachine):
        def open_folders(self, devices_count: int, seed: int) -> Folders:
            account = f"box{next(numbers)}"
            shared_server.add_account(account, PASSWORD)
            return kind(tmp_path / account, shared_server, account, devices_count)

    # Each example takes seconds: what fails is told as it is, and not made short.
    looking = settings(
        max_examples=examples_max,
        stateful_step_count=25,
        phases=[Phase.explicit, Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=looking)
