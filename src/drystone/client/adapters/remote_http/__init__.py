# SPDX-License-Identifier: Apache-2.0
"""Remote over HTTP: the client's only mouth for the native protocol.

``session`` sends one request and turns every kind of trouble into an error family;
``remote`` implements the ``Remote`` port with it; ``bundles`` streams blocks both ways;
``bell`` listens; ``account`` signs in and asks about devices and single entries.

Requests that may be repeated safely are, a few times and with jittered delays, when the
server cannot be reached or asks to wait; what remains is for the loop to wait out.
"""

from drystone.client.adapters.remote_http.account import (
    SignedInDevice,
    allow_burst,
    ask_health,
    list_brakes,
    list_devices,
    read_account,
    revoke_device,
    sign_in,
)
from drystone.client.adapters.remote_http.remote import HttpRemote
from drystone.client.adapters.remote_http.session import (
    BadServerUrl,
    HttpSession,
    NotDrystone,
    ServerAway,
    TlsFailed,
)

__all__ = [
    "BadServerUrl",
    "HttpRemote",
    "HttpSession",
    "NotDrystone",
    "ServerAway",
    "SignedInDevice",
    "TlsFailed",
    "allow_burst",
    "ask_health",
    "list_brakes",
    "list_devices",
    "read_account",
    "revoke_device",
    "sign_in",
]
