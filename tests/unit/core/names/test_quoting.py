# SPDX-License-Identifier: Apache-2.0
"""Names in messages: each byte is shown once."""

import pytest

from drystone.core.names.quoting import quoted


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plan.txt", "'plan.txt'"),
        ("bad\\xffname", "'bad\\xffname'"),
        ("bad\udcffname", "'bad\\xffname'"),
        ("größe", "'größe'"),
        ("two\nlines\x1b[2J", "'two\\nlines\\x1b[2J'"),
        ("\ud800", "'\\ud800'"),
    ],
)
def test_names_are_shown_once_and_on_one_line(name, shown):
    assert quoted(name) == shown
