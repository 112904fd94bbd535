# SPDX-License-Identifier: Apache-2.0
"""``drystone login`` and ``logout``: this device's standing with a server."""

from typing import Annotated

import typer

from drystone.cli.options import JsonFlag, PasswordStdinFlag, ServerOption, read_password
from drystone.cli.output import Output, printable


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("login")(login)
    app.command("logout")(logout)


def login(
    url: Annotated[str, typer.Argument(help="Where the server says it listens.", metavar="URL")],
    *,
    user: Annotated[
        str | None,
        typer.Option(
            "--user", "-u", help="The account's name; asked for if left out.", metavar="NAME"
        ),
    ] = None,
    password_stdin: PasswordStdinFlag = False,
    device_name: Annotated[
        str,
        typer.Option(
            help="What to call this device.  [default: the machine's name]",
            metavar="NAME",
            show_default=False,
        ),
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Sign this device in to a server.

    The password is used once and not kept: the device gets a token of its own, which any other
    device of the account can revoke.

    Examples:
      drystone login http://127.0.0.1:8440 --user ana
      drystone login https://files.example.org --user ana --device-name laptop
      pass show ana | drystone login https://files.example.org -u ana --password-stdin
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    settings = load_settings()
    # A wrong address or a server that is away is told before anybody types a password.
    url = bootstrap.check_server(url)
    if user is None:
        if password_stdin:
            raise typer.BadParameter("give --user together with --password-stdin")
        user = typer.prompt("Account", err=True)
    password = read_password(from_stdin=password_stdin)
    done = bootstrap.login(settings, url, user, password, device_name)
    who = f"{printable(done.device_name)} is signed in to {printable(done.url)}"
    Output(as_json=as_json).answer(
        done,
        [
            f"{who} as {printable(done.account)}.",
            "Keep a folder in step with: drystone sync DIR",
        ],
    )


def logout(*, server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """Sign this device out: its token ends on the server and is forgotten here.

    Synced folders and their files stay where they are.

    Examples:
      drystone logout
      drystone logout --server https://files.example.org
    """
    from drystone.client import bootstrap
    from drystone.client.settings import load_settings

    url = bootstrap.logout(load_settings(), server)
    Output(as_json=as_json).answer({"url": url}, f"Signed out of {printable(url)}.")
