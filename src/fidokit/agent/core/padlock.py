"""The lock of an agent: closed under a passphrase, opened by it, slower after each wrong one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

STEP_S: Final = 0.1
LONGEST_S: Final = 10.0
"""As OpenSSH: a tenth of a second more for each wrong passphrase, up to ten seconds."""

_SALT: Final = 16


class Padlock:
    """Open, or closed under a passphrase; the passphrase itself is not kept.

    Args:
        random: gives as many random bytes as it is asked for.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._salt = b""
        self._digest = b""
        self._failures = 0
        self.not_before = 0.0
        """The clock's second from which the next try counts; one that comes earlier waits."""

    @property
    def closed(self) -> bool:
        """Whether the agent is locked."""
        return bool(self._digest)

    def close(self, passphrase: bytes) -> bool:
        """Lock; False if it is locked already, or for an empty passphrase."""
        if self.closed or not passphrase:
            return False
        self._salt = self._random(_SALT)
        self._digest = self._derive(passphrase)
        return True

    def open(self, passphrase: bytes, now: float) -> bool:
        """Unlock; False for a wrong passphrase, after which the next try has to wait longer."""
        if not self.closed or not passphrase:
            return False
        if not hmac.compare_digest(self._derive(passphrase), self._digest):
            self._failures += 1
            self.not_before = now + min(STEP_S * self._failures, LONGEST_S)
            return False
        self._digest, self._failures, self.not_before = b"", 0, 0.0
        return True

    def _derive(self, passphrase: bytes) -> bytes:
        """Some 10 ms: the loop waits for it."""
        return hashlib.scrypt(passphrase, salt=self._salt, n=1 << 12, r=8, p=1, dklen=32)
