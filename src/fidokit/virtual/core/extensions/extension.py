"""What an extension is: its part in makeCredential and getAssertion, and where its output goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple

from fidokit.types import CredProtect, CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.person.consent import Evidence
from fidokit.virtual.core.schema import Kind

Inputs = Mapping[str, Any]
"""Inputs of a request by extension identifier."""


class Occasion(NamedTuple):
    """What an extension may want to know of the command that it rides on.

    Args:
        inputs: those of every extension that was asked for.
        rp_id: the relying party.
        evidence: what is known of the user.
        client_data_hash: 32 bytes.
        up: getAssertion: whether a touch was asked for.
        listed: getAssertion: whether there was an allowList.
        resident: makeCredential: option rk.
    """

    inputs: Inputs
    rp_id: str
    evidence: Evidence
    client_data_hash: bytes
    up: bool = True
    listed: bool = False
    resident: bool = False


@dataclass(slots=True)
class Draft:
    """A credential in the making, for extensions to shape.

    Args:
        occasion: the command that makes it.
        cred_protect: its level.
        cred_blob: as `StoredCredential.cred_blob`.
        large_blob_key: as `StoredCredential.large_blob_key`.
        third_party_payment: as `StoredCredential.third_party_payment`.
        large_blob_supported: as `StoredCredential.large_blob_supported`.
    """

    occasion: Occasion
    cred_protect: CredProtect = CredProtect.UV_OPTIONAL
    cred_blob: bytes = field(default=b"", repr=False)
    large_blob_key: bytes | None = field(default=None, repr=False)
    third_party_payment: bool = False
    large_blob_supported: bool = False


class OutputPlace(Enum):
    """Where an output goes."""

    SIGNED = auto()
    """Into the authenticator data, under the extension's identifier."""
    UNSIGNED = auto()
    """Into the reply's unsignedExtensionOutputs, under the extension's identifier."""
    LARGE_BLOB_KEY = auto()
    """Into the reply's member largeBlobKey."""


class Beside(NamedTuple):
    """Outputs of one extension in two places."""

    signed: Any
    unsigned: Any


Evaluate = Callable[[Credential], Any]
"""The output for one finished credential, or a `Beside`; None for no output."""

Make = Callable[[TokenContext, Any, Draft], Evaluate]
"""Reads makeCredential's input and shapes the draft."""

Prepare = Callable[[TokenContext, Any, Occasion], Evaluate]
"""Reads getAssertion's input once, for all credentials that will be returned (GN-05)."""


class Extension(NamedTuple):
    """One extension; a command that it has no part in ignores its input.

    Args:
        make_input: form of its makeCredential input.
        make: its part in makeCredential.
        get_input: form of its getAssertion input.
        get: its part in getAssertion.
        place: where its outputs go.
        misfit: status for an input of another form.
    """

    make_input: Kind | None = None
    make: Make | None = None
    get_input: Kind | None = None
    get: Prepare | None = None
    place: OutputPlace = OutputPlace.SIGNED
    misfit: CtapStatus = CtapStatus.CBOR_UNEXPECTED_TYPE


def always(output: Any) -> Evaluate:
    """An output that is the same for every credential."""
    return lambda _credential: output


NOTHING: Evaluate = always(None)
