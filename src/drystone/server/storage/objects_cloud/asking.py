# SPDX-License-Identifier: Apache-2.0
"""Asking a store what the library has no words for: signed requests, sent by the server itself.

What comes back as "server's error" or "slow down", and connections that break, are tried again
with waits that grow, for a while, as the library does with its own.
"""

import http.client
import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from drystone.server.ports.objects import ObjectStoreAway
from drystone.server.ports.signing import SignedRequest

ASKING_S: Final = 600
"""How long the server's own requests are signed for: all their tries, and a clock that is off."""

_TRY_S_MAX: Final = 20.0
_WAIT_S_FIRST: Final = 0.1
_WAIT_S_MAX: Final = 5.0
_BODY_BYTES_MAX: Final = 16 << 20

_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


class StoreAnswer(NamedTuple):
    """What a store answered.

    Attributes:
        status: Of HTTP.
        headers: Names in small letters.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class StoreAsker:
    """Sends signed requests and waits for their answers. Safe to call from several threads.

    Args:
        verifies: Certificates are checked.
        retry_s: For so long requests are tried again.
        sleep: Waits so many seconds.
    """

    def __init__(
        self, *, verifies: bool, retry_s: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        context = ssl.create_default_context()
        if not verifies:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        self._retry_s = retry_s
        self._sleep = sleep

    def ask(self, request: SignedRequest, body: bytes = b"") -> StoreAnswer:
        """Returns the store's answer, whatever its status.

        Raises:
            ObjectStoreAway: It did not answer, or only with errors of its own, for ``retry_s``.
        """
        waited_s = 0.0
        wait_s = _WAIT_S_FIRST
        while True:
            answer, trouble = self._try(request, body)
            if answer is not None and answer.status not in _AGAIN:
                return answer
            pause_s = min(wait_s * random.uniform(0.5, 1.5), _WAIT_S_MAX)
            if answer is not None:
                pause_s = max(pause_s, _parse_retry_after(answer.headers))
            waited_s += pause_s
            if waited_s > self._retry_s:
                raise ObjectStoreAway(
                    f"the server's object store did not answer as it should: {trouble}",
                    advice="if it stays, look at the object store and the way to it",
                    retry_after_s=5.0,
                )
            self._sleep(pause_s)
            wait_s *= 2

    def _try(self, request: SignedRequest, body: bytes) -> tuple[StoreAnswer | None, str]:
        """Returns an answer, if one came, and what to say if it is no good."""
        sent = urllib.request.Request(  # noqa: S310  signed by ourselves, for the store's address
            request.url,
            data=body if request.method in ("PUT", "POST") else None,
            headers={"content-type": "", **request.headers},
            method=request.method,
        )
        try:
            with self._opener.open(sent, timeout=_TRY_S_MAX) as found:
                return _take(found, found.status), f"status {found.status}"
        except urllib.error.HTTPError as error:
            try:
                with error:
                    return _take(error, error.code), f"status {error.code}"
            except (OSError, http.client.HTTPException) as broken:
                return None, str(broken) or type(broken).__name__
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            return None, str(reason) or type(error).__name__


def _take(found: "http.client.HTTPResponse | urllib.error.HTTPError", status: int) -> StoreAnswer:
    headers = {name.lower(): value for name, value in found.headers.items()}
    body = found.read(_BODY_BYTES_MAX)
    announced = headers.get("content-length", "")
    if announced.isdecimal() and len(body) < min(int(announced), _BODY_BYTES_MAX):
        raise http.client.IncompleteRead(body, int(announced) - len(body))
    return StoreAnswer(status, headers, body)


def _parse_retry_after(headers: Mapping[str, str]) -> float:
    """Returns the seconds that a store asks to wait; 0 if it does not say, or says a date."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0
