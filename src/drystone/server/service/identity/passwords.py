# SPDX-License-Identifier: Apache-2.0
"""Passwords: argon2id, and the rules that a new one keeps.

Source: RFC 9106 for argon2id, RFC 8265 section 4.2 for comparing passwords as NFC text.
"""

import unicodedata
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from drystone.core import limits
from drystone.core.errors import Refused

MEMORY_KIB: Final = 19 * 1024
ROUNDS: Final = 2
"""OWASP's first choice for argon2id with one lane: about 45 ms of one core."""


class UnfitPassword(Refused):
    """A new password is too short or too long."""

    code = "unfit-password"


class Passwords:
    """Hashes and checks passwords. Blocking and slow on purpose: call it in a thread.

    Threads may share one; argon2 releases the interpreter while it works.
    """

    def __init__(self, *, memory_kib: int = MEMORY_KIB, rounds: int = ROUNDS) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)

    def hash(self, password: str) -> str:
        """Returns the salted hash to keep; it tells its own parameters."""
        return self._hasher.hash(_normalize(password))

    def is_right(self, password: str, kept_hash: str | None) -> bool:
        """Tells whether ``kept_hash`` is of this password.

        With None (no such account) it answers False after the same work, so that the time
        taken does not tell which accounts exist.
        """
        if len(password) > limits.PASSWORD_BYTES_MAX:
            return False
        try:
            self._hasher.verify(kept_hash or self._hash_of_nobody, _normalize(password))
        except (VerificationError, InvalidHashError):
            return False
        return kept_hash is not None

    def is_outdated(self, kept_hash: str) -> bool:
        """Tells whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept_hash)

    @cached_property
    def _hash_of_nobody(self) -> str:
        return self._hasher.hash("nobody has this password")


def require_fit_password(password: str) -> None:
    """Returns if ``password`` may become an account's.

    Raises:
        UnfitPassword: Fewer than ``PASSWORD_CHARS_MIN`` characters or more than
            ``PASSWORD_BYTES_MAX`` bytes of UTF-8.
    """
    if len(password) < limits.PASSWORD_CHARS_MIN:
        raise UnfitPassword(
            f"the password is too short: at least {limits.PASSWORD_CHARS_MIN} characters",
            advice="Choose a longer one; several words make a good one.",
        )
    if len(_normalize(password)) > limits.PASSWORD_BYTES_MAX:
        raise UnfitPassword(
            f"the password is too long: at most {limits.PASSWORD_BYTES_MAX} bytes of UTF-8",
            advice="Choose a shorter one.",
        )


def _normalize(password: str) -> bytes:
    """Returns the bytes to hash: the same for one text however the keyboard composed it.

    Lone surrogates, which JSON can carry, are kept apart from all other text.
    """
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
