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

_SECRET: Final = ("key", "secret", "token", "password", "sas")

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
    return StoreLocation(parts.scheme, parts.netloc, parts.path.strip("/"), options)
