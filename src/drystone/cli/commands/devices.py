# SPDX-License-Identifier: Apache-2.0
"""``drystone devices``: who may speak for the account."""

from typing import Annotated

import typer

from drystone.cli.help_pages import make_group
from drystone.cli.options import JsonFlag, ServerOption, YesFlag, confirm
from drystone.cli.output import Output, format_table, format_when, printable
from drystone.core.errors import Refused

group = make_group("devices", "The devices that are signed in to your account.")


class DeviceUnclear(Refused):
    """No device, or more than one, has the name or the beginning of the id that was given."""

    code = "device-unclear"


@group.command("list")
def list_devices(
    *,
    every: Annotated[bool, typer.Option("--all", help="Revoked ones, too.")] = False,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the devices of your account.

    Examples:
      drystone devices list
      drystone devices list --all --json
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    found = bootstrap.list_devices(load_settings(), server)
    shown = [device for device in found if every or not device.is_revoked]
    rows = [
        (
            device.name,
            device.device_id[:12],
            format_when(device.created_ns),
            format_when(device.seen_ns),
            "this device" if device.is_current else "revoked" if device.is_revoked else "",
        )
        for device in shown
    ]
    heads = ("DEVICE", "ID", "SIGNED IN", "LAST SEEN", "")
    Output(as_json=as_json).answer(shown, format_table(heads, rows))


@group.command("revoke")
def revoke_device(
    device: Annotated[
        str, typer.Argument(help="Its name, or the beginning of its id.", metavar="DEVICE")
    ],
    *,
    yes: YesFlag = False,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """End a device's right to speak for your account, at once.

    What it has on its disk stays there; it gets and gives nothing any more.

    Examples:
      drystone devices revoke old-phone
      drystone devices revoke 3f9c0a --yes
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    living = [d for d in bootstrap.list_devices(settings, server) if not d.is_revoked]
    found = [d for d in living if d.device_id == device] or [
        d for d in living if d.name == device or d.device_id.startswith(device.lower())
    ]
    if len(found) != 1:
        raise DeviceUnclear(
            f"{len(found) or 'no'} devices are called {device!r} or have an id that begins so",
            advice="`drystone devices list` shows names and ids.",
        )
    chosen = found[0]
    itself = " That is this device." if chosen.is_current else ""
    confirm(f"Revoke {printable(chosen.name)} ({chosen.device_id[:12]})?{itself}", yes=yes)
    bootstrap.revoke_device(settings, chosen.device_id, server)
    Output(as_json=as_json).answer(
        {"device_id": chosen.device_id, "name": chosen.name},
        f"{printable(chosen.name)} is revoked.",
    )
