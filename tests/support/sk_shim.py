"""What sk_shim.c runs for a signature: one assertion by the virtual token `t`, as hex on a line."""

from __future__ import annotations

import hashlib
import sys

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fidokit import api

GET_ASSERTION = 0x02


def main() -> None:
    alg, application, handle, data = sys.stdin.read().split()
    request = {
        1: application,
        2: hashlib.sha256(bytes.fromhex(data)).digest(),
        3: [{"id": bytes.fromhex(handle), "type": "public-key"}],
    }
    with api.open_token("virtual:t") as session:
        answer = session.attempt(GET_ASSERTION, request, "assertion", why="signing")
    auth_data, signature = answer.octets(2, longest=4096), answer.octets(3, longest=4096)
    parts = [signature.hex()]
    if alg == "0":
        parts = [number.to_bytes(32, "big").hex() for number in decode_dss_signature(signature)]
    print(auth_data[32], int.from_bytes(auth_data[33:37], "big"), *parts)


if __name__ == "__main__":
    main()
