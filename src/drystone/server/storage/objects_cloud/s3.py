# SPDX-License-Identifier: Apache-2.0
"""S3: where a bucket is and with which credentials, as its client of the library sees it.

The library reads the options of the address first and the environment after them; what is signed
here must be for the same place with the same credentials, so both are read the same way.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from drystone.server.storage.objects_cloud.location import StoreLocation

_REGION: Final = "us-east-1"
"""What a store takes that knows no regions, and Amazon's own where none is named."""


class S3Place(NamedTuple):
    """A bucket in S3 or what speaks its protocol.

    Attributes:
        url: Of the bucket, without a slash at its end.
        region: Its region.
        key_id: Of the credentials; ``""`` if the environment has none (a machine's role).
        secret: Their secret.
        token: Of temporary ones; ``""`` if they are not.
    """

    url: str
    region: str
    key_id: str
    secret: str
    token: str

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"S3Place({self.url}, {self.region}, {self.key_id})"


def find_s3_place(location: StoreLocation, environment: Mapping[str, str]) -> S3Place:
    """Returns the bucket that a location names, with the credentials of the environment."""

    def find(*names: str) -> str:
        """Looks for an option under each of its names, then for the variables."""
        for name in names:
            for option in (name, f"aws_{name}"):
                if value := location.options.get(option):
                    return value
        return next((v for n in names if (v := environment.get(f"AWS_{n.upper()}"))), "")

    region = find("region", "default_region") or _REGION
    endpoint = find("endpoint", "endpoint_url").rstrip("/")
    is_virtual = find("virtual_hosted_style_request").lower() in ("true", "1", "yes")
    if endpoint:
        # An endpoint of virtual-host style names the bucket itself.
        url = endpoint if is_virtual else f"{endpoint}/{location.bucket}"
    elif is_virtual:
        url = f"https://{location.bucket}.s3.{region}.amazonaws.com"
    else:
        url = f"https://s3.{region}.amazonaws.com/{location.bucket}"
    return S3Place(
        url,
        region,
        environment.get("AWS_ACCESS_KEY_ID", ""),
        environment.get("AWS_SECRET_ACCESS_KEY", ""),
        environment.get("AWS_SESSION_TOKEN", "") or environment.get("AWS_TOKEN", ""),
    )
