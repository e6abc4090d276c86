"""Extensions: a table from identifier to its part in makeCredential and getAssertion (EXT-*).

An extension is served exactly when the profile lists it; otherwise its input is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.extensions import credential as credential_extensions
from fidokit.virtual.core.extensions import hmac_secret, large_blob, policy, preview_sign
from fidokit.virtual.core.extensions.extension import (
    Beside,
    Draft,
    Evaluate,
    Extension,
    Inputs,
    Occasion,
    Place,
)
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.schema import WRONG, Kind

EXTENSIONS: Mapping[str, Extension] = MappingProxyType(
    {
        "credBlob": credential_extensions.CRED_BLOB,
        "credProtect": credential_extensions.CRED_PROTECT,
        "hmac-secret": hmac_secret.HMAC_SECRET,
        "hmac-secret-mc": hmac_secret.HMAC_SECRET_MC,
        "largeBlob": large_blob.LARGE_BLOB,
        "largeBlobKey": credential_extensions.LARGE_BLOB_KEY,
        "minPinLength": policy.MIN_PIN_LENGTH,
        "pinComplexityPolicy": policy.PIN_COMPLEXITY_POLICY,
        "previewSign": preview_sign.PREVIEW_SIGN,
        "thirdPartyPayment": credential_extensions.THIRD_PARTY_PAYMENT,
        "uvm": policy.UVM,
    }
)

Prepared = Mapping[str, Evaluate]
"""Extensions whose inputs were read, ready for each credential."""


class Outputs(NamedTuple):
    """What the extensions say about one credential.

    Args:
        signed: for the authenticator data.
        beside: for the reply itself, by place.
    """

    signed: Mapping[str, Any]
    beside: Mapping[Place, Any]

    def members(self, numbers: Mapping[Place, int]) -> dict[int, Any]:
        """The reply's members for `beside`, under the numbers that the command gives them."""
        return {numbers[place]: value for place, value in self.beside.items()}


UNASKED: Final[Prepared] = MappingProxyType({})
"""No extension was asked for."""

_NONE: Final = Outputs(MappingProxyType({}), MappingProxyType({}))


def _served(token: TokenContext, inputs: Inputs) -> Sequence[str]:
    return [name for name in token.profile.extensions if name in inputs and name in EXTENSIONS]


def check_make(token: TokenContext, inputs: Inputs) -> None:
    """Judge the form of makeCredential's inputs, before anything else of meaning (CBR-13).

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE, MISSING_PARAMETER.
    """
    if not inputs:
        return
    served = [(EXTENSIONS[name], inputs[name]) for name in _served(token, inputs)]
    _check((known.make_input, value, known.misfit) for known, value in served)


def check_get(token: TokenContext, inputs: Inputs) -> None:
    """Judge the form of getAssertion's inputs.

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE, MISSING_PARAMETER.
    """
    if not inputs:
        return
    served = [(EXTENSIONS[name], inputs[name]) for name in _served(token, inputs)]
    _check((known.get_input, value, known.misfit) for known, value in served)


def _check(inputs: Iterable[tuple[Kind | None, Any, CtapStatus]]) -> None:
    verdicts = [(kind.judge(value), misfit) for kind, value, misfit in inputs if kind is not None]
    for verdict, misfit in verdicts:
        if verdict == WRONG:
            raise CtapRejection(misfit)
    if any(verdict for verdict, _ in verdicts):
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)


def make(token: TokenContext, draft: Draft) -> Prepared:
    """Run makeCredential's extensions on a draft; `evaluate` says what they answer.

    Raises:
        CtapRejection: as the extension says.
    """
    inputs = draft.occasion.inputs
    if not inputs:
        return UNASKED
    parts = ((name, EXTENSIONS[name].make) for name in _served(token, inputs))
    return {name: part(token, inputs[name], draft) for name, part in parts if part}


def prepare(token: TokenContext, occasion: Occasion) -> Prepared:
    """Read getAssertion's inputs, once for all credentials it may return (GN-05).

    Raises:
        CtapRejection: as the extension says.
    """
    inputs = occasion.inputs
    parts = ((name, EXTENSIONS[name].get) for name in _served(token, inputs))
    return {name: part(token, inputs[name], occasion) for name, part in parts if part}


def evaluate(prepared: Prepared, credential: Credential) -> Outputs:
    """The outputs for one credential.

    Raises:
        CtapRejection: as the extension says.
    """
    if not prepared:
        return _NONE
    outputs = {name: say(credential) for name, say in prepared.items()}
    placed: dict[Place, dict[str, Any]] = {place: {} for place in Place}
    for name, output in outputs.items():
        for place, value in _placed(name, output):
            placed[place][name] = value
    beside = {
        Place.UNSIGNED: placed[Place.UNSIGNED],
        Place.LARGE_BLOB_KEY: placed[Place.LARGE_BLOB_KEY].get("largeBlobKey"),
    }
    return Outputs(placed[Place.SIGNED], {place: value for place, value in beside.items() if value})


def _placed(name: str, output: Any) -> Sequence[tuple[Place, Any]]:
    if output is None:
        return ()
    if isinstance(output, Beside):
        return ((Place.SIGNED, output.signed), (Place.UNSIGNED, output.unsigned))
    return ((EXTENSIONS[name].place, output),)
