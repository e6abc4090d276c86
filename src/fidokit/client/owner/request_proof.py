"""How a proof of the owner goes into a makeCredential or getAssertion request."""

from __future__ import annotations

from typing import assert_never

from fidokit.client.owner.proofs import BuiltInUv, PinToken, Proof


def prove(
    request: dict[int, object], proof: Proof, client_data_hash: bytes, *, option: int, param: int
) -> None:
    """Add `proof` to `request`.

    Args:
        request: the request's map; changed.
        client_data_hash: what is authenticated, 32 bytes.
        option: the number of the options member: 7 for makeCredential, 5 for getAssertion.
        param: the number of pinUvAuthParam, one above which is the protocol's.
    """
    match proof:
        case PinToken():
            request[param] = proof.authenticate(client_data_hash)
            request[param + 1] = proof.version
        case BuiltInUv():
            options = request.get(option)
            request[option] = {**(options if isinstance(options, dict) else {}), "uv": True}
        case _:
            assert_never(proof)
