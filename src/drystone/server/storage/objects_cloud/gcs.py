# SPDX-License-Identifier: Apache-2.0
"""Google Cloud Storage: how its XML interface differs from S3, and a service account's key.

Source: Cloud Storage XML API, "Signed URLs", "HTTP headers and query string parameters".
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from drystone.server.storage.objects_cloud.location import StoreLocation
from drystone.server.storage.objects_cloud.trouble import StoreUnusable

ENDPOINT: Final = "https://storage.googleapis.com"

PUT_ONCE_HEADERS: Final = {"x-goog-if-generation-match": "0"}
"""Only where nothing is: no generation of the object."""


class ServiceAccount(NamedTuple):
    """Who signs for Google's store.

    Attributes:
        email: Its name.
        key: Its own.
    """

    email: str
    key: RSAPrivateKey

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"ServiceAccount({self.email})"


def tell_google_body(length_bytes: int, _sha256: bytes) -> dict[str, str]:
    """Returns the headers that pin a body's length; Google knows no SHA-256."""
    return {
        "content-length": str(length_bytes),
        "x-goog-content-length-range": f"{length_bytes},{length_bytes}",
    }


def find_service_account(
    location: StoreLocation, environment: Mapping[str, str]
) -> ServiceAccount | None:
    """Returns whose key the environment names, or None if that is none of a service account.

    Raises:
        StoreUnusable: The file that it names cannot be read, or its key cannot be used.
    """
    path = environment.get("GOOGLE_SERVICE_ACCOUNT") or environment.get(
        "GOOGLE_APPLICATION_CREDENTIALS"
    )
    if not path:
        return None
    try:
        told = json.loads(Path(path).read_bytes())
        if told.get("type", "service_account") != "service_account":
            return None
        key = load_pem_private_key(told["private_key"].encode(), None)
        email = str(told["client_email"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreUnusable(
            location.shown,
            f"the service account's file {path} cannot be used ({type(error).__name__})",
            advice="Make a new key for the service account, in JSON.",
        ) from error
    return ServiceAccount(email, key) if isinstance(key, RSAPrivateKey) else None
