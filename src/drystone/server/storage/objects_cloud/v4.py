# SPDX-License-Identifier: Apache-2.0
"""Signatures of version 4 in the query of a URL, as S3 and Google's XML interface take them.

The two differ in words and in the last step only: S3 wants an HMAC under a key derived from the
secret, Google an RSA signature with a service account's key.

Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters (AWS Signature
Version 4)"; Google Cloud Storage, "V4 signing process".
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from drystone.core.instant import NS_PER_S
from drystone.server.ports.signing import SignedRequest

_SAFE: Final = "-_.~"

_GOOGLE: Final = "auto/storage"
"""Google's region and service: it finds the region itself."""


class Dialect(NamedTuple):
    """What differs between those who take such signatures.

    Attributes:
        algorithm: First line of what is signed.
        prefix: Of the parameters in the query.
        request: Last word of a credential's scope.
        sign: Makes the signature, in hex, of a text; its first argument is the scope's
            day (``20130524``).
    """

    algorithm: str
    prefix: str
    request: str
    sign: Callable[[str, str], str]


class V4Signer:
    """Signs requests with one credential, for one region.

    Args:
        dialect: Amazon's or Google's.
        key_id: Public name of the credential.
        scope: Region and service, ``us-east-1/s3``.
        token: Of a temporary credential; ``""`` if it is none.
    """

    def __init__(self, dialect: Dialect, key_id: str, scope: str, token: str = "") -> None:
        self._dialect = dialect
        self._key_id = key_id
        self._scope = scope
        self._token = token

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"V4Signer({self._dialect.algorithm}, {self._key_id}, {self._scope})"

    def sign(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        *,
        now_ns: int,
        lasts_s: int,
    ) -> SignedRequest:
        """Returns the request, signed with all its headers and with everything in its query.

        Args:
            method: ``PUT`` and so on.
            url: Scheme, host and path, the path escaped already; no query.
            headers: Names in small letters, values without spaces around them.
            query: Parameters, not escaped.
            now_ns: UTC nanoseconds since 1970.
            lasts_s: From now.

        Cost: 60 µs with an HMAC, 1 ms with RSA.
        """
        address = urlsplit(url)
        moment = datetime.fromtimestamp(now_ns // NS_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
        day = moment[:8]
        scope = f"{day}/{self._scope}/{self._dialect.request}"
        signed = {"host": address.netloc, **headers}
        names = ";".join(sorted(signed))
        prefix = self._dialect.prefix
        parameters = {
            **query,
            f"{prefix}-Algorithm": self._dialect.algorithm,
            f"{prefix}-Credential": f"{self._key_id}/{scope}",
            f"{prefix}-Date": moment,
            f"{prefix}-Expires": str(lasts_s),
            f"{prefix}-SignedHeaders": names,
        }
        if self._token:
            parameters[f"{prefix}-Security-Token"] = self._token
        escaped = sorted(
            (quote(k, safe=_SAFE), quote(v, safe=_SAFE)) for k, v in parameters.items()
        )
        text = "&".join(f"{key}={value}" for key, value in escaped)
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        asked = f"{method}\n{address.path}\n{text}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
        digest = sha256(asked.encode()).hexdigest()
        said = f"{self._dialect.algorithm}\n{moment}\n{scope}\n{digest}"
        signature = self._dialect.sign(day, said)
        return SignedRequest(
            method,
            f"{url}?{text}&{prefix}-Signature={signature}",
            dict(headers),
            now_ns // NS_PER_S + lasts_s,
        )


def make_s3_signer(key_id: str, secret: str, token: str, region: str) -> V4Signer:
    """Returns a signer for S3 and what speaks its protocol."""

    def sign(day: str, text: str) -> str:
        key = f"AWS4{secret}".encode()
        for word in (day, region, "s3", "aws4_request", text):
            key = hmac.digest(key, word.encode(), "sha256")
        return key.hex()

    dialect = Dialect("AWS4-HMAC-SHA256", "X-Amz", "aws4_request", sign)
    return V4Signer(dialect, key_id, f"{region}/s3", token)


def make_google_signer(email: str, key: RSAPrivateKey) -> V4Signer:
    """Returns a signer for Google's store.

    Args:
        email: Of the service account.
        key: Its own.
    """

    def sign(_day: str, text: str) -> str:
        return key.sign(text.encode(), PKCS1v15(), SHA256()).hex()

    return V4Signer(Dialect("GOOG4-RSA-SHA256", "X-Goog", "goog4_request", sign), email, _GOOGLE)
