# SPDX-License-Identifier: Apache-2.0
"""Credentials: how this device proves itself to a server. One file, its owner's only."""

from pathlib import Path

import msgspec

from drystone.client.adapters.private_file import ConfigUnusable, read_private, write_private
from drystone.core.errors import Refused


class Credential(msgspec.Struct, frozen=True):
    """This device's standing with one server. Its token is not shown by ``repr``."""

    url: str
    account: str
    account_id: bytes
    device_id: bytes
    device_name: str
    namespace_id: bytes
    token: str

    def __repr__(self) -> str:
        return f"Credential(url={self.url!r}, account={self.account!r}, token=…)"


class NotLoggedIn(Refused):
    """This device has no credential for the server it should talk to."""

    code = "not-logged-in"


def load_credentials(path: Path) -> list[Credential]:
    """Returns all credentials of this device, the one used last first.

    Raises:
        ConfigUnusable: The file is unreadable or not what we wrote.
    """
    content = read_private(path)
    if content is None:
        return []
    try:
        return msgspec.json.decode(content, type=list[Credential])
    except msgspec.DecodeError as error:
        raise ConfigUnusable(
            f"{path} is damaged: {error}",
            advice="Remove it and sign in again with: drystone login URL",
        ) from error


def find_credential(path: Path, url: str | None) -> Credential:
    """Returns the credential for a server, or the one used last if ``url`` is None.

    Raises:
        NotLoggedIn: There is none.
    """
    for credential in load_credentials(path):
        if url is None or credential.url == url:
            return credential
    where = f"at {url}" if url else "anywhere"
    raise NotLoggedIn(
        f"this device is not signed in {where}",
        advice=f"Sign in first: drystone login {url or 'http://HOST:8440'}",
    )


def save_credential(path: Path, credential: Credential) -> None:
    """Keeps a credential, in place of an older one for the same server."""
    others = [c for c in load_credentials(path) if c.url != credential.url]
    write_private(path, msgspec.json.encode([credential, *others]))


def drop_credential(path: Path, url: str) -> None:
    """Forgets the credential for a server; no error if there is none."""
    known = load_credentials(path)
    kept = [c for c in known if c.url != url]
    if len(kept) != len(known):
        write_private(path, msgspec.json.encode(kept))
