"""The persistent pinUvAuthToken of permission pcmr, and what getInfo tells its holders alone.

It reads credential management over power cycles, until the PIN changes, a change is forced, or a
reset (TOK-13, TOK-14). There is one, for every platform and both PIN protocols.
"""

from __future__ import annotations

import hmac
from typing import Final

from fidokit.virtual.core import factory
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.person import pin_protocol
from fidokit.virtual.core.schema import Params

_BLOCK: Final = 16
_IDENTIFIER: Final = b"encIdentifier"
_STORE_STATE: Final = b"encCredStoreState"


def value(token: TokenContext) -> bytes:
    """The token, 32 bytes; the first use on a token made by an older fidokit makes it."""
    if token.state.persistent_token is None:
        token.save(**renewed(token))
    return token.state.persistent_token or b""


def renewed(token: TokenContext) -> dict[str, bytes | None]:
    """A change of state, for `TokenContext.save`, that ends the token for all who hold it."""
    return {"persistent_token": factory.persistent_token(token.profile, token.rng)}


def authorizes(token: TokenContext, params: Params, message: bytes) -> bool:
    """Whether a request's pinUvAuthParam was made with this token.

    Args:
        token: the powered token.
        params: with members "pinUvAuthParam" and "pinUvAuthProtocol".
        message: what the platform authenticated (TOK-11).

    Raises:
        CtapRejection: MISSING_PARAMETER, INVALID_PARAMETER, for the protocol.
    """
    protocol = token.tokens.offered_protocol(params)
    key = _alive(token)
    return key is not None and pin_protocol.verify(protocol, key, message, params["pinUvAuthParam"])


def _alive(token: TokenContext) -> bytes | None:
    """The token, on a model that has one: a file may be opened as another model than it was."""
    return token.state.persistent_token if token.profile.offers("perCredMgmtRO") else None


def sealed_identifier(token: TokenContext) -> bytes | None:
    """encIdentifier (19): the same token is recognized until its reset (GI-17)."""
    return _sealed(token, _IDENTIFIER, b"")


def sealed_store_state(token: TokenContext) -> bytes | None:
    """encCredStoreState (1E): changes with the resident credentials (GI-18)."""
    return _sealed(token, _STORE_STATE, token.store.revision().to_bytes(8))


def _sealed(token: TokenContext, name: bytes, what: bytes) -> bytes | None:
    """iv, then one block of AES-128-CBC (CTAP 2.3 section 6.4).

    The plain text is derived from a key that every reset replaces, so it says nothing more than
    whether it is the same as before.
    """
    key = _alive(token)
    if key is None:
        return None
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    plain = hmac.digest(token.state.hmac_secret_key, name + what, "sha256")[:_BLOCK]
    iv = token.rng.bytes(_BLOCK)
    sealing = algorithms.AES(pin_protocol.hkdf(key, name, _BLOCK))
    encryptor = Cipher(sealing, modes.CBC(iv)).encryptor()
    return iv + encryptor.update(plain) + encryptor.finalize()
