# SPDX-License-Identifier: Apache-2.0
"""Actor: who asks."""

from typing import NamedTuple

from drystone.core.ids import AccountId, DeviceId, NamespaceId


class Actor(NamedTuple):
    """A signed-in device of an account, as of this request.

    Made only by ``devices.Devices.authenticate`` (and by tests), so that whoever holds one has
    shown a valid token.

    Attributes:
        account_id: Whose rights it has.
        account_name: For people, never for decisions.
        device_id: Which installation asks; stands in the records it makes.
        device_name: For people, never for decisions.
        root_namespace_id: The account's own namespace.
    """

    account_id: AccountId
    account_name: str
    device_id: DeviceId
    device_name: str
    root_namespace_id: NamespaceId
