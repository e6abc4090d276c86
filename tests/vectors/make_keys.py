"""Make tests/vectors/keys with stock ssh-keygen: run it from the top of the tree.

    PYTHONPATH=src:. python -m tests.vectors.make_keys

Without a token ssh-keygen makes no sk keys, so the plain files of those come from our encoder
and go through `ssh-keygen -p` at once; every byte that is kept was written by stock.
Everything is under the passphrase in `PASSPHRASE`, except the plain files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.samples import SK_ECDSA, SK_ED25519

from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private
from fidokit.openssh.keys.public import SkPublic
from fidokit.types import KeyHandle, SkFlag

HERE = Path(__file__).parent / "keys"
PASSPHRASE = "correct horse battery staple"
ROUNDS = 4
"""Fewer than stock's 16, so that reading all vectors stays quick; one file has stock's own."""

CIPHERS = (
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
)
SK: dict[str, tuple[SkPublic, int]] = {
    "ed25519_sk": (SK_ED25519, 0x25),
    "ecdsa_sk": (SK_ECDSA, 0x31),
}
ORDINARY = ("ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048")


def file_of(name: str) -> PrivateFile:
    """What every vector of this name holds."""
    public, flags = SK[name]
    key = SkPrivate(public, SkFlag(flags), KeyHandle(bytes(range(128))))
    return PrivateFile(key, f"{name} vector")


def keygen(*args: object) -> str:
    """What ssh-keygen prints."""
    return subprocess.run(
        ["ssh-keygen", *map(str, args)], check=True, capture_output=True, text=True
    ).stdout


def reseal(name: str, target: str, *options: object, passphrase: str = PASSPHRASE) -> None:
    """A private file that stock wrote, from ours."""
    path = HERE / target
    path.write_bytes(encode_private(file_of(name)))
    path.chmod(0o600)
    keygen("-p", *options, "-P", "", "-N", passphrase, "-f", path)


def describe(path: Path) -> None:
    """What stock says of a public key, each in a file of its own."""
    for suffix, options in {
        "lv": ["-l", "-v"],
        "lv_md5": ["-l", "-v", "-E", "md5"],
        "B": ["-B"],
    }.items():
        path.with_suffix(f".{suffix}").write_text(keygen(*options, "-f", path))


def main() -> None:
    """Write all vectors anew."""
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    for name in SK:
        reseal(name, name, passphrase="")
        (HERE / f"{name}.pub").write_text(keygen("-y", "-f", HERE / name))
        describe(HERE / f"{name}.pub")
        reseal(name, f"{name}.default")
        for cipher in CIPHERS:
            reseal(
                name, f"{name}.{cipher.removesuffix('@openssh.com')}", "-Z", cipher, "-a", ROUNDS
            )
    for kind in ORDINARY:
        kind_name, _, bits = kind.partition("-")
        path = HERE / kind
        size = ["-b", bits] if bits else []
        keygen("-q", "-t", kind_name, *size, "-N", "", "-C", f"{kind} vector", "-f", path)
        describe(HERE / f"{kind}.pub")
    sys.stdout.write(f"{len(list(HERE.iterdir()))} files in {HERE}\n")


if __name__ == "__main__":
    main()
