"""Extensions: a table from identifier to its part in makeCredential and getAssertion (EXT-*).

An extension is served exactly when the profile lists it; otherwise its input is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fidokit.types import CredProtect, CtapStatus
from fidokit.virtual.core import hmac_secret
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.credentials import Credential
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.schema import BOOL, UINT, Kind

Inputs = Mapping[str, Any]


@dataclass(slots=True)
class Draft:
    """A credential in the making, for extensions to shape.

    Args:
        cred_protect: its level.
    """

    cred_protect: CredProtect = CredProtect.UV_OPTIONAL


Make = Callable[[TokenContext, Any, Draft], Any]
"""Shapes the draft and returns the output; None for no output."""

Evaluate = Callable[[Credential, bool], Any]
"""The output for one credential, verified or not; None for no output."""

Prepare = Callable[[TokenContext, Any, bool], Evaluate]
"""Reads an assertion's input once (third argument: option up), for all credentials."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension; a command that it has no part in ignores its input.

    Args:
        make_input: form of its makeCredential input.
        make: its part in makeCredential.
        get_input: form of its getAssertion input.
        get: its part in getAssertion.
    """

    make_input: Kind | None = None
    make: Make | None = None
    get_input: Kind | None = None
    get: Prepare | None = None


def _protect(_token: TokenContext, level: int, draft: Draft) -> int:
    try:
        draft.cred_protect = CredProtect(level)
    except ValueError:
        raise CtapRejection(CtapStatus.INVALID_OPTION) from None
    return level


def _offer_hmac_secret(_token: TokenContext, wanted: bool, _draft: Draft) -> bool | None:
    return wanted or None


EXTENSIONS: Mapping[str, Extension] = MappingProxyType(
    {
        "credProtect": Extension(make_input=UINT, make=_protect),
        "hmac-secret": Extension(
            make_input=BOOL,
            make=_offer_hmac_secret,
            get_input=hmac_secret.INPUT,
            get=hmac_secret.prepare,
        ),
    }
)


def _served(token: TokenContext, inputs: Inputs) -> Sequence[str]:
    if not inputs:
        return ()
    return [name for name in token.profile.extensions if name in inputs]


def check_make(token: TokenContext, inputs: Inputs) -> None:
    """Judge the form of makeCredential's inputs, before anything else of meaning (CBR-13).

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE, MISSING_PARAMETER.
    """
    _check((EXTENSIONS[name].make_input, inputs[name]) for name in _served(token, inputs))


def check_get(token: TokenContext, inputs: Inputs) -> None:
    """Judge the form of getAssertion's inputs.

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE, MISSING_PARAMETER.
    """
    _check((EXTENSIONS[name].get_input, inputs[name]) for name in _served(token, inputs))


def _check(inputs: Iterable[tuple[Kind | None, Any]]) -> None:
    known = [(kind, value) for kind, value in inputs if kind is not None]
    if not all(kind.fits(value) for kind, value in known):
        raise CtapRejection(CtapStatus.CBOR_UNEXPECTED_TYPE)
    if not all(kind.complete(value) for kind, value in known):
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)


def make(token: TokenContext, inputs: Inputs, draft: Draft) -> dict[str, Any]:
    """Run makeCredential's extensions on a draft and collect their outputs.

    Raises:
        CtapRejection: as the extension says.
    """
    parts = ((name, EXTENSIONS[name].make) for name in _served(token, inputs))
    outputs = {name: part(token, inputs[name], draft) for name, part in parts if part}
    return {name: output for name, output in outputs.items() if output is not None}


def prepare(token: TokenContext, inputs: Inputs, *, up: bool) -> Mapping[str, Evaluate]:
    """Read getAssertion's inputs, once for all credentials it may return (GN-05).

    Args:
        token: the token.
        inputs: checked by `check_get`.
        up: whether a touch was asked for.

    Raises:
        CtapRejection: as the extension says.
    """
    parts = ((name, EXTENSIONS[name].get) for name in _served(token, inputs))
    return {name: part(token, inputs[name], up) for name, part in parts if part}


def evaluate(
    prepared: Mapping[str, Evaluate], credential: Credential, *, verified: bool
) -> dict[str, Any]:
    """The outputs for one credential."""
    outputs = {name: evaluate(credential, verified) for name, evaluate in prepared.items()}
    return {name: output for name, output in outputs.items() if output is not None}
