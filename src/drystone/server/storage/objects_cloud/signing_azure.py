# SPDX-License-Identifier: Apache-2.0
"""Signed requests to Azure's blob store: a service SAS for one blob, one right and a short time.

Azure signs neither headers nor lengths: a reader gets the whole blob, a writer may send another
body. Whoever grants these must look at what came. An object in parts is a list of blocks; an
upload is known only by the beginning of its blocks' ids.

Source: Azure Storage REST API, "Create a service SAS", version 2020-12-06; "Put Block List".
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from drystone.core.instant import NS_PER_S
from drystone.core.limits import SIGNED_S_MAX
from drystone.server.ports.clock import Clock
from drystone.server.ports.objects import is_object_name
from drystone.server.ports.signing import Part, SignedRequest
from drystone.server.storage.objects_cloud.asking import ASKING_S, StoreAnswer, StoreAsker
from drystone.server.storage.objects_cloud.location import StoreLocation
from drystone.server.storage.objects_cloud.trouble import raise_answer

_VERSION: Final = "2020-12-06"

_READ: Final = ("GET", "r")
_CREATE: Final = ("PUT", "c")
_WRITE: Final = ("PUT", "w")
"""Methods, each with the right that it takes."""

_UPLOAD_BYTES: Final = 12
_BLOCK_ID: Final = "{upload}-{number:05d}"
"""All ids of a blob's blocks have to be of one length."""


class AzurePlace(NamedTuple):
    """A folder in a container.

    Attributes:
        url: Of the container, without a slash at its end.
        account: Whose it is.
        container: Its name.
        folder: What all names begin with; ``""`` for none.
        key: The account's, as bytes.
        scope: Encryption scope that puts ask for; ``""`` for the container's own.
    """

    url: str
    account: str
    container: str
    folder: str
    key: bytes
    scope: str = ""

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"AzurePlace({self.url}, {self.folder})"


def find_azure_place(location: StoreLocation, environment: Mapping[str, str]) -> AzurePlace | None:
    """Returns the place that a location names, or None if the environment has no account's key."""
    account = (
        location.options.get("account_name")
        or location.options.get("azure_storage_account_name")
        or environment.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    )
    key = environment.get("AZURE_STORAGE_ACCOUNT_KEY") or environment.get(
        "AZURE_STORAGE_ACCESS_KEY", ""
    )
    if not account or not key:
        return None
    endpoint = (
        location.options.get("endpoint")
        or location.options.get("azure_storage_endpoint")
        or environment.get("AZURE_STORAGE_ENDPOINT")
        or f"https://{account}.blob.core.windows.net"
    ).rstrip("/")
    url = f"{endpoint}/{location.bucket}"
    return AzurePlace(url, account, location.bucket, location.folder, b64decode(key))


class AzureSigning:
    """Implements ``server.ports.signing.Signing`` on a container.

    Args:
        place: The container, with its account's key.
        asker: Sends what the server asks itself.
        clock: Tells from when a signature counts.
    """

    restricts_ranges = False
    restricts_bodies = False
    puts_once = True

    def __init__(self, place: AzurePlace, asker: StoreAsker, clock: Clock) -> None:
        self._place = place
        self._asker = asker
        self._clock = clock

    def sign_put(self, name: str, length_bytes: int, sha256: bytes, lasts_s: int) -> SignedRequest:
        headers = {"content-length": str(length_bytes), "x-ms-blob-type": "BlockBlob"}
        # The right to create does not let anybody overwrite.
        return self._sign(_CREATE, name, headers, {}, lasts_s)

    def sign_get(
        self, name: str, offset_bytes: int, length_bytes: int, lasts_s: int
    ) -> SignedRequest:
        assert offset_bytes >= 0
        assert length_bytes > 0
        headers = {"range": f"bytes={offset_bytes}-{offset_bytes + length_bytes - 1}"}
        return self._sign(_READ, name, headers, {}, lasts_s)

    def begin_parts(self, name: str) -> str:
        return secrets.token_hex(_UPLOAD_BYTES)

    def sign_part(  # noqa: PLR0917  as the port has it
        self,
        name: str,
        upload: str,
        number: int,
        length_bytes: int,
        sha256: bytes,
        lasts_s: int,
    ) -> SignedRequest:
        assert 1 <= number <= 10_000
        query = {"comp": "block", "blockid": _format_block_id(upload, number)}
        return self._sign(_WRITE, name, {"content-length": str(length_bytes)}, query, lasts_s)

    def list_parts(self, name: str, upload: str) -> list[Part]:
        query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
        answer = self._ask("look at the parts of", _READ, name, {}, query)
        parts = []
        for block in ET.fromstring(answer.body).iterfind("./UncommittedBlocks/Block"):  # noqa: S314  our own store
            its_upload, _, number = b64decode(block.findtext("Name") or "").decode().rpartition("-")
            if its_upload == upload:
                parts.append(Part(int(number), int(block.findtext("Size") or 0), "", None))
        if not parts:
            raise FileNotFoundError(name)
        return sorted(parts)

    def complete_parts(self, name: str, upload: str, parts: Sequence[Part]) -> None:
        ids = "".join(
            f"<Uncommitted>{_format_block_id(upload, part.number)}</Uncommitted>" for part in parts
        )
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{ids}</BlockList>'.encode()
        headers = {"if-none-match": "*"}
        self._ask("complete", _WRITE, name, headers, {"comp": "blocklist"}, body)

    def abort_parts(self, name: str, upload: str) -> None:
        """Does nothing: Azure drops blocks that are in no list after a week."""

    def _sign(
        self,
        act: tuple[str, str],
        name: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        lasts_s: int,
    ) -> SignedRequest:
        assert is_object_name(name)
        assert 0 < lasts_s <= SIGNED_S_MAX
        method, rights = act
        place = self._place
        key = f"{place.folder}/{name}".lstrip("/")
        expires_s = self._clock.now_ns() // NS_PER_S + lasts_s
        expiry = datetime.fromtimestamp(expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        protocol = "https" if place.url.startswith("https:") else "https,http"
        scope = place.scope if method == "PUT" else ""
        resource = f"/blob/{place.account}/{place.container}/{key}"
        fields = [rights, "", expiry, resource, "", "", protocol, _VERSION, "b", "", scope]
        text = "\n".join([*fields, "", "", "", "", ""])
        signature = b64encode(hmac.digest(place.key, text.encode(), "sha256")).decode()
        sas = {"sp": rights, "se": expiry, "spr": protocol, "sv": _VERSION, "sr": "b"}
        if scope:
            sas["ses"] = scope
        told = urlencode({**query, **sas, "sig": signature}, quote_via=quote)
        url = f"{place.url}/{quote(key, safe='/-_.~')}?{told}"
        return SignedRequest(method, url, dict(headers), expires_s)

    def _ask(  # noqa: PLR0917  all of a request
        self,
        doing: str,
        act: tuple[str, str],
        name: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes = b"",
    ) -> StoreAnswer:
        request = self._sign(act, name, headers, query, ASKING_S)
        answer = self._asker.ask(request, body)
        if answer.status == 400 and b"InvalidBlockList" in answer.body:
            raise FileNotFoundError(name)
        # Azure says "it exists" with 409 as well.
        if answer.status == 409 and b"BlobAlreadyExists" in answer.body:
            raise FileExistsError(name)
        if answer.status >= 300:
            raise_answer(doing, name, answer.status, answer.body)
        return answer


def _format_block_id(upload: str, number: int) -> str:
    return b64encode(_BLOCK_ID.format(upload=upload, number=number).encode()).decode()
