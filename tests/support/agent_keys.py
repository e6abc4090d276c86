"""Private keys as they go into an agent: wire fields of every type, made from fixed seeds."""

from __future__ import annotations

import shlex
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.plain_private import AnyPrivate, read_any_private
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.keys.public import EcdsaPublic, PublicKey
from fidokit.types import KeyHandle, SkFlag

from .signers import (
    PlainKey,
    _rsa_private,
    certificate,
    ec_private,
    ecdsa_key,
    ecdsa_token,
    ed25519_key,
    ed25519_private,
    ed25519_token,
    ml_dsa_key,
    rsa_key,
)

CURVES: dict[str, ec.EllipticCurve] = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
}


@dataclass(frozen=True)
class Held:
    """A private key's fields, and its public half."""

    name: str
    public: PublicKey
    fields: bytes
    certificate: Certificate | None = None

    def read(self) -> AnyPrivate:
        return read_any_private(self.fields)[0]


def _ed25519(seed: int = 2) -> tuple[PlainKey, bytes]:
    private = ed25519_private(seed)
    point = private.public_key().public_bytes_raw()
    return ed25519_key(seed), wire.string(point) + wire.string(private.private_bytes_raw() + point)


def ed25519(seed: int = 2) -> Held:
    key, secret = _ed25519(seed)
    return Held("ed25519", key.public, wire.text("ssh-ed25519") + secret)


def ecdsa(curve: str = "nistp256", seed: int = 2) -> Held:
    public = ecdsa_key(curve, seed).public
    assert isinstance(public, EcdsaPublic)
    secret = ec_private(seed, CURVES[curve]).private_numbers().private_value
    return Held(curve, public, public.blob() + wire.mpint(secret))


@cache
def rsa() -> Held:
    numbers = _rsa_private().private_numbers()
    public = numbers.public_numbers
    parts = (public.n, public.e, numbers.d, numbers.iqmp, numbers.p, numbers.q)
    fields = wire.text("ssh-rsa") + b"".join(map(wire.mpint, parts))
    return Held("rsa", rsa_key().public, fields)


def ml_dsa(seed: int = 2) -> Held:
    public = ml_dsa_key(seed).public
    return Held("ml_dsa", public, public.blob() + wire.string(2 * seed.to_bytes(32, "big")))


AUTHORITY = ed25519_key(99)


def certified(held: Held, made: Certificate | None = None) -> Held:
    """The same key with a certificate, as ssh-add sends it."""
    made = made or certificate(held.public, AUTHORITY)
    head = wire.text(made.type_name) + wire.string(made.blob())
    if held.name == "ed25519":
        rest = held.fields[len(wire.text("ssh-ed25519")) :]
    elif held.name == "rsa":
        numbers = _rsa_private().private_numbers()
        rest = b"".join(map(wire.mpint, (numbers.d, numbers.iqmp, numbers.p, numbers.q)))
    else:
        rest = held.fields[len(held.public.blob()) :]
    return Held(f"{held.name}-cert", held.public, head + rest, made)


def sk(
    kind: str = "ed25519", application: str = "ssh:", flags: int = 1, seed: int = 1
) -> SkPrivate:
    """A key on a token that signs nowhere but in `signers`."""
    make = ed25519_token if kind == "ed25519" else ecdsa_token
    public = make(seed, application).public
    return SkPrivate(public, SkFlag(flags), KeyHandle(b"handle" * 8))


PLAIN = (ed25519(), *(ecdsa(curve) for curve in CURVES), rsa())
ML_DSA = ml_dsa()
ALL = (*PLAIN, *(certified(held) for held in PLAIN), ML_DSA, certified(ML_DSA))


def executable(path: Path, body: str) -> Path:
    """A Python program at `path`, for those that are run by name.

    By a shell, as pip has it: the kernel takes no interpreter whose path holds a space.
    """
    path.write_text(
        f"#!/bin/sh\n'''exec' {shlex.quote(sys.executable)} \"$0\" \"$@\"\n' '''\n{body}"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def descriptors(pid: int | str = "self") -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def run_ssh_keygen(program: str, folder: Path, *arguments: str) -> None:
    """ssh-keygen in a folder; it must succeed."""
    subprocess.run(
        [program, "-q", *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=60
    )
