# SPDX-License-Identifier: Apache-2.0
"""Signing: requests to the object store that somebody without credentials may send.

Each is for one method, one object, one range or one length, and a short time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class SignedRequest(NamedTuple):
    """A request that the store answers to whoever sends it, as long as it stands here.

    Attributes:
        method: ``PUT`` or ``GET``.
        url: Where it goes; holds the signature, so it is a secret until ``expires_s``: it is
            never logged.
        headers: All of them must be sent, exactly so; names in small letters. The transport
            adds ``host``.
        expires_s: UTC seconds since 1970 from which on the store refuses it.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    expires_s: int

    def __repr__(self) -> str:
        """The signature stays out of logs and tracebacks."""
        bare = self.url.partition("?")[0]
        return f"SignedRequest({self.method} {bare}, expires_s={self.expires_s})"


class Part(NamedTuple):
    """A part of an object that is not complete yet, as the store itself tells of it.

    Attributes:
        number: From 1.
        length_bytes: As stored.
        etag: The store's own mark of its bytes; ``""`` where it has none.
        checksum: SHA-256 of its bytes, or None where the store keeps none.
    """

    number: int
    length_bytes: int
    etag: str
    checksum: bytes | None


class Signing(Protocol):
    """Signs requests to one place in one store. Names are those of the port ``Objects``.

    ``sign_…`` compute and never block. The methods about parts ask the store and block; what it
    raises is translated as in ``Objects`` (``ObjectStoreAway``, ``ObjectStoreFull``). Safe to
    call from several threads.

    Attributes:
        restricts_ranges: The store holds a reader to the range that was signed. If not, whoever
            has the URL reads the whole object.
        restricts_bodies: The store refuses a body of another length than was signed. Whether it
            also refuses one of another SHA-256 is for it to say (Amazon's S3 does, most that only
            speak its protocol do not): who relies on it reads the object back.
        puts_once: The store refuses to put where an object is already, so what was verified
            stays. If not, a signed put works again and again until it expires.
    """

    restricts_ranges: bool
    restricts_bodies: bool
    puts_once: bool

    def sign_put(self, name: str, length_bytes: int, sha256: bytes, lasts_s: int) -> SignedRequest:
        """Returns a request that puts exactly one body under ``name``.

        Args:
            name: Of the object.
            length_bytes: Of the body; a signed header where ``restricts_bodies``.
            sha256: Of the body; a signed header where the store has one.
            lasts_s: From now; 1 to ``limits.SIGNED_S_MAX``.
        """
        ...

    def sign_get(
        self, name: str, offset_bytes: int, length_bytes: int, lasts_s: int
    ) -> SignedRequest:
        """Returns a request that reads one range; the range is part of what is signed where
        ``restricts_ranges``.

        Args:
            name: Of the object.
            offset_bytes: Where the range begins.
            length_bytes: At least 1.
            lasts_s: From now; 1 to ``limits.SIGNED_S_MAX``.
        """
        ...

    def begin_parts(self, name: str) -> str:
        """Begins an object in parts; returns what names this upload. Nothing can be read yet."""
        ...

    def sign_part(  # noqa: PLR0917  what a part is
        self,
        name: str,
        upload: str,
        number: int,
        length_bytes: int,
        sha256: bytes,
        lasts_s: int,
    ) -> SignedRequest:
        """Returns a request that puts one part; putting a number again replaces it.

        Args:
            name: Of the object.
            upload: From ``begin_parts``.
            number: 1 to 10,000. All but the last part have at least 5 MiB.
            length_bytes: As for ``sign_put``.
            sha256: Of this part, as for ``sign_put``.
            lasts_s: As for ``sign_put``.
        """
        ...

    def list_parts(self, name: str, upload: str) -> list[Part]:
        """Returns the parts that the store has, by number.

        Raises:
            FileNotFoundError: There is no such upload: completed, aborted or never begun.
        """
        ...

    def complete_parts(self, name: str, upload: str, parts: Sequence[Part]) -> None:
        """Makes one object of parts, in this order; atomic: readers see nothing or all of it.

        Args:
            name: Of the object.
            upload: From ``begin_parts``.
            parts: As ``list_parts`` told of them, compared with what was expected.

        Raises:
            FileNotFoundError: There is no such upload.
            FileExistsError: An object of that name is there (only where ``puts_once``).
        """
        ...

    def abort_parts(self, name: str, upload: str) -> None:
        """Drops an upload and its parts; no error if there is none. Where a store cannot do it
        at once, it drops them by itself within a week.
        """
        ...
