# SPDX-License-Identifier: Apache-2.0
"""Which signer a store takes, and whether the environment has what it needs."""

from collections.abc import Mapping

from drystone.server.ports.clock import Clock
from drystone.server.ports.signing import Signing
from drystone.server.storage.objects_cloud.asking import StoreAsker
from drystone.server.storage.objects_cloud.encryption import parse_encryption
from drystone.server.storage.objects_cloud.gcs import (
    ENDPOINT,
    PUT_ONCE_HEADERS,
    find_service_account,
    tell_google_body,
)
from drystone.server.storage.objects_cloud.location import StoreLocation
from drystone.server.storage.objects_cloud.s3 import find_s3_place
from drystone.server.storage.objects_cloud.signing_azure import AzureSigning, find_azure_place
from drystone.server.storage.objects_cloud.signing_xml import XmlSigning, XmlStore, tell_s3_body
from drystone.server.storage.objects_cloud.v4 import make_google_signer, make_s3_signer


def make_signing(
    location: StoreLocation,
    environment: Mapping[str, str],
    clock: Clock,
    asker: StoreAsker,
    *,
    puts_once: bool,
) -> Signing | None:
    """Returns what signs requests to a place, or None if the environment has no credentials.

    Args:
        location: The place.
        environment: Of the process: the clouds' own variables.
        clock: What signatures count from.
        asker: Sends what the server asks itself.
        puts_once: The store refuses to put where something is, if it is asked to.
    """
    encryption = parse_encryption(location)
    if location.scheme == "s3":
        place = find_s3_place(location, environment)
        if not place.key_id or not place.secret:
            return None
        once = {"if-none-match": "*"} if puts_once else {}
        store = XmlStore(
            place.url,
            location.folder,
            encryption.put_headers,
            once,
            tell_s3_body,
            has_checksums=True,
        )
        signer = make_s3_signer(place.key_id, place.secret, place.token, place.region)
        return XmlSigning(store, signer, asker, clock)
    if location.scheme == "az":
        container = find_azure_place(location, environment)
        if container is None:
            return None
        return AzureSigning(container._replace(scope=encryption.key), asker, clock)
    account = find_service_account(location, environment)
    if account is None:
        return None
    once = PUT_ONCE_HEADERS if puts_once else {}
    url = f"{ENDPOINT}/{location.bucket}"
    store = XmlStore(url, location.folder, {}, once, tell_google_body, has_checksums=False)
    return XmlSigning(store, make_google_signer(*account), asker, clock)
