# SPDX-License-Identifier: Apache-2.0
"""Location: which store, bucket and folder a URL of the settings names.

``s3://bucket/folder``, ``az://container/folder``, ``gs://bucket/folder``. After ``?`` may stand
what the store's client takes, under its own names (``endpoint``, ``region``, ``account_name``,
``allow_http``, …); what is secret is better left to the environment, where each cloud's usual
variables are read (``AWS_ACCESS_KEY_ID``, ``AZURE_STORAGE_ACCOUNT_KEY``,
``GOOGLE_APPLICATION_CREDENTIALS``), or to the machine's role.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from drystone.server.storage.objects_cloud.trouble import StoreUnusable

SCHEMES: Final = ("s3", "az", "gs")

OURS: Final = ("retry_s", "encryption", "kms_key", "encryption_scope")
"""Options that are Drystone's own; all others are the library's."""

RETRY_S: Final = 30
"""How long a request is tried again before whoever asked is told to."""

RETRY_S_MAX: Final = 300
"""Beyond it, whoever asked has given up."""

_SECRET: Final = ("key", "secret", "token", "password", "sas")

_ADDRESSES: Final = ("endpoint", "base_url")
"""What stands in the names of options that are addresses."""

_NO_SECRETS: Final = ("kms_key",)
"""The name of a key, which stays with the provider."""


class StoreLocation(NamedTuple):
    """A place in a store.

    Attributes:
        scheme: ``s3``, ``az`` or ``gs``.
        bucket: Bucket or container.
        folder: What all names begin with; ``""`` for none. Without slashes at its ends.
        options: For the store's client, by its names.
    """

    scheme: str
    bucket: str
    folder: str
    options: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The place as it may be told to anybody."""
        return f"{self.scheme}://{self.bucket}/{self.folder}".rstrip("/")


def find_retry_s(location: StoreLocation) -> float:
    """Returns for how many seconds requests are tried again.

    Raises:
        StoreUnusable: The address says something else than a number.
    """
    text = location.options.get("retry_s", str(RETRY_S))
    try:
        retry_s = float(text)
    except ValueError:
        retry_s = -1.0
    if not 0.1 <= retry_s <= RETRY_S_MAX:
        raise StoreUnusable(
            location.shown,
            f"retry_s is {text}",
            advice=f"It takes seconds, 0.1 to {RETRY_S_MAX}.",
        )
    return retry_s


def parse_location(url: str) -> StoreLocation:
    """Returns the place that a URL names.

    Raises:
        StoreUnusable: It names none.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.username or parts.fragment:
        raise StoreUnusable(
            f"{parts.scheme or 'it'}://…",
            "it is no address of a store",
            advice="Write s3://bucket/folder, az://container/folder or gs://bucket/folder.",
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    doubtful = (key for key in options if key not in _NO_SECRETS)
    secret = next((key for key in doubtful if any(word in key for word in _SECRET)), None)
    if secret is not None:
        raise StoreUnusable(
            f"{parts.scheme}://{parts.netloc}{parts.path}",
            f"{secret} is a secret, and an address is shown in many places",
            advice="Set it in the environment, under the name that the cloud's own tools use.",
        )
    location = StoreLocation(parts.scheme, parts.netloc, parts.path.strip("/"), options)
    for key, value in options.items():
        if any(word in key for word in _ADDRESSES):
            _check_address(location, key, value)
    return location


def _check_address(location: StoreLocation, key: str, value: str) -> None:
    """Refuses an address of the store's own that the library would stumble over, or try for long.

    Raises:
        StoreUnusable: It is none, or is without TLS and nobody said that it may be.
    """
    if not _is_address(value):
        raise StoreUnusable(
            location.shown,
            f"its {key} is no address",
            advice=f"Write {key}=https://HOST or {key}=https://HOST:PORT.",
        )
    if value.startswith("http:") and location.options.get("allow_http") != "true":
        raise StoreUnusable(
            location.shown,
            f"its {key} is without TLS",
            advice="Write https://; or, for a store on loopback or behind a private network,"
            " add &allow_http=true.",
        )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_port = parts.port != 0
    except ValueError:
        return False
    is_web = text.startswith(("http://", "https://"))
    return is_web and bool(parts.hostname) and has_port and "@" not in parts.netloc
