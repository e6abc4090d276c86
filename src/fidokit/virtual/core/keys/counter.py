"""Signature counters: one for the whole token, or one for each credential (WebAuthn section 6.1.1).

A token that keeps no wrapped credential cannot keep a counter for each one either; but it can keep
many, and let a credential's id say which. Two credentials that share one both see it rise.
"""

from __future__ import annotations

from binascii import crc32
from typing import Final

from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.keys.credentials import Credential

CREDENTIAL_COUNTERS: Final = 1 << 16
"""How many there are at most; a store numbers them from 1, and the token's own is 0."""


def at_creation(token: TokenContext) -> int:
    """The counter in makeCredential's reply: a credential's own begins at 0, and then no flush of
    the store is spent on credentials that are never used."""
    per_credential = token.profile.behavior.counter_per_credential
    return 0 if per_credential else token.store.next_counter()


def next_value(token: TokenContext, credential: Credential) -> int:
    """The counter of the credential's next signature (GA-17, U2F-13)."""
    if not token.profile.behavior.counter_per_credential:
        return token.store.next_counter()
    return token.store.next_counter(1 + crc32(credential.id) % CREDENTIAL_COUNTERS)
