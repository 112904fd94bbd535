# SPDX-License-Identifier: Apache-2.0
"""Binding: what is told to who starts a server where something listens already."""

import json
import socket

import pytest

from drystone.server.bootstrap.listening import CannotListen
from drystone.server.bootstrap.serving import bind
from drystone.server.settings import ServerSettings


@pytest.mark.parametrize("is_own", [True, False])
def test_port_in_use_by_the_server_of_this_data_directory_is_told_so(tmp_path, is_own):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = {"url": f"http://127.0.0.1:{port if is_own else 1}", "pid": 4711}
        (tmp_path / "serving.json").write_text(json.dumps(told))
        with pytest.raises(CannotListen, match=f"port {port}: Address already in use") as caught:
            bind(ServerSettings(data_dir=tmp_path, port=port))

    assert ("as process 4711: stop that first" in caught.value.advice) == is_own
