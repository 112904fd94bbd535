# SPDX-License-Identifier: Apache-2.0
"""Protocol versions: what is spoken here, and what is not."""

import pytest

from drystone.wire.version import PROTOCOL, ProtocolUnknown, check_protocol


@pytest.mark.parametrize("header", [None, "1", " 1 "])
def test_what_is_spoken_here_passes(header):
    assert check_protocol(header) == PROTOCOL == 1


@pytest.mark.parametrize("header", ["", "0", "2", "-1", "1.0", "one", "²", "1" * 5_000])
def test_anything_else_is_refused_with_what_is_spoken(header):
    with pytest.raises(ProtocolUnknown, match="only 1"):
        check_protocol(header)
