# SPDX-License-Identifier: Apache-2.0
"""``drystone devices``: who may speak for the account."""

from typing import TYPE_CHECKING, Annotated

import typer

from drystone.cli.help_pages import make_group
from drystone.cli.options import (
    JsonFlag,
    PasswordStdinFlag,
    ServerOption,
    YesFlag,
    confirm,
    read_password,
)
from drystone.cli.output import Output, count_of, format_table, format_when, printable
from drystone.core.errors import Refused

if TYPE_CHECKING:
    from drystone.client.bootstrap import DeviceView
    from drystone.client.settings import ClientSettings

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
            _describe(device),
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
    chosen = _choose(settings, device, server)
    itself = " That is this device." if chosen.is_current else ""
    confirm(f"Revoke {printable(chosen.name)} ({chosen.device_id[:12]})?{itself}", yes=yes)
    bootstrap.revoke_device(settings, chosen.device_id, server)
    Output(as_json=as_json).answer(
        {"device_id": chosen.device_id, "name": chosen.name},
        f"{printable(chosen.name)} is revoked.",
    )


@group.command("allow")
def allow_device(
    device: Annotated[
        str, typer.Argument(help="Its name, or the beginning of its id.", metavar="DEVICE")
    ],
    *,
    entries: Annotated[
        int,
        typer.Option(
            help="How many it may delete or overwrite.  [default: as many as were held last]",
            min=0,
            show_default=False,
        ),
    ] = 0,
    minutes: Annotated[int, typer.Option(help="For how long.", min=1, max=1440)] = 60,
    password_stdin: PasswordStdinFlag = False,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let a device delete or overwrite what the server keeps it from, once you have looked.

    The server holds what one device destroys in a burst, so that a stranger's program on it cannot
    reach the others. `drystone devices list` shows which device is held. For this device itself it
    takes the account's password.

    Examples:
      drystone devices allow laptop
      drystone devices allow laptop --entries 5000 --minutes 10
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    chosen = _choose(settings, device, server)
    password = read_password(from_stdin=password_stdin) if chosen.is_current else ""
    count = bootstrap.allow_device(
        settings, chosen.device_id, entries, minutes * 60, server, password=password
    )
    Output(as_json=as_json).answer(
        {"device_id": chosen.device_id, "name": chosen.name, "entries": count, "minutes": minutes},
        f"{printable(chosen.name)} may delete or overwrite {count_of(count, 'entry', 'entries')}"
        f" within {count_of(minutes, 'minute')}.",
    )


def _describe(device: "DeviceView") -> str:
    if device.is_revoked:
        return "revoked"
    held = f"HELD: {count_of(device.held_count, 'entry', 'entries')}" if device.held_count else ""
    return ", ".join(text for text in ("this device" if device.is_current else "", held) if text)


def _choose(settings: "ClientSettings", device: str, server: str | None) -> "DeviceView":
    """Returns the one signed-in device that is meant."""
    from drystone.client import bootstrap

    living = [d for d in bootstrap.list_devices(settings, server) if not d.is_revoked]
    found = [d for d in living if d.device_id == device] or [
        d for d in living if d.name == device or d.device_id.startswith(device.lower())
    ]
    if len(found) != 1:
        raise DeviceUnclear(
            f"{len(found) or 'no'} devices are called {device!r} or have an id that begins so",
            advice="`drystone devices list` shows names and ids.",
        )
    return found[0]
