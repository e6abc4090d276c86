"""Public lines to measure with: distinct, valid keys, the same ones in every run.

Usage: python -m benchmarks.sample_keys ed25519-sk|ecdsa-sk COUNT >FILE
"""

from __future__ import annotations

import hashlib
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping

APPLICATION = b"ssh:"


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _ed25519(number: int) -> tuple[bytes, bytes]:
    point = hashlib.sha256(b"fidokit benchmark %d" % number).digest()
    return b"sk-ssh-ed25519@openssh.com", _string(point)


def _ecdsa(number: int) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = ec.derive_private_key(number + 1, ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return b"sk-ecdsa-sha2-nistp256@openssh.com", _string(b"nistp256") + _string(point)


MAKERS: Mapping[str, Callable[[int], tuple[bytes, bytes]]] = {
    "ed25519-sk": _ed25519,
    "ecdsa-sk": _ecdsa,
}


def lines(kind: str, count: int) -> Iterator[str]:
    """Yield `count` lines of authorized_keys, each with its end of line."""
    make = MAKERS[kind]
    for number in range(count):
        name, fields = make(number)
        blob = _string(name) + fields + _string(APPLICATION)
        yield f"{name.decode()} {b64encode(blob).decode()} user{number}@example.org\n"


if __name__ == "__main__":
    sys.stdout.writelines(lines(sys.argv[1], int(sys.argv[2])))
