# SPDX-License-Identifier: Apache-2.0
"""Signing in and out: what is kept on the device, whatever the server says."""

import pytest

from drystone.client.adapters.credentials import find_credential
from drystone.client.bootstrap import list_devices, login, logout, revoke_device
from drystone.core.errors import DrystoneError
from drystone.testing.real_devices import PASSWORD


def test_sign_out_ends_the_device_on_the_server_and_here(join):
    one, two = join("one"), join("two")
    assert logout(one.settings) == one.url
    lines = {line.name: line for line in list_devices(two.settings)}

    assert (lines["one"].is_revoked, lines["two"].is_revoked) == (True, False)
    assert (lines["one"].is_current, lines["two"].is_current) == (False, True)
    with pytest.raises(DrystoneError) as caught:
        list_devices(one.settings)
    assert caught.value.code == "not-logged-in"


def test_sign_out_forgets_the_credential_though_the_server_is_away(join, relay):
    one = join("one", relay.url)
    relay.close()
    with pytest.raises(DrystoneError) as caught:
        logout(one.settings)

    assert caught.value.code == "server-away"
    with pytest.raises(DrystoneError) as caught:
        find_credential(one.settings.credentials_path, one.url)
    assert caught.value.code == "not-logged-in"


def test_sign_out_of_a_revoked_device_forgets_its_credential(join):
    one, two = join("one"), join("two")
    ids = {line.name: line.device_id for line in list_devices(one.settings)}
    revoke_device(two.settings, ids["one"])
    with pytest.raises(DrystoneError) as caught:
        logout(one.settings)

    assert caught.value.code == "device-revoked"
    with pytest.raises(DrystoneError) as caught:
        find_credential(one.settings.credentials_path, one.url)
    assert caught.value.code == "not-logged-in"


def test_device_of_another_account_can_be_neither_seen_nor_revoked(join, shared_server, tmp_path):
    one = join("one")
    [mine] = list_devices(one.settings)
    one_of_bert = type(one)(tmp_path / "bert", shared_server.url, "bert", "of-bert")
    one_of_bert.log_in()
    with pytest.raises(DrystoneError) as caught:
        revoke_device(one_of_bert.settings, mine.device_id)

    assert caught.value.code == "device-not-found"
    assert mine.device_id not in {line.device_id for line in list_devices(one_of_bert.settings)}
    assert [line.is_revoked for line in list_devices(one.settings)] == [False]


@pytest.mark.parametrize("name", ["", "x" * 65, "line\nbreak"])
def test_bad_device_name_is_refused_before_the_server_is_asked(join, name):
    one = join("one")
    before = one.settings.credentials_path.read_bytes()
    if name:
        with pytest.raises(DrystoneError) as caught:
            login(one.settings, one.url, one.account, PASSWORD, name)
        assert caught.value.code == "bad-device-name"
        assert one.settings.credentials_path.read_bytes() == before
    else:
        # No name is this device's own.
        assert login(one.settings, one.url, one.account, PASSWORD, name).device_name == "one"


def test_malformed_device_id_is_told_without_asking(join, relay):
    one = join("one", relay.url)
    relay.close()
    with pytest.raises(DrystoneError) as caught:
        revoke_device(one.settings, "no id")

    assert caught.value.code == "malformed-id"
