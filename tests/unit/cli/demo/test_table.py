# SPDX-License-Identifier: Apache-2.0
"""The demo's last word: sums for people, numbers for programs, and no praise if trees differ."""

import json

from drystone.cli.demo.relay import Traffic
from drystone.cli.demo.story import Outcome, StepLine, Stored
from drystone.cli.demo.table import describe_outcome, describe_step, outcome_json
from drystone.cli.demo.trees import Difference, Size
from drystone.cli.output import format_json

STEPS = [
    StepLine("first sync", 2.0, Traffic(3_000_000, 4_000_000)),
    StepLine("one byte changed", 0.25, Traffic(5_000, 6_000), "a remark"),
]
OUTCOME = Outcome(
    STEPS,
    Size(1_000, 10, 1, 8_000_000),
    Stored(900, 7_000_000, 2_000_000),
    Size(1_001, 10, 1, 9_000_000),
    Stored(950, 7_500_000, 2_500_000),
    [],
)


def test_a_step_tells_its_time_and_what_crossed_the_wire():
    assert describe_step(STEPS[1]) == "250 ms; 5 KB up, 6 KB down"


def test_sums_keep_deduplication_and_compression_apart():
    text = "\n".join(describe_outcome(OUTCOME))

    rows = {line.split("  ")[0]: line.split()[-4:] for line in text.splitlines() if line}
    assert rows["logical bytes"] == ["8", "MB", "9", "MB"]
    assert rows["stored: each block once"] == ["7", "MB", "7.5", "MB"]
    assert rows["stored: and compressed"] == ["2", "MB", "2.5", "MB"]
    assert rows["on the wire, all ways"] == ["7", "MB", "7.01", "MB"]
    assert rows["files per second"][-1] == "500"
    assert "A and B are identical: 1,012 entries" in text


def test_programs_get_the_same_numbers():
    told = json.loads(format_json(outcome_json(OUTCOME)))

    assert told["identical"] is True
    assert told["files_per_second"] == 500.0
    assert told["steps"][1] == {
        "title": "one byte changed",
        "seconds": 0.25,
        "traffic": {"up_bytes": 5_000, "down_bytes": 6_000},
        "remark": "a remark",
    }
    assert told["first_sync"]["stored"]["plain_bytes"] == 7_000_000


def test_trees_that_differ_are_shown_and_not_praised():
    outcome = OUTCOME._replace(differences=[Difference("a\x1bb", "other bytes")])
    text = "\n".join(describe_outcome(outcome))

    assert not outcome.is_identical
    assert "A AND B DIFFER:\n  a\\x1bb: other bytes" in text
    assert "identical" not in text
    assert outcome_json(outcome)["identical"] is False
