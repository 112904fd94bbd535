# SPDX-License-Identifier: Apache-2.0
"""Hiding: the last wall before a log line is written.

What is logged is chosen where it is logged. But exceptions of libraries say what they like: the
address of a database with its password, a URL with its signature. Whatever looks like a secret,
and every secret that stands in the settings, is cut out here.
"""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

HIDDEN: Final = "…"

_LITERAL_CHARS_MIN: Final = 4
"""A shorter secret would be found in every other word."""

_PATTERNS: Final = (
    # user:password@ of a URL
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s\"'<>]*@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    # the query of a URL or of a path: signatures, tokens, names of files
    (re.compile(r"\?[^\s\"'<>]*=[^\s\"'<>]*"), f"?{HIDDEN}"),
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"\b([\w-]*(?:password|passwd|pwd|secret|token|signature|credential|authorization"
            r"|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key))"
            r"([\"']?\s*[=:]\s*[b]?[\"']?)(?!\s)[^\s\"',;&<>]+",
            re.IGNORECASE,
        ),
        rf"\1\2{HIDDEN}",
    ),
)


def find_secrets(values: Iterable[object]) -> frozenset[str]:
    """Returns the passwords in the addresses among some settings, as they stand there and as
    they are meant.
    """
    found: set[str] = set()
    for value in values:
        if not isinstance(value, str) or "://" not in value:
            continue
        user, at, _ = value.partition("://")[2].rpartition("@")
        password = user.partition(":")[2]
        if at:
            found |= {password, unquote(password)}
        queried = re.findall(r"[?&](?:password|passwd|secret|token)=([^&]*)", value)
        found |= {text for item in queried for text in (item, unquote(item))}
    return frozenset(text for text in found if len(text) >= _LITERAL_CHARS_MIN)


def make_hider(
    secrets: Iterable[str],
) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """Returns a processor of structlog that hides secrets in all texts of a line.

    Args:
        secrets: Hidden wherever they stand, whatever stands around them.
    """
    known = sorted(secrets, key=len, reverse=True)

    def hide(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in event.items():
            if not key.startswith("_"):  # What structlog keeps for itself is not written.
                event[key] = _hide_in(value, known)
        return event

    return hide


def hide_secrets(text: str, known: Iterable[str] = ()) -> str:
    """Returns a text without what looks like a secret, or is one of those known."""
    for secret in known:
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _hide_in(value: object, known: Iterable[str]) -> object:
    if isinstance(value, str):
        return hide_secrets(value, known)
    if isinstance(value, Mapping):
        return {key: _hide_in(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide_in(item, known) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return hide_secrets(str(value), known)
